"""What ``sightline data add``, ``list`` and ``show`` say of folders and clones that are not plain."""

import shlex

import pytest
from click.testing import CliRunner

from sightline.cli.check import command as check
from sightline.cli.data import command
from sightline.config.decode import decode
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.formats.reading import stopping_faults
from sightline.data.git import commands
from sightline.errors import DataError, RepositoryError, UnknownTagError
from tests.golden import compare, raises
from tests.labelled_folder import write_images, write_labels


def run(*arguments, of=command):
    return CliRunner().invoke(of, [str(part) for part in arguments], catch_exceptions=False).output


def next_command(said):
    (line,) = [line for line in said.splitlines() if line.startswith("next: ")]
    return shlex.split(line.removeprefix("next: "))


def test_add_says_what_it_left_out_and_what_comes_next(tmp_path, sightline_home):
    photos = write_images(tmp_path / "my photos", ["a", "b"], labels=["big cat", "dog's"])
    for name in (".DS_Store", "a.json~", "x.heic"):
        (photos / name).write_text("x")
    checked = run(photos, of=check)
    run("init", tmp_path / "my data", "--remote", tmp_path / "remote")
    said = run("add", photos, "--dataset", "pets", "--version", "v1")
    for line in ("left out: 2 hidden or temporary files: .DS_Store, a.json~", "does not read: 1 .heic"):
        assert line in said
        assert line in checked
    given = next_command(said)
    assert given[1:5] == [given[1], "run", "--local", "--recipe"]
    assert given[1].endswith("pipeline.py")
    data = decode(given[5], given[7::2]).data
    assert (data.tag, data.classes) == ("pets_ann_v1", ("big cat", "dog's"))
    assert data.repository == str(tmp_path / "my data")
    run("init", tmp_path / "other", "--remote", tmp_path / "remote")
    again = run("add", photos, "--dataset", "pets", "--version", "v1", "--repository", tmp_path / "my data")
    assert "already exists; nothing changed (5 files" in again
    assert f"data.repository={tmp_path}/my data" in next_command(again)


@pytest.mark.parametrize(("labels", "recipe"), [
    (["r_board", "0", "a"], "plates"),
    (["l_board", "__ignore__"], "plates"),
    (["r_board ", "R_BOARD", "r_board"], "plates"),
    (["0", "1", "a"], "instance_segmentation_small"),
    (["r_board", "car"], "instance_segmentation_small"),
])  # fmt: skip
def test_the_recipe_that_fits_the_labels_is_named(labels, recipe, tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", ["a"])
    write_labels(photos, "a", labels)
    (line,) = [line for line in run(photos, of=check).splitlines() if line.startswith("  --")]
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    words = next_command(run("add", photos, "--dataset", "pets", "--version", "v1", "--allow-faults"))
    assert words[5] == recipe
    assert shlex.split(line) == (["--recipe", "plates"] if recipe == "plates" else []) + words[8:]
    overrides = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    data = decode(words[5], overrides).data
    assert stopping_faults(read_folder(photos, data), data.faults) == []


@pytest.mark.parametrize(
    "labels", [["cat", "cat "], ["Cat", "cat", "cat"], ["a\nb", "it's"], ["__ignore__", "caf\u00e9 "]]
)
def test_the_next_command_is_never_refused_whatever_the_labels(labels, tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", ["a"])
    write_labels(photos, "a", labels)
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    words = next_command(run("add", photos, "--dataset", "pets", "--version", "v1", "--allow-faults"))
    overrides = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    data = decode(words[words.index("--recipe") + 1], overrides).data
    annotations = read_folder(photos, data)
    assert stopping_faults(annotations, data.faults) == []
    assert len(annotations.images[0].instances) == len([label for label in labels if label != "__ignore__"])


def test_without_a_label_that_can_be_a_class_no_command_is_printed(tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", ["a"], labels=["__ignore__"])
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    said = run("add", photos, "--dataset", "pets", "--version", "v1")
    assert "at least one class" in said
    assert "--set" not in said


def test_check_lists_what_add_would_refuse(tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", ["a"])
    (photos / "loop").symlink_to(".")
    result = CliRunner().invoke(check, [str(photos)])
    assert result.exit_code == 1
    assert "  loop: it is a link to one of its parent folders; remove it" in result.output
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    with raises(DataError):
        run("add", photos, "--dataset", "pets", "--version", "v1")
    (photos / "loop").unlink()
    (photos / "a.jpg").rename(photos / ".a.jpg")
    (photos / "a.json").write_text((photos / "a.json").read_text().replace("a.jpg", ".a.jpg"))
    result = CliRunner().invoke(check, [str(photos)])
    assert result.exit_code == 1
    compare(result.output)
    with raises(DataError, "a.json", ".a.jpg"):
        run("add", photos, "--dataset", "pets", "--version", "v1")
    said = run("add", photos, "--dataset", "pets", "--version", "v1", "--allow-faults")
    assert "note: record will stop at 1 fault" in said


def test_a_clone_that_lacks_tags_says_so(tmp_path, sightline_home):
    data, shallow = tmp_path / "data", tmp_path / "shal low"
    run("init", data, "--remote", tmp_path / "remote")
    run("add", write_images(tmp_path / "photos", ["a"]), "--dataset", "pets", "--version", "v1")
    git = ["commit", "--quiet", "--allow-empty", "--message", "More"]
    commands.git(*git, cwd=data, timeout_seconds=60)
    commands.git("clone", "--quiet", "--depth", "1", data.as_uri(), str(shallow), timeout_seconds=60)
    hint = f"{shallow} is a shallow clone, which lacks tags and history: git -C '{shallow}' fetch --unshallow --tags"
    assert hint in run("list", "--repository", shallow)
    for arguments in (["show", "pets_ann_v1"], ["diff", "pets_ann_v1", "pets_ann_v2"]):
        with pytest.raises(UnknownTagError) as error:
            run(*arguments, "--repository", shallow)
        assert hint in str(error.value)
    commands.git("fetch", "--quiet", "--unshallow", "--tags", cwd=shallow, timeout_seconds=60)
    assert "pets_ann_v1" in run("list", "--repository", shallow)


@pytest.mark.parametrize("address", [
    "https://me@example.org/team/pets-data.git", "git@example.org:team/pets-data.git", "ssh://git@example.org/pets-data",
])  # fmt: skip
def test_a_repository_on_a_server_needs_a_clone(address, tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", ["a"])
    with raises(RepositoryError, "--repository") as caught:
        run("add", photos, "--dataset", "pets", "--version", "v1", "--repository", address)
    assert str(tmp_path) not in str(caught.value)
    (sightline_home / "settings.yaml").write_text(f"data: {{repository: '{address}'}}")
    with raises(RepositoryError):
        run("add", photos, "--dataset", "pets", "--version", "v1")


def test_a_repository_may_be_named_by_a_file_address(tmp_path, sightline_home):
    run("init", tmp_path / "my data", "--remote", tmp_path / "remote")
    photos = write_images(tmp_path / "photos", ["a"])
    address = (tmp_path / "my data").as_uri()
    assert "added" in run("add", photos, "--dataset", "pets", "--version", "v1", "--repository", address)


def test_another_spelling_is_refused_with_a_way_that_works(tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", ["a", "b"])
    write_labels(photos, "a", ["cat", "cat", "Cat"])
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    with raises(DataError, "--allow-faults", "data.aliases"):
        run("add", photos, "--dataset", "pets", "--version", "v1")
    said = run("add", photos, "--dataset", "pets", "--version", "v1", "--allow-faults")
    assert "note: 1 label spelled differently; data.aliases in the next command maps them" in said
    assert "record will stop" not in said
    words = next_command(said)
    data = decode(words[5], words[7::2]).data
    assert stopping_faults(read_folder(photos, data), data.faults) == []
    (photos / "b.jpg").unlink()
    with raises(DataError, "--set", "data.faults.missing_image=drop", "data.aliases"):
        run("add", photos, "--dataset", "pets", "--version", "v2")
    said = run("add", photos, "--dataset", "pets", "--version", "v2", "--allow-faults")
    assert "note: record will stop at 1 fault (" in said
    data = decode(words[5], [*words[7::2], "data.faults.missing_image=drop"]).data
    assert stopping_faults(read_folder(photos, data), data.faults) == []
