"""SIGKILL and SIGTERM at random moments of a training: it ends with the same bytes as one that was left alone."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter

import psutil
import pytest

from sightline.runs.signals import TERMINATED
from tests.torture import tortured, trained
from tests.torture.killing import kill_alone, kill_tree, where

ALONE = 0.15
"""Share of kills that leave the workers of the data alive, as the kernel does when memory runs out."""
MOVED = 0.3
"""Share of interruptions after which only the bucket is left."""
MODELS = ["best", "best_2", "best_3", "last", "last_live"]


class Trainer:
    """A training in a folder, with a bucket for copies of its checkpoints."""

    def __init__(self, context, folder, workers):
        self.context, self.folder, self.workers = context, folder, workers
        self.work, self.log = folder / "work", folder / "log"
        self.survivors = []

    def start(self):
        arguments = (trained.train, str(self.log), {}, str(self.work), str(self.folder / "bucket"), self.workers)
        process = self.context.Process(target=tortured.watched, args=arguments)
        process.start()
        return process

    def models(self):
        """The bytes of the models, by name."""
        return {path.stem: path.read_bytes() for path in self.work.glob("*.safetensors")}

    def end_of_log(self):
        return self.log.read_text(errors="replace")[-5000:]

    def interrupt(self, how, delay, *, alone):
        """Train, and end the process after a while; where it was, or "" if it was finished before."""
        began = self.log.stat().st_size if self.log.exists() else 0
        process = self.start()
        process.join(delay)
        place = ""
        if process.is_alive():
            place = where(process.pid, self.log)
            if how == signal.SIGTERM:
                os.kill(process.pid, signal.SIGTERM)
            elif alone:
                self.survivors += kill_alone(process.pid)
            else:
                kill_tree(process.pid)
        self._join(process)
        if process.exitcode == 0:
            return ""
        assert process.exitcode in {-how, 1 if how == signal.SIGTERM else -how}, self.end_of_log()
        said = self.log.read_bytes()[began:].decode(errors="replace")
        assert process.exitcode < 0 or TERMINATED in said, said[-5000:]
        assert "could not" not in said, said
        assert "is not usable" not in said, said
        return place

    def finish(self):
        process = self.start()
        self._join(process)
        assert process.exitcode == 0, self.end_of_log()

    def _join(self, process):
        """Wait for the end of a process; one that hangs says where, and fails the test."""
        process.join(60)
        if process.is_alive():
            where(process.pid, self.log)
            kill_tree(process.pid)
            process.join()
            pytest.fail(f"hangs: {self.end_of_log()}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, warm_trainers):
    """The models of a training that was left alone, and how long it takes when the files it reads are in memory."""
    found = []
    for number in range(2):
        trainer = Trainer(warm_trainers, tmp_path_factory.mktemp(f"undisturbed{number}"), workers=0)
        began = time.monotonic()
        trainer.finish()
        found.append((trainer.models(), time.monotonic() - began))
    (models, _), (again, seconds) = found
    assert sorted(models) == MODELS
    assert again == models
    assert models["last"] != models["last_live"]
    return models, seconds


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_training_ends_with_the_same_bytes(
    workers, undisturbed, warm_trainers, tmp_path, amount, moments, figures
):
    expected, seconds = undisturbed
    left = {signal.SIGKILL: amount(4, 30), signal.SIGTERM: amount(1, 10)}
    landed, counts, finished = Counter(), Counter(), 0
    while sum(left.values()):
        trainer = Trainer(warm_trainers, tmp_path / str(finished), workers)
        trainer.folder.mkdir()
        while sum(left.values()):
            how = moments.choice([one for one in left for _ in range(left[one])])
            place = trainer.interrupt(how, moments.uniform(0, seconds), alone=moments.random() < ALONE)
            if not place:
                break
            left[how] -= 1
            landed[place] += 1
            counts[how.name] += 1
            if moments.random() < MOVED:
                shutil.rmtree(trainer.work, ignore_errors=True)
                counts["moves"] += 1
        assert psutil.wait_procs(trainer.survivors, timeout=60)[1] == [], "workers go on without their trainer"
        trainer.finish()
        models = trainer.models()
        assert sorted(models) == MODELS
        assert [name for name in MODELS if models[name] != expected[name]] == []
        finished += 1
        shutil.rmtree(trainer.folder)
    figures(f"{finished} trainings with {workers} workers", ended=counts, landed_in=landed)
