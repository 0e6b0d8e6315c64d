"""Tables of names: what they find, and the one message of a name that is not there."""

import pytest

from sightline.config.decode import decode
from sightline.config.metric_choice import check_best_metric, check_select_by
from sightline.config.network import Detector
from sightline.errors import ConfigurationError, SightlineError
from sightline.models.backbone_check import check_backbone
from sightline.names import NameTable, unknown_name
from sightline.storage import open_storage
from sightline.storage.uris import BACK_ENDS
from sightline.tasks.base import TASKS, load_task
from sightline.tasks.evaluators import EVALUATORS
from sightline.tasks.readers.registry import READERS, open_reader
from sightline.tracking import TrackedTraining, open_trackers
from sightline.tracking.base import TRACKERS

TABLE = NameTable("step", {"record": "sightline.steps.*:run", "copy": "shutil:copytree"})


def test_a_star_stands_for_the_name():
    assert dict(TABLE) == {"record": "sightline.steps.record:run", "copy": "shutil:copytree"}
    assert TABLE.load("record").__module__ == "sightline.steps.record"
    assert TABLE.load("copy").__name__ == "copytree"
    assert TABLE.require("copy") == "copy"


@pytest.mark.parametrize("use", [TABLE.require, TABLE.load])
def test_an_unknown_name_is_refused_with_the_nearest_and_all(use):
    with pytest.raises(ConfigurationError) as caught:
        use("recrod", "steps")
    assert str(caught.value) == "steps: unknown step 'recrod'; did you mean record? Available: record, copy"
    with pytest.raises(ConfigurationError, match=r"^unknown step 'xyz'\. Available: record, copy$"):
        use("xyz")


def test_a_long_or_strange_name_is_cut_short():
    assert len(unknown_name("step", "x" * 10**6, TABLE)) < 300
    assert unknown_name("step", 7, ()) == "unknown step 7. Available: none"


@pytest.mark.parametrize("length", [0, 150, 170, 186, 190, 500])
def test_a_password_is_hidden_before_a_name_is_cut_short(length):
    message = unknown_name("step", f"{'x' * length} https://me:s3cr3t-s3cr3t-s3cr3t@host/data.git", TABLE)
    assert "s3c" not in message


@pytest.mark.parametrize("table", [TASKS, EVALUATORS, READERS, TRACKERS, BACK_ENDS], ids=lambda table: table.noun)
def test_what_a_table_names_is_there(table):
    for name in table:
        assert table.load(name) is not None


def storage(name, tmp_path):
    open_storage(f"{name}://bucket")


def trackers(name, tmp_path):
    open_trackers([name], TrackedTraining(tmp_path / "new"))


def of(*overrides):
    return lambda name, _: decode("plates", [one.format(name) for one in overrides])


USES = {
    "task": (lambda name, _: load_task(name), "object_detectoin", "object_detection"),
    "task in the configuration": (of("task={}"), "object_detectoin", "object_detection"),
    "reading": (lambda name, _: open_reader(name, []), "plate", "plates"),
    "reading in the configuration": (of("reading={}"), "plate", "plates"),
    "tracker": (trackers, "tensorbord", "tensorboard"),
    "tracker in the configuration": (of("train.trackers=[text, {}]"), "tensorbord", "tensorboard"),
    "metric": (lambda name, _: check_select_by(of("evaluate.select_by=[{}]")(name, _)), "mask_ap", "mask_AP"),
    "validation metric": (lambda name, _: check_best_metric(of("train.best_metric={}")(name, _)), "box", "box_AP"),
    "backbone": (lambda name, _: check_backbone(Detector(backbone=name)), "resnet5", "resnet50"),
    "storage scheme": (storage, "s3", ""),
    "recipe": (lambda name, _: decode(name), "plats", "plates"),
    "key": (of("train.{}=1"), "iteration", "iterations"),
}


@pytest.mark.parametrize("use", USES)
def test_every_unknown_name_has_the_same_message(use, tmp_path):
    call, name, near = USES[use]
    with pytest.raises(SightlineError) as caught:
        call(name, tmp_path)
    message = str(caught.value)
    assert f"unknown {use.removesuffix(' in the configuration').split(' of the')[0]}" in message
    assert f" '{name}'{f'; did you mean {near}?' if near else '.'} Available: " in message
    assert not (tmp_path / "new").exists()
