"""``sightline data`` as a person types it."""

import json
import re
import shutil

import pytest
import yaml
from click.testing import CliRunner

from sightline.cli.data import command
from sightline.config.decode import decode
from sightline.config.settings import settings_path
from sightline.data.formats.labelme import instances as labelme_instances
from sightline.data.formats.labelme.instances import join
from sightline.errors import ConfigurationError, DataError, RepositoryError, UnknownTagError
from sightline.steps import record
from tests.golden import raises
from tests.labelled_folder import CLASSES, names, write_images, write_labels


def run(*arguments: str) -> str:
    return CliRunner().invoke(command, [str(part) for part in arguments], catch_exceptions=False).output


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two versions of a dataset, both recorded; the home belongs to the module, not to a test."""
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_HOME", str(folder / "home"))
        said = [run("init", folder / "data", "--remote", folder / "remote")]
        photos = write_images(folder / "photos", names(10))
        said.append(run("add", photos, "--dataset", "pets", "--version", "v1"))
        record.run(configuration("pets_ann_v1"), "code")
        write_images(photos, names(4, start=10))
        (photos / "000.jpg").unlink()
        (photos / "000.json").unlink()
        write_labels(photos, "001", ["dog"])
        said.append(run("add", photos, "--dataset", "pets", "--version", "v2"))
        record.run(configuration("pets_ann_v2"), "code")
    return folder, said


def configuration(tag: str):
    classes = ", ".join(CLASSES)
    return decode("instance_segmentation", [f"data.tag={tag}", f"data.classes=[{classes}]", "data.jobs=1"])


@pytest.fixture(autouse=True)
def home(story, sightline_home, monkeypatch):
    """Each test starts with a copy of the module's settings and database."""
    folder, _ = story
    for name in ("settings.yaml", "sightline.sqlite"):
        shutil.copyfile(folder / "home" / name, sightline_home / name)
    return sightline_home


def test_init_and_add_say_what_they_did(story):
    folder, said = story
    assert said[0].splitlines() == [
        f"{folder / 'data'}: created the data repository",
        f"{folder / 'home' / 'settings.yaml'}: data.repository is now {folder / 'data'}",
        "next: sightline data add FOLDER --dataset NAME --version v1",
    ]
    assert said[1].startswith("pets_ann_v1: added (20 files, commit ")
    again = run("add", folder / "photos", "--dataset", "pets", "--version", "v2")
    assert again.startswith("pets_ann_v2: already exists; nothing changed (26 files, commit ")


def test_init_twice_says_so_and_keeps_other_settings(story):
    folder, _ = story
    settings_path().write_text(yaml.safe_dump({"train": {"workers": 0}, "data": {"jobs": 7}}))
    said = run("init", folder / "data", "--remote", folder / "remote")
    assert f"{folder / 'data'} is already a data repository with this remote; nothing changed\n" in said
    assert yaml.safe_load(settings_path().read_text()) == {
        "train": {"workers": 0},
        "data": {"jobs": 7, "repository": str(folder / "data")},
    }
    before = settings_path().read_bytes()
    assert "data.repository" not in run("init", folder / "data", "--remote", folder / "remote")
    assert settings_path().read_bytes() == before


def test_init_names_the_repository_that_was_the_default_before(story, tmp_path):
    folder, _ = story
    said = run("init", tmp_path / "other", "--remote", tmp_path / "other remote")
    assert f"data.repository is now {tmp_path / 'other'}; it was {folder / 'data'}\n" in said
    settings_path().write_text("data: {repository: 'https://me:s3cret@host/data.git'}")
    said = run("init", tmp_path / "other", "--remote", tmp_path / "other remote")
    assert "https://***@host/data.git\n" in said


def test_settings_that_are_no_sections_are_left_alone(story):
    folder, _ = story
    settings_path().write_text("- data")
    with raises(ConfigurationError, "settings.yaml"):
        run("init", folder / "data", "--remote", folder / "remote")
    assert settings_path().read_text() == "- data"


def test_list_shows_tags_and_what_the_database_knows(home):
    rows = {row["tag"]: row for row in json.loads(run("list", "--json"))}
    assert sorted(rows) == ["pets_ann_v1", "pets_ann_v2", "pets_train_v1", "pets_train_v2"]
    assert rows["pets_train_v2"]["images"] == 13
    assert "pets_train_v1" in run("list")
    assert re.search(r"10 images, recorded \d{4}-\d\d-\d\d \d\d:\d\d UTC$", run("list"), re.M)
    assert rows["pets_train_v2"]["registered"].endswith("+00:00")
    (home / "sightline.sqlite").unlink()
    assert run("list").count("not recorded") == 4
    assert not (home / "sightline.sqlite").exists()


def test_list_shows_no_facts_of_another_repository_with_the_same_tags(tmp_path, home):
    run("init", tmp_path / "other", "--remote", tmp_path / "remote")
    photos = write_images(tmp_path / "photos", names(6))
    run("add", photos, "--dataset", "pets", "--version", "v1")
    (row,) = json.loads(run("list", "--json"))
    assert (row["tag"], row["images"], row["registered"]) == ("pets_ann_v1", None, None)
    assert "not recorded; the database has another repository's pets_ann_v1, commit " in run("list")


def test_a_repository_without_versions_says_how_to_add_one(tmp_path):
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    assert "has no dataset versions yet; add one" in run("list")
    with raises(UnknownTagError):
        run("show", "pets_ann_v1")


def test_show_says_what_a_version_holds():
    training = json.loads(run("show", "pets_train_v1", "--json"))
    assert sum(training["images"].values()) == 10
    assert sorted(training["instances"]["train"]) == sorted(CLASSES)
    assert training["annotation_tag"] == "pets_ann_v1"
    assert training["dropped"] == {}
    annotations = yaml.safe_load(run("show", "pets_ann_v2"))
    assert annotations["annotation_files"] == 13
    assert annotations["files"] == 26
    assert annotations["commit"] != training["commit"]
    with raises(UnknownTagError, "pets_train_v"):
        run("show", "pets_train_v3")


@pytest.mark.parametrize("kind", ["ann", "train"])
def test_diff_writes_a_page_with_the_changed_images(story, tmp_path, kind):
    page = tmp_path / "page.html"
    said = run("diff", f"pets_{kind}_v1", f"pets_{kind}_v2", "--html", page)
    assert f"{page}: 6 changed images\n" in said
    text = page.read_text()
    assert re.findall(r'<section class="card" id="(\w+)"', text) == ["relabelled", "added", "removed"]
    assert len(re.findall("<img src=", text)) == 2 + 4 + 1
    with pytest.raises(DataError):
        run("diff", f"pets_{kind}_v1", f"pets_{kind}_v2", "--html", page)


def test_a_table_that_changed_counts_as_relabeled(tmp_path, sightline_home):
    photos = write_images(tmp_path / "photos", names(2))
    for path in photos.glob("*.json"):
        path.unlink()
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    for version, label in (("v1", "bad"), ("v2", "worn")):
        (photos / "labels.csv").write_text(f"path,state\n000.jpg,good\n001.jpg,{label}\n")
        run("add", photos, "--dataset", "parts", "--version", version)
    difference = json.loads(run("diff", "parts_ann_v1", "parts_ann_v2", "--json"))
    assert (difference["relabelled"], difference["replaced"]) == (["labels.csv"], [])
    assert "relabeled: 1\n  labels.csv\n" in run("diff", "parts_ann_v1", "parts_ann_v2")


def test_diff_names_what_changed(story):
    training = json.loads(run("diff", "pets_train_v1", "pets_train_v2", "--json"))
    assert training["added"] == [f"annotations/pets/{name}.jpg" for name in names(4, start=10)]
    assert training["removed"] == ["annotations/pets/000.jpg"]
    assert training["relabelled"] == ["annotations/pets/001.jpg"]
    assert (training["replaced"], training["moved"]) == ([], {})
    lines = run("diff", "pets_ann_v1", "pets_ann_v2").splitlines()
    assert lines[:2] == ["added: 4", "  010.jpg"]
    assert "  001.json" in lines
    with raises(RepositoryError):
        run("diff", "pets_ann_v1", "pets_train_v2")


def test_boxes_of_an_earlier_release_are_not_new_labels(tmp_path, sightline_home, monkeypatch):
    def older_join(regions):
        segmentation, (left, top, width, height), area = join(regions)
        return segmentation, (left, top, width + 1, height + 1), area

    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    photos = write_images(tmp_path / "photos", names(10))
    run("add", photos, "--dataset", "dogs", "--version", "v1")
    with monkeypatch.context() as patch:
        patch.setattr(labelme_instances, "join", older_join)
        record.run(configuration("dogs_ann_v1"), "code")
    write_labels(photos, "001", ["dog"])
    document = json.loads((photos / "002.json").read_text())
    document["shapes"][0]["points"][0][0] += 0.25
    (photos / "002.json").write_text(json.dumps(document))
    run("add", photos, "--dataset", "dogs", "--version", "v2")
    record.run(configuration("dogs_ann_v2"), "code")
    for versions in (("dogs_train_v1", "dogs_train_v2"), ("dogs_train_v2", "dogs_train_v1")):
        difference = json.loads(run("diff", *versions, "--json"))
        assert difference["relabelled"] == ["annotations/dogs/001.jpg", "annotations/dogs/002.jpg"]
        assert len(difference["reboxed"]) == 8
        assert "note: 8 other images with the same labels" in run("diff", *versions)
    assert "note" not in run("diff", "dogs_train_v2", "dogs_train_v2")


def test_a_long_list_is_cut_unless_json_is_asked_for(story, tmp_path):
    folder, _ = story
    photos = write_images(tmp_path / "photos", names(15, start=100))
    shutil.copytree(folder / "data", tmp_path / "data")
    run("add", photos, "--dataset", "pets", "--version", "v3", "--repository", tmp_path / "data")
    said = run("diff", "pets_ann_v2", "pets_ann_v3", "--repository", tmp_path / "data").splitlines()
    assert said[0] == "added: 15"
    assert said[11] == "  and 5 more (--json lists all)"


def test_a_database_that_cannot_be_read_is_no_reason_to_hide_the_tags(home):
    (home / "sightline.sqlite").write_bytes(b"this is no database, it only has the name of one" * 100)
    result = CliRunner().invoke(command, ["list"])
    assert result.output.count("not recorded") == 4
    assert "the database cannot be read" in result.output
