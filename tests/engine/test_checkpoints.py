"""Checkpoints that are damaged, abandoned, or do not fit on the disk; and the bucket that has copies of them."""

import contextlib
import json
import logging
import threading

import pytest
import torch
from torch import nn

from sightline.engine import checkpoints as module
from sightline.engine.checkpoints import BucketFolder, Checkpoints, ranked_name
from sightline.engine.state import Ranked
from sightline.errors import ModelFileError, StepError
from sightline.models.model_file import save_model
from sightline.storage import open_storage
from tests.engine.plain import PLAIN_TRAIN, plain_network
from tests.engine.training import build
from tests.golden import raises
from tests.steps.test_disk_faults import disk


@pytest.fixture
def training(tmp_path):
    return build(tmp_path / "training", PLAIN_TRAIN, network=plain_network())


def saved(training, folder, *iterations, copy=None, rank=()):
    """Checkpoints of these iterations, each with other weights; those in ``rank`` come with a candidate."""
    checkpoints = Checkpoints(folder, copy, minutes=1e-9)
    for iteration in iterations:
        training.state.iteration = iteration
        with torch.no_grad():
            training.network[0].bias.fill_(iteration)
        if iteration in rank:
            save_model(checkpoints.path(ranked_name(iteration)), training.network, training.card)
            training.state.ranking.append(Ranked(iteration, {"mask_AP": 0.5}))
        checkpoints.save(training, {})
    checkpoints.close()
    return checkpoints


def restored(training, folder, copy=None):
    """The iteration that a new process resumes from; 0: from scratch."""
    training.state.iteration = 0
    Checkpoints(folder, copy).restore(training)
    if training.state.iteration:
        assert training.network[0].bias.tolist() == [training.state.iteration] * 4
    return training.state.iteration


def places(data):
    """Bytes to damage: the first and the last, and some of each part between them."""
    return sorted({0, 1, 7, 8, 9, 20, *range(0, len(data), max(1, len(data) // 12)), len(data) - 1})


def means(manifest):
    """What a manifest says, or None."""
    try:
        values = json.loads(manifest)
        return values["iteration"], values["files"]
    except (ValueError, KeyError, TypeError):
        return None


@pytest.mark.parametrize("name", ["00000002.safetensors", "00000002.json", "candidate-00000002.safetensors"])
def test_any_damage_to_the_newest_checkpoint_falls_back_to_the_one_before(training, tmp_path, name, caplog):
    caplog.set_level(logging.WARNING, "sightline")
    saved(training, tmp_path / "c", 1, 2, rank=[2])
    path = tmp_path / "c" / name
    data = path.read_bytes()
    damaged = [data[:at] + bytes([data[at] ^ 0x08]) + data[at + 1 :] for at in places(data)]
    damaged += [data[:length] for length in (0, 1, 8, len(data) // 2, len(data) - 1)] + [data + b"\0", None]
    for one in damaged:
        caplog.clear()
        if one is None:
            path.unlink()
        else:
            path.write_bytes(one)
        same = name.endswith(".json") and means(one) == means(data)  # a flip in the name of a field with a default
        assert restored(training, tmp_path / "c") == (2 if same else 1)
        forgotten = name.endswith(".json") and one is None
        assert forgotten or same or "iteration 2 on disk is not usable" in caplog.text
    path.write_bytes(data)
    assert restored(training, tmp_path / "c") == 2


def test_a_training_without_a_usable_checkpoint_does_not_begin_from_scratch(training, tmp_path):
    saved(training, tmp_path / "c", 1, 2)
    for path in (tmp_path / "c").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    with raises(StepError, tmp_path / "c"):
        restored(training, tmp_path / "c")


def test_damage_is_made_good_from_the_bucket(training, tmp_path):
    copy = BucketFolder(open_storage(str(tmp_path / "bucket")), "results/t")
    saved(training, tmp_path / "c", 1, 2, copy=copy)
    for path in (tmp_path / "c").glob("*.safetensors"):
        path.write_bytes(b"")
    assert restored(training, tmp_path / "c", copy) == 2
    assert restored(training, tmp_path / "c") == 2


@pytest.mark.parametrize("damage", ["00000009.safetensors", "00000009.json"])
def test_an_abandoned_checkpoint_does_not_take_the_place_of_a_usable_one(training, tmp_path, damage, caplog):
    """Checkpoints are also due by time, so that the next ones need not have the same numbers."""
    saved(training, tmp_path / "c", 5, 9)
    (tmp_path / "c" / damage).write_bytes(b"{")
    assert restored(training, tmp_path / "c") == 5
    caplog.clear()
    saved(training, tmp_path / "c", 6, 7)
    assert caplog.text == ""
    assert sorted(path.stem for path in (tmp_path / "c").glob("*.json")) == ["00000006", "00000007"]
    (tmp_path / "c" / "00000007.safetensors").unlink()
    assert restored(training, tmp_path / "c") == 6


def test_a_manifest_that_is_damaged_later_does_not_stop_checkpoints(training, tmp_path, caplog):
    saved(training, tmp_path / "c", 1)
    (tmp_path / "c" / "00000001.json").write_text("")
    saved(training, tmp_path / "c", 2)
    assert "could not write" not in caplog.text
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["00000002.json", "00000002.safetensors"]


def test_a_candidate_that_is_saved_meanwhile_stays(training, tmp_path, monkeypatch):
    """The checkpoint of iteration 2 is still being written when iteration 3 has a good model."""
    begun, wait = threading.Event(), threading.Event()
    digest = module.file_sha256

    def slow(path):
        begun.set()
        assert wait.wait(30)
        return digest(path)

    monkeypatch.setattr(module, "file_sha256", slow)
    checkpoints = Checkpoints(tmp_path / "c")
    training.state.iteration = 2
    checkpoints.save(training, {})
    assert begun.wait(30)
    save_model(checkpoints.path(ranked_name(3)), training.network, training.card)
    wait.set()
    checkpoints.close()
    assert (tmp_path / "c" / ranked_name(3)).is_file()


def test_the_bucket_gets_a_state_that_was_written_again(training, tmp_path):
    """A copy was cut short after the state of iteration 2; another process writes that iteration, with other times."""
    copy = BucketFolder(open_storage(str(tmp_path / "bucket")), "results/t")
    saved(training, tmp_path / "c", 1, 2, copy=copy)
    copy.storage.delete(copy.key("00000002.json"))
    (tmp_path / "c" / "00000002.json").unlink()
    training.state.seconds = 99.0
    saved(training, tmp_path / "c", 2, copy=copy)
    assert restored(training, tmp_path / "empty", copy) == 2
    assert training.state.seconds == 99.0


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))


def test_a_full_disk_costs_a_checkpoint_and_not_the_training(training, tmp_path, caplog):
    with disk(tmp_path / "disk", "100k"):
        checkpoints = saved(training, tmp_path / "disk" / "c", 1)
        fill(tmp_path / "disk")
        checkpoints = Checkpoints(tmp_path / "disk" / "c")
        training.state.iteration = 2
        checkpoints.save(training, {})
        checkpoints.close()
        assert "could not write a checkpoint" in caplog.text
        assert [path.name for path in (tmp_path / "disk").rglob("*.part")] == []
        assert restored(training, tmp_path / "disk" / "c") == 1
        training.state.iteration = 2
        with pytest.raises((ModelFileError, StepError)):
            Checkpoints(tmp_path / "disk" / "c").save(training, {}, last=True)
        (tmp_path / "disk" / "filler").unlink()
        saved(training, tmp_path / "disk" / "c", 3)
        assert restored(training, tmp_path / "disk" / "c") == 3


@pytest.mark.parametrize("width", [5, 2])
def test_a_checkpoint_of_another_network_is_refused(training, tmp_path, width):
    """Of a body with other channels, or of a head for another number of classes."""
    saved(training, tmp_path / "c", 1)
    network = plain_network()
    if width == 5:
        network[0] = nn.Conv2d(3, 5, 3)
    else:
        network[4] = nn.Conv2d(4, 3, 1)
    other = build(tmp_path / "other", PLAIN_TRAIN, network=network)
    with raises(StepError, "00000001.safetensors", "size mismatch"):
        Checkpoints(tmp_path / "c").restore(other)


def test_manifests_list_what_belongs_to_a_checkpoint(training, tmp_path):
    saved(training, tmp_path / "c", 1, 2, rank=[1, 2])
    manifest = json.loads((tmp_path / "c" / "00000002.json").read_text())
    assert sorted(manifest["files"]) == ["00000002.safetensors", ranked_name(1), ranked_name(2)]
