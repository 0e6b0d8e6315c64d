"""A champion that is lost, damaged or of another release never blocks; the gate decides, and says so everywhere."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sightline.errors import StorageError
from sightline.files import file_sha256
from sightline.models.model_file import METADATA_KEY, write_tensors
from sightline.registry.champions import look_up_champion
from sightline.registry.results import EvaluateResult
from sightline.registry.store import from_json, to_json
from sightline.report.pages.summary import read_summary
from sightline.steps import evaluate, promote
from sightline.steps import test as testing
from sightline.storage import open_storage
from sightline.storage.local import LocalStorage
from sightline.tasks.instance_segmentation.task import InstanceSegmentation
from tests.copies import restore
from tests.golden import raises
from tests.steps.evaluation.conftest import make_site, take_over

METRICS = ("mask_AP", "EIR")


def point(site, metric, **changes):
    """Write a pointer as a person would, not through the storage."""
    path = site.folder / "bucket" / "champions" / "plates" / f"{metric}.json"
    document = json.loads(path.read_text()) | changes
    path.unlink()
    path.write_text(json.dumps(document))


def crown(site, model):
    """Make a model champion by every metric, whatever is in its file."""
    for metric in METRICS:
        point(site, metric, sha256=file_sha256(model), uri=model.as_uri(), training_tag="plates_train_v0")


def champion_files(site):
    return {Path(site.champion(metric)["uri"].removeprefix("file://")) for metric in METRICS}


def lose_model(site):
    for path in champion_files(site):
        path.unlink()


def flip(position):
    def damage(site):
        for path in champion_files(site):
            content = bytearray(path.read_bytes())
            content[int(position * (len(content) - 1))] ^= 1
            path.write_bytes(content)

    return damage


def truncate(site):
    for path in champion_files(site):
        path.write_bytes(path.read_bytes()[:1000])


def card(**changes):
    """A model file whose description in the header says something else."""

    def write(site):
        original = site.model(90)
        with safe_open(original, "pt") as file:
            document = json.loads(file.metadata()[METADATA_KEY]) | changes
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        path = site.folder / "changed.safetensors"
        write_tensors(path, tensors, {METADATA_KEY: json.dumps(document)})
        crown(site, path)

    return write


def other_weights(site):
    original = site.model(90)
    with safe_open(original, "pt") as file:
        metadata = file.metadata()
    path = site.folder / "weights.safetensors"
    write_tensors(path, {"something": torch.zeros(2)}, metadata)
    crown(site, path)


def other_network(backbone):
    def write(site):
        card(architecture=site.config().model.model_dump(mode="json") | {"backbone": backbone})(site)

    return write


def pointers(text):
    def write(site):
        for metric in METRICS:
            path = site.folder / "bucket" / "champions" / "plates" / f"{metric}.json"
            path.unlink()
            path.write_bytes(text)

    return write


def changed_pointers(**changes):
    def write(site):
        for metric in METRICS:
            point(site, metric, **changes)

    return write


def damaged_in_place(site):
    for metric in METRICS:
        path = site.folder / "bucket" / "champions" / "plates" / f"{metric}.json"
        path.write_bytes(path.read_bytes().replace(b"plates_train", b"signs_train_"))


DAMAGES = {
    "no model file": (lose_model, "is no longer in the result bucket"),
    "model, first byte": (flip(0.0), "damaged"),
    "model, in the header": (flip(0.001), "damaged"),
    "model, in the weights": (flip(0.7), "damaged"),
    "model, last byte": (flip(1.0), "damaged"),
    "model, truncated": (truncate, "damaged"),
    "model of a newer format": (card(format=99), "it has format 99"),
    "model of an older format": (card(format=0), "expected a positive whole number"),
    "model of another task": (card(task="tracking"), "was trained for the task tracking"),
    "model of other weights": (other_weights, "the weights do not match the model card"),
    "unknown network": (other_network("resnet19"), "unknown backbone 'resnet19'"),
    "unknown network of timm": (other_network("timm:nothing_like_it"), "unknown backbone"),
    "no pointer in the file": (pointers(b""), "it is empty"),
    "half a pointer": (pointers(b'{"metric": "EIR"'), "not valid JSON"),
    "not a pointer": (pointers(b"{}"), "is not a champion pointer"),
    "not text": (pointers(b"\xff\xfe\x00"), "not UTF-8"),
    "pointer of a newer release": (changed_pointers(format=99, models=[]), "it has format 99"),
    "pointer of another task": (changed_pointers(task="tracking"), "is for .* of task tracking"),
    "pointer with another hash": (changed_pointers(sha256="0" * 64), "damaged"),
    "pointer to nowhere": (changed_pointers(uri=""), "invalid URI"),
    "pointer to an unknown place": (changed_pointers(uri="ftp://host/model"), "invalid URI"),
    "pointer damaged on disk": (damaged_in_place, "is damaged"),
}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory, recorded, truth):
    """A site whose champion finds 90 percent, a worse candidate of the next version, and a copy of the site."""
    folder = tmp_path_factory.mktemp("chosen") / "site"
    folder.mkdir()
    site = make_site(folder, recorded)
    with pytest.MonkeyPatch.context() as patch:
        take_over(patch, truth)
        promote.run(site.config(), "code", site.trained(site.model(90)))
    train = site.trained(site.model(50, version="v2"), version="v2")
    shutil.copytree(folder, folder.with_name("copy"), symlinks=True)
    return site, train


@pytest.fixture
def damaged(chosen, damage, oracle):
    """The site with its champion damaged, the candidate, and what says so."""
    site, train = chosen
    restore(site.folder, site.folder.with_name("copy"))
    harm, why = DAMAGES[damage]
    harm(site)
    return site, train, why


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_champion_that_cannot_be_used_never_blocks(damaged, caplog):
    site, train, why = damaged
    before = [(site.folder / f"bucket/champions/plates/{metric}.json").read_bytes() for metric in METRICS]

    with caplog.at_level(logging.WARNING, "sightline"):
        kept = promote.run(site.config(), "code", train)

    for selection in kept.selections:
        assert (selection.promoted, selection.previous_value, selection.name) == (False, None, "best")
        assert selection.champion in {"unreadable", "incomparable"}
        assert not selection.champion_stays
        assert "best is not promoted, because the champion cannot be measured" in selection.reason
        assert "evaluate.replace_unreadable=true" in selection.reason
        assert re.search(why, selection.obstacle), selection.obstacle
        assert selection.reason in caplog.text
    assert [(site.folder / f"bucket/champions/plates/{metric}.json").read_bytes() for metric in METRICS] == before
    summary = read_summary(site.folder / "bucket" / kept.files.partition("/bucket/")[2])
    assert site.summary(kept.files)["selections"][0]["obstacle"] == kept.selections[0].obstacle
    assert [one.reason for one in summary.selections] == [one.reason for one in kept.selections]


@pytest.mark.parametrize(
    "damage",
    ["no model file", "model, in the weights", "model of a newer format", "not text", "pointer damaged on disk"],
)
def test_a_champion_that_cannot_be_used_is_replaced_where_the_settings_say_so(damaged):
    site, train, _ = damaged
    kept = promote.run(site.config(), "code", train)
    tested = testing.run(site.config(), "code", kept)
    assert [(model.name, model.role, model.metric) for model in tested.models] == [
        ("best", "candidate", "mask_AP, EIR")
    ]

    replaced = promote.run(site.config("evaluate.replace_unreadable=true"), "code", train)

    for selection in replaced.selections:
        assert selection.promoted
        assert "is promoted without a comparison, because evaluate.replace_unreadable is set" in selection.reason
        assert site.champion(selection.metric)["sha256"] == train.candidates[0].sha256
    after = promote.run(site.config("evaluate.replace_unreadable=true"), "code", train)
    assert after == replaced


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(
    "fault",
    [
        MemoryError("cannot allocate 80 GiB"),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        ModuleNotFoundError("No module named 'timm'"),
        IndexError("index 9 is out of bounds"),
        ZeroDivisionError("division by zero"),
        AssertionError("All bounding boxes should have positive height and width"),
    ],
    ids=["memory", "gpu memory", "library", "network", "arithmetic", "assertion of torchvision"],
)
def test_a_champion_whose_network_fails_never_blocks(site, fault, monkeypatch):
    first, other = site.model(90), site.model(50)
    promote.run(site.config(), "code", site.trained(first))
    load = InstanceSegmentation.load

    def failing(task, path, device):
        if path.stem == file_sha256(first):
            raise fault
        return load(task, path, device)

    with monkeypatch.context() as patched:
        patched.setattr(InstanceSegmentation, "load", failing)
        kept = promote.run(site.config(), "code", site.trained(other))
        assert promote.run(site.config(), "code", site.trained(other)) == kept

    for selection in kept.selections:
        assert (selection.promoted, selection.champion) == (False, "unreadable")
        assert str(fault) in selection.obstacle
    again = promote.run(site.config(), "code", site.trained(other))  # it fits now
    for selection in again.selections:
        assert (selection.promoted, selection.champion, selection.name) == (False, "measured", "champion")


@pytest.mark.usefixtures("oracle")
def test_a_champion_that_is_put_back_is_measured(site):
    promote.run(site.config(), "code", site.trained(site.model(30)))
    contents = {path: path.read_bytes() for path in champion_files(site)}
    lose_model(site)
    train = site.trained(site.model(50))
    assert not promote.run(site.config(), "code", train).selections[0].promoted
    for path, content in contents.items():
        path.write_bytes(content)

    result = promote.run(site.config(), "code", train)

    for selection in result.selections:
        assert (selection.promoted, selection.champion) == (True, "measured")
        assert "best beats the champion of plates_train_v1" in selection.reason


@pytest.mark.usefixtures("oracle")
def test_a_pointer_that_is_removed_makes_room_for_a_first_champion(site):
    promote.run(site.config(), "code", site.trained(site.model(30)))
    pointers(b"{}")(site)
    train = site.trained(site.model(50))
    assert not promote.run(site.config(), "code", train).selections[0].promoted
    for metric in METRICS:
        (site.folder / "bucket" / "champions" / "plates" / f"{metric}.json").unlink()

    result = promote.run(site.config(), "code", train)

    assert "best is the first champion" in result.selections[0].reason
    assert site.champion("EIR")["sha256"] == train.candidates[0].sha256


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("what", ["champions/", "evaluation/plates_train_v1/"])
def test_an_outage_of_the_bucket_stays_an_error(site, what, monkeypatch):
    promote.run(site.config(), "code", site.trained(site.model(30)))
    read = LocalStorage.read

    def unreachable(self, key, *arguments, **options):
        if what in self.uri_of(key):
            raise StorageError(f"cannot read {self.uri_of(key)}: the service is not available")
        return read(self, key, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "read", unreachable)
        with raises(StorageError):
            promote.run(site.config("evaluate.replace_unreadable=true"), "code", site.trained(site.model(50)))
    assert site.champion("EIR")["value"] < 0.5


@pytest.mark.usefixtures("oracle")
def test_a_first_champion_needs_the_minimum(site):
    train = site.trained(site.model(0), site.model(30))
    low = site.trained(site.model(0))

    none = promote.run(site.config(), "code", low)

    for selection in none.selections:
        assert (selection.promoted, selection.champion, selection.candidate_value) == (False, "none", 0.0)
        assert selection.reason == (
            f"no champion: {selection.metric} 0 of the best candidate (best) is below evaluate.minimum 0.05"
        )
        assert site.champion(selection.metric) is None
    assert not list((site.folder / "bucket").glob("evaluation/*/*/CURRENT.json"))
    (tested,) = testing.run(site.config(), "code", none).models
    assert (tested.name, tested.role, tested.metrics["EIR"]) == ("best", "candidate", 0.0)
    by_metric = promote.run(site.config("evaluate.minimum={EIR: 0.99}"), "code", train)
    assert {one.metric: one.promoted for one in by_metric.selections} == {"mask_AP": True, "EIR": False}
    assert "is below evaluate.minimum 0.99" in by_metric.selections[1].reason
    assert promote.run(site.config("evaluate.minimum=0"), "code", low).selections[1].promoted


@pytest.mark.usefixtures("oracle")
def test_the_champion_itself_as_candidate_stays(site):
    config, train = site.config("evaluate.drawn_images=0"), site.trained(site.model(50))
    promote.run(site.config(), "code", train)

    again = promote.run(config, "code", train)

    for selection in again.selections:
        assert (selection.promoted, selection.champion_stays) == (False, False)
        assert selection.reason.startswith(f"best is already the champion: {selection.metric} ")


@pytest.mark.usefixtures("oracle")
def test_champions_of_two_tasks_live_side_by_side(site):
    promote.run(site.config(), "code", site.trained(site.model(50)))
    path = site.folder / "bucket" / "champions" / "plates" / "keypoints" / "EIR.json"
    path.parent.mkdir()
    other = site.champion("EIR") | {"task": "keypoints", "sha256": "f" * 64, "sequence": 5}
    path.write_text(json.dumps(other))
    storage = open_storage(site.config().storage.uri)

    better = promote.run(site.config(), "code", site.trained(site.model(70)))

    assert all(selection.promoted for selection in better.selections)
    assert look_up_champion(storage, "plates", "EIR", "keypoints").sha256 == "f" * 64
    assert look_up_champion(storage, "plates", "EIR").sha256 == better.selections[1].sha256


@pytest.mark.usefixtures("oracle")
def test_results_and_pointers_of_earlier_releases_are_read(site):
    kept = promote.run(site.config(), "code", site.trained(site.model(50)))
    new = ("candidate", "champion", "obstacle", "compared_classes", "added_classes", "removed_classes")
    document = json.loads(to_json(kept))
    for selection in document["selections"]:
        for name in [name for name in selection if name.startswith(new)]:
            del selection[name]
    for model in document["models"]:
        del model["classes"]
    for metric in METRICS:
        path = site.folder / "bucket" / "champions" / "plates" / f"{metric}.json"
        pointer = json.loads(path.read_text())
        path.unlink()
        path.write_text(
            json.dumps(
                {
                    name: pointer[name]
                    for name in list(pointer)
                    if name not in {"task", "sequence", "run_id", "previous_value"}
                }
            )
        )

    earlier = from_json(EvaluateResult, json.dumps(document))
    (tested,) = testing.run(site.config(), "code", earlier).models
    later = promote.run(site.config(), "code", site.trained(site.model(70)))

    assert (tested.name, tested.role, tested.metric) == ("best", "", "mask_AP, EIR")
    assert all(selection.promoted for selection in later.selections)
    assert site.champion("EIR")["previous_sha256"] == kept.selections[1].sha256
    assert evaluate.run(site.config(), "code", site.trained(site.model(70))) == later
