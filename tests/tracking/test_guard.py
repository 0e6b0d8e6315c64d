"""A tracker that fails, blocks or fills the disk leaves the training alone."""

import logging
import resource
import threading
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest

from sightline.tracking import PrecisionRecallCurve, TrackedImage, TrackedTraining, Tracker, guard, open_trackers
from sightline.tracking.guard import Guard
from sightline.tracking.text import read_metrics


def use(tracker):
    """Call every method once."""
    tracker.log_parameters({"seed": 1})
    tracker.log_metrics(1, {"loss": 1.0})
    tracker.log_images(1, "val/predictions", [TrackedImage(np.zeros((4, 4, 3), np.uint8))])
    tracker.log_curves(1, "val/mask", [PrecisionRecallCurve("a", np.array([0.0, 1]), np.array([1.0, 0]))])
    tracker.log_model("best.safetensors", "best", {"mask_AP": 0.5})
    tracker.failed(ValueError("x"))
    tracker.close()


class Calls(Tracker):
    """Notes what it is called with, after it raised its errors."""

    def __init__(self, *errors, immediate=False):
        self.errors, self.calls, self.immediate, self.threads = list(errors), [], immediate, set()

    def note(self, *call):
        self.threads.add(threading.current_thread())
        if self.errors:
            raise self.errors.pop(0)
        self.calls.append(call)

    def log_parameters(self, parameters):
        self.note("parameters", parameters)

    def log_metrics(self, iteration, values):
        self.note("metrics", iteration, values)

    def log_images(self, iteration, name, images):
        self.note("images", iteration, name, len(images))

    def log_curves(self, iteration, name, curves):
        self.note("curves", iteration, name, [curve.name for curve in curves])

    def log_model(self, path, name, metrics):
        self.note("model", path, name, metrics)

    def failed(self, error):
        self.note("failed", str(error))

    def close(self):
        self.note("close")


ALL = [
    ("parameters", {"seed": 1}),
    ("metrics", 1, {"loss": 1.0}),
    ("images", 1, "val/predictions", 1),
    ("curves", 1, "val/mask", ["a"]),
    ("model", "best.safetensors", "best", {"mask_AP": 0.5}),
    ("failed", "x"),
    ("close",),
]


@pytest.mark.parametrize("immediate", [False, True])
def test_every_call_arrives_once_and_in_order(immediate):
    tracker = Calls(immediate=immediate)
    use(Guard("x", tracker))
    assert tracker.calls == ALL
    assert (threading.main_thread() in tracker.threads) == immediate


@pytest.mark.parametrize("immediate", [False, True])
def test_calls_that_find_no_disk_are_repeated(immediate, caplog):
    tracker = Calls(OSError(28, "disk full"), immediate=immediate)
    use(Guard("x", tracker))
    assert tracker.calls == ALL
    assert caplog.text.count("disk full") <= 1


@pytest.mark.parametrize(("name", "shows"), [("text", False), ("tensorboard", True)])
def test_pictures_are_drawn_only_for_trackers_that_show_them(name, shows, tmp_path):
    with closing(open_trackers([name], TrackedTraining(tmp_path))) as tracker:
        assert tracker.shows_pictures == shows


@pytest.mark.parametrize("error", [TypeError("a bug"), RuntimeError("another")])
def test_calls_that_are_wrong_are_left_out_and_told_once(error, caplog):
    tracker = Calls(error)
    use(Guard("x", tracker))
    assert tracker.calls == ALL[1:]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_tracker_that_blocks_is_left_behind(monkeypatch, caplog):
    monkeypatch.setattr(guard, "CLOSE_SECONDS", 0.05)
    gate = threading.Event()

    class Blocked(Tracker):
        def log_metrics(self, iteration, values):
            gate.wait(30)

    guarded = Guard("x", Blocked())
    for iteration in range(1, 101):
        guarded.log_metrics(iteration, {"loss": 1.0})
    guarded.close()
    gate.set()
    assert "100 records" in caplog.text


def test_a_tracker_that_cannot_close_is_told(monkeypatch, caplog):
    monkeypatch.setattr(guard, "CLOSE_SECONDS", 0.05)
    gate = threading.Event()

    class Stuck(Tracker):
        def close(self):
            gate.wait(30)

    guarded = Guard("x", Stuck())
    guarded.close()
    guarded.close()
    gate.set()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@contextmanager
def full_disk(size):
    """No file may grow beyond ``size`` bytes: writes are cut there, and then fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_hole_in_the_text(tmp_path, caplog):
    caplog.set_level(logging.INFO, "sightline")
    tracker = open_trackers(["text"], TrackedTraining(tmp_path))
    path = tmp_path / "metrics.jsonl"
    tracker.log_metrics(1, {"loss": 0.5})
    with full_disk(path.stat().st_size + 10):
        for iteration in range(2, 6):
            tracker.log_metrics(iteration, {"loss": 0.5})
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [line["iteration"] for line in read_metrics(path)] == [1]
    tracker.log_metrics(6, {"loss": 0.5})
    tracker.close()
    assert [line["iteration"] for line in read_metrics(path)] == [1, 2, 3, 4, 5, 6]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.filterwarnings("ignore")  # the thread of TensorBoard's writer ends with the error
@pytest.mark.usefixtures("ordered_event_files")
def test_a_full_disk_leaves_no_hole_in_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path))
    tracker.log_metrics(1, {"loss": 1.0})
    with full_disk(500):
        for iteration in range(2, 40):
            tracker.log_metrics(iteration, {"loss": 1.0})
    tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    assert sorted({event.step for event in events.Scalars("loss")}) == list(range(1, 40))
