"""``sightline champion``: promotions and rollbacks by hand, their history in both stores, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import closing
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from sightline.cli import cli
from sightline.database import open_database
from sightline.database.engine import retry
from sightline.errors import DamagedObjectError, ModelFileError, StepError
from sightline.files import file_sha256
from sightline.models.model_file import save_model
from sightline.registry.actor import person
from sightline.registry.champions import ChampionName, read_champion
from sightline.storage import open_storage
from sightline.tasks.base import load_task
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.object_detection.settings import BoxDetector
from tests.golden import raises
from tests.squares import TINY_MODEL, make_card

NAME = ChampionName("plates", "mask_AP")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Model files: three good ones, one without metrics, and one each with another task, dataset and class list."""
    folder = tmp_path_factory.mktemp("models")
    plain = make_card(training_tag="plates_train_v1", metrics={"mask_AP": 0.25})
    boxes = BoxDetector(**{name: getattr(TINY_MODEL, name) for name in BoxDetector.model_fields if name != "detector"})
    cards = dict.fromkeys("abc", plain) | {
        "unmeasured": dataclasses.replace(plain, metrics={}),
        "other dataset": dataclasses.replace(plain, training_tag="signs_train_v1"),
        "other task": dataclasses.replace(plain, task="object_detection", architecture=boxes),
        "other classes": dataclasses.replace(plain, classes=("0", "x")),
    }
    for seed, (name, card) in enumerate(cards.items()):
        torch.manual_seed(seed)
        network = load_task(card.task).build_network(card.architecture, len(card.classes))
        save_model(folder / f"{name}.safetensors", network, card)
    return {name: folder / f"{name}.safetensors" for name in cards}


@dataclasses.dataclass
class Place:
    """An empty bucket and database."""

    folder: object
    models: dict

    @property
    def settings(self):
        return ["--set", f"storage.uri={self.folder}/bucket", "--set", f"database.url={self.url}"]

    @property
    def url(self):
        return f"sqlite:///{self.folder}/x.sqlite"

    @property
    def storage(self):
        return open_storage(f"{self.folder}/bucket")

    def sha256(self, name):
        return file_sha256(self.models[name])

    def run(self, command, *arguments):
        arguments = [command, *arguments, *self.settings]
        if command in {"promote", "rollback"} and "--reason" not in arguments:
            arguments += ["--reason", f"a test of {command}"]
        return CliRunner().invoke(cli, ["champion", *arguments], catch_exceptions=False)

    def said(self, command, *arguments):
        result = self.run(command, *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def promote(self, name, *arguments):
        return self.said("promote", "plates", str(self.models[name]), *arguments)

    def document(self, *arguments):
        (found,) = json.loads(self.said("history", "plates", "--json", *arguments))
        return found

    def pointer(self):
        return read_champion(self.storage, "plates", "mask_AP")[0]

    def rows(self):
        with closing(open_database(self.url)) as database:
            return [row.record for row in database.promotions("plates", "mask_AP")]

    def content(self):
        """Everything that a refused command must not change."""
        objects = {info.key: info.generation for info in self.storage.list("champions/")}
        return objects, self.rows()


@pytest.fixture
def place(tmp_path, models):
    return Place(tmp_path, models)


def test_promote_roll_back_and_roll_back_the_rollback(place):
    a, b = place.sha256("a"), place.sha256("b")
    assert "there was none" in place.promote("a", "--metric", "mask_AP", "--reason", "the  first\nof all")
    place.promote("b")
    place.said("rollback", "plates", "--reason", "b misses dirty plates")
    place.said("rollback", "plates", "--reason", "it was the camera")
    found = place.document()
    assert found["champion"] == found["promotions"][0]
    assert [(one["sequence"], one["action"], one["model"], one["previous_model"]) for one in found["promotions"]] == [
        (4, "rollback", b, a),
        (3, "rollback", a, b),
        (2, "by hand, uncompared", b, a),
        (1, "by hand, uncompared", a, None),
    ]
    assert {one["actor"] for one in found["promotions"]} == {person()}
    assert [one["reason"] for one in found["promotions"]] == [
        "it was the camera",
        "b misses dirty plates",
        "a test of promote",
        "the first of all",
    ]
    assert [one["value"] for one in found["promotions"]] == [0.25] * 4
    assert [(row.sequence, row.action, row.actor, row.reason) for row in reversed(place.rows())] == [
        (one["sequence"], one["action"], one["actor"], one["reason"]) for one in found["promotions"]
    ]
    assert (place.pointer().sha256, place.pointer().sequence) == (b, 4)


def test_back_to_a_number(place):
    for name in "abc":
        place.promote(name, "--metric", "mask_AP")
    place.said("rollback", "plates", "--to", "1")
    assert place.pointer().sha256 == place.sha256("a")
    before = place.content()
    assert "already" in place.said("rollback", "plates", "--to", "1")
    assert "already" in place.promote("a")
    with raises(StepError):
        place.run("rollback", "plates", "--to", "5")
    assert place.content() == before
    place.said("rollback", "plates", "--to", "3")
    assert place.pointer().sha256 == place.sha256("c")


@pytest.mark.parametrize("name", ["other dataset", "other classes", "other task"])
def test_a_model_that_does_not_fit_is_refused(place, name):
    place.promote("a", "--metric", "mask_AP")
    before = place.content()
    with raises(ModelFileError, NAME.dataset):
        place.run("promote", "plates", str(place.models[name]))
    assert place.content() == before


def test_all_faults_of_a_model_at_once(place, tmp_path):
    place.promote("a", "--metric", "mask_AP")
    torch.manual_seed(0)
    card = make_card(training_tag="signs_train_v1", classes=("x", "y"))
    save_model(tmp_path / "m.safetensors", build_detector(TINY_MODEL, 2), card)
    with raises(ModelFileError, "signs_train_v1", "x, y"):
        place.run("promote", "plates", str(tmp_path / "m.safetensors"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def replaced(path):
    path.write_bytes(b"something else")


def changed(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [cut, replaced, changed, lambda path: path.unlink()])
def test_a_former_champion_that_is_damaged_or_gone_is_refused(place, harm):
    place.promote("a", "--metric", "mask_AP")
    uri = place.pointer().uri
    place.promote("b")
    path = Path(uri.removeprefix("file://"))
    content = path.read_bytes()
    harm(path)
    before = place.content()
    with pytest.raises((ModelFileError, StepError, DamagedObjectError), match=re.escape(str(path))):
        place.run("rollback", "plates")
    assert place.content() == before
    path.write_bytes(content)
    place.said("rollback", "plates")


def test_a_damaged_champion_is_rolled_back(place):
    for name in "ab":
        place.promote(name, "--metric", "mask_AP")
    Path(place.pointer().uri.removeprefix("file://")).unlink()
    place.said("rollback", "plates")
    assert place.pointer().sha256 == place.sha256("a")


def test_a_repeated_rollback_does_not_go_further_back(place):
    """A rollback that was killed at its end is repeated by the same person."""
    for name in "abc":
        place.promote(name, "--metric", "mask_AP")
    place.said("rollback", "plates")
    before = place.content()
    assert "--to" in place.said("rollback", "plates")
    assert place.content() == before
    place.said("rollback", "plates", "--reason", "another")
    assert place.pointer().sha256 == place.sha256("c")


def test_the_first_champion_cannot_be_rolled_back(place):
    with raises(StepError):
        place.run("rollback", "plates")
    place.promote("a", "--metric", "mask_AP")
    with raises(StepError):
        place.run("rollback", "plates")


def test_a_model_that_nobody_measured(place):
    place.promote("unmeasured", "--metric", "mask_AP")
    assert place.document()["champion"]["value"] is None
    assert place.rows()[0].value is None
    assert "not measured" in place.said("show", "plates")
    place.promote("a")
    assert place.pointer().value == 0.25


def test_which_champion(place):
    with raises(StepError):
        place.promote("a")
    with raises(StepError):
        place.promote("a", "--metric", "accuracy")
    for metric in ("mask_AP", "box_AP"):
        place.promote("a", "--metric", metric)
    with raises(StepError):
        place.promote("b")
    with raises(StepError):
        place.run("rollback", "plates")
    place.promote("b", "--metric", "box_AP")
    with raises(StepError):
        place.run("history", "plates", "--metric", "EIR")
    found = json.loads(place.said("show", "plates", "--json"))
    assert {one["metric"]: one["champion"]["model"] for one in found} == {
        "box_AP": place.sha256("b"),
        "mask_AP": place.sha256("a"),
    }


def test_champions_of_another_task_begin_only_where_asked(place):
    place.promote("a", "--metric", "mask_AP")
    with raises(ModelFileError):
        place.promote("other task", "--metric", "mask_AP")
    place.promote("other task", "--metric", "box_AP", "--task", "object_detection")
    assert [one["task"] for one in json.loads(place.said("list", "plates", "--json"))] == [
        "instance_segmentation",
        "object_detection",
    ]


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 4001, "a\x1b[31m", "\udcff"])
def test_a_reason_is_needed(place, reason):
    result = place.run("promote", "plates", str(place.models["a"]), "--metric", "mask_AP", "--reason", reason)
    assert result.exit_code == 2
    assert "--reason" in result.stderr
    assert list(place.storage.names()) == []


def test_a_list_with_a_pointer_that_cannot_be_read(place):
    place.promote("a", "--metric", "mask_AP")
    place.promote("a", "--metric", "box_AP")
    place.storage.write_bytes("champions/plates/box_AP.json", b"{")
    result = place.run("list")
    assert result.exit_code == 0
    assert place.sha256("a")[:12] in result.stdout
    assert "unreadable" in result.stdout
    assert "box_AP.json" in result.stderr
    with raises(StepError):
        place.run("promote", "plates", str(place.models["b"]), "--metric", "box_AP")


def test_a_pointer_that_was_removed_is_restored_by_a_rollback(place):
    for name in "ab":
        place.promote(name, "--metric", "mask_AP")
    place.storage.delete("champions/plates/mask_AP.json")
    assert place.document()["champion"] is None
    assert "there was none" in place.said("rollback", "plates")
    assert (place.pointer().sha256, place.pointer().sequence) == (place.sha256("b"), 3)


def test_nothing_there(place):
    assert "no champions" in place.said("list")
    assert json.loads(place.said("list", "--json")) == []
    with raises(StepError):
        place.run("history", "plates")


def test_the_database_is_lost(place):
    """It is rebuilt from the bucket, by any command that shows champions."""
    for name in "abc":
        place.promote(name, "--metric", "mask_AP")
    before = place.rows()
    (place.folder / "x.sqlite").unlink()
    place.said("list")
    assert place.rows() == before


def test_a_database_that_cannot_be_reached(place, monkeypatch):
    place.promote("a", "--metric", "mask_AP")
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.1)
    away = ["--set", "database.url=mysql+pymysql://tester@127.0.0.1:9/t"]
    result = place.run("history", "plates", "--json", *away)
    assert result.exit_code == 0


def test_lineage_says_who_and_how(place, tmp_path):
    place.promote("a", "--metric", "mask_AP", "--reason", "<b>the first</b>")
    page = tmp_path / "page.html"
    asked = ["lineage", place.sha256("a"), "--url", place.url]
    text = CliRunner().invoke(cli, asked, catch_exceptions=False).output
    assert f"by hand, uncompared by {person()}" in text
    (one,) = json.loads(CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False).stdout)["promotions"]
    assert (one["action"], one["actor"], one["evidence"]) == ("by hand, uncompared", person(), None)
    CliRunner().invoke(cli, [*asked, "--html", str(page)], catch_exceptions=False)
    shown = page.read_text()
    assert f"by hand, uncompared by {person()}" in shown
    assert "&lt;b&gt;the first&lt;/b&gt;" in shown
