"""``sightline data remove`` as a person types it."""

import json
import shlex
import shutil

import pytest
from click.testing import CliRunner

from sightline.cli.data import command
from sightline.config.decode import decode
from sightline.errors import DatabaseError, RepositoryError, UnknownTagError
from sightline.steps import record
from tests.golden import raises
from tests.labelled_folder import CLASSES, names, write_images


def run(*arguments: object) -> str:
    return CliRunner().invoke(command, [str(part) for part in arguments], catch_exceptions=False).stdout


@pytest.fixture
def photos(tmp_path):
    """A recorded version v1 in the default places."""
    run("init", tmp_path / "data", "--remote", tmp_path / "remote")
    photos = write_images(tmp_path / "photos", names(8))
    run("add", photos, "--dataset", "pets", "--version", "v1")
    configuration = [f"data.classes=[{', '.join(CLASSES)}]", "data.tag=pets_ann_v1", "data.jobs=1"]
    record.run(decode("instance_segmentation", configuration), "code")
    return photos


def test_without_yes_it_says_what_it_would_do_and_how(photos, tmp_path):
    said = run("remove", "pets_train_v1", "--reason", "wrong splits")
    assert "would remove pets_train_v1 (commit " in said
    assert str(tmp_path / "data") in said
    printed = said.splitlines()[-1].partition("to remove it: ")[2]
    assert printed == "sightline data remove pets_train_v1 --reason 'wrong splits' --yes"
    assert "pets_train_v1" in run("list")
    # The line works as it is printed.
    assert "pets_train_v1 (commit " in run(*shlex.split(printed)[2:])
    assert "pets_train_v1" not in run("list")


def test_it_ends_with_the_next_command(photos):
    assert "--set data.tag=pets_ann_v1" in run("remove", "pets_train_v1", "--yes").splitlines()[-1]
    said = run("remove", "pets_ann_v1", "--yes").splitlines()
    assert said[1].endswith("sightline data add FOLDER --dataset pets --version v1")
    assert said[2].endswith("sightline data add FOLDER --dataset pets --version NEW")
    assert run("remove", "pets_ann_v1", "--yes").splitlines()[0].endswith(" before; nothing else changed")
    assert run("add", photos, "--dataset", "pets", "--version", "v1").startswith("pets_ann_v1: added (16 files")


def test_lists_show_it_with_all_alone(photos):
    run("remove", "pets_train_v1", "--yes", "--reason", "wrong splits")
    assert "pets_train_v1" not in run("list")
    last = run("list", "--all").splitlines()[-1]
    assert last.startswith("pets_train_v1 (commit ")
    assert last.endswith("(wrong splits)")
    rows = {row["tag"]: row for row in json.loads(run("list", "--all", "--json"))}
    assert rows["pets_ann_v1"]["removed"] is None
    assert rows["pets_train_v1"]["removed"]["why"] == "wrong splits"
    assert rows["pets_train_v1"]["registered"] is None
    for arguments in (["show", "pets_train_v1"], ["diff", "pets_train_v1", "pets_train_v1"]):
        with raises(UnknownTagError):
            run(*arguments)


def test_later_training_sets_that_keep_its_splits_are_named(photos):
    write_images(photos, names(4, start=8))
    run("add", photos, "--dataset", "pets", "--version", "v2")
    configuration = [f"data.classes=[{', '.join(CLASSES)}]", "data.tag=pets_ann_v2", "data.jobs=1"]
    record.run(decode("instance_segmentation", configuration), "code")
    assert "its splits stay in pets_train_v2" in run("remove", "pets_train_v1")
    assert "its splits stay" not in run("remove", "pets_train_v2")


def test_json_says_the_same(photos):
    plan = json.loads(run("remove", "pets_train_v1", "--json"))
    done = json.loads(run("remove", "pets_train_v1", "--json", "--yes"))
    again = json.loads(run("remove", "pets_train_v1", "--json"))
    assert (plan["removed"], done["removed"], again["removed"]) == (False, True, True)
    assert (plan["before"], done["before"], again["before"]) == (False, False, True)
    assert plan["commit"] == done["commit"] == again["commit"]
    assert again["at"] == done["at"]


def test_what_a_training_set_needs_is_refused(photos):
    with raises(RepositoryError, "pets_ann_v1", "pets_train_v1"):
        run("remove", "pets_ann_v1", "--yes")
    assert "pets_ann_v1" in run("list")


def test_a_database_that_cannot_be_asked_stops_it_unless_told(photos, sightline_home):
    (sightline_home / "sightline.sqlite").write_bytes(b"no database, it only has the name of one" * 100)
    with raises(DatabaseError, "pets_train_v1", "--database", "--unchecked"):
        run("remove", "pets_train_v1", "--yes")
    assert "pets_train_v1" in run("list")
    said = run("remove", "pets_train_v1", "--unchecked")
    assert said.splitlines()[-1].endswith("sightline data remove pets_train_v1 --unchecked --yes")
    run("remove", "pets_train_v1", "--unchecked", "--yes")
    assert "pets_train_v1" not in run("list")


def test_another_repository_and_options_that_exclude_each_other(photos, tmp_path):
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    run("remove", "pets_train_v1", "--yes", "--repository", tmp_path / "other")
    assert "pets_train_v1" in run("list")
    assert "pets_train_v1" not in run("list", "--repository", tmp_path / "other")
    wrong = CliRunner().invoke(command, ["remove", "pets_ann_v1", "--unchecked", "--bucket", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "--unchecked" in wrong.output
