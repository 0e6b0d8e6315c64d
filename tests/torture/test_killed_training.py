"""SIGKILL and SIGTERM at random moments of a training: it ends with the same bytes as one that was left alone."""

from __future__ import annotations

import contextlib
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
from tests.torture.scale import FULL

ALONE = 0.15
"""Share of kills that leave the workers of the data alive, as the kernel does when memory runs out."""
ONE_RANK = 0.4
"""Share of kills, if there are several processes, that hit only one of them."""
STARTING = 0.2
"""Share of interruptions, if there are several processes, at any time instead of after their start, which is slow."""
MOVED = 0.3
"""Share of interruptions after which only the bucket is left."""
MOST = 6
"""Interruptions of one training, so that not most of them come near its end."""
MODELS = ["best", "best_2", "best_3", "last", "last_live"]


class Trainer:
    """A training in a folder, with a bucket for copies of its checkpoints."""

    body = staticmethod(trained.train)
    models_folder = ""

    def __init__(self, context, folder, workers):
        self.context, self.folder, self.workers = context, folder, workers
        self.work, self.log = folder / "work", folder / "log"
        self.survivors = []
        folder.mkdir(exist_ok=True)

    def start(self):
        arguments = (self.body, str(self.log), {}, str(self.folder), self.workers)
        process = self.context.Process(target=tortured.watched, args=arguments)
        process.start()
        return process

    def models(self):
        """The bytes of the models, by name."""
        return {path.stem: path.read_bytes() for path in (self.work / self.models_folder).glob("*.safetensors")}

    def end_of_log(self):
        return self.log.read_text(errors="replace")[-5000:]

    def interrupt(self, how, seconds, moments):
        """Train, and end the process after a while; where it was, or "" if it was finished before.

        Args:
            how: The signal.
            seconds: How long the training takes if it is left alone.
            moments: Random numbers.
        """
        began = size(self.log)
        process = self.start()
        self.wait(process, seconds, moments)
        place = ""
        if process.is_alive():
            place = self.place(process.pid)
            if how == signal.SIGTERM:
                os.kill(process.pid, signal.SIGTERM)
            else:
                self.kill(process.pid, moments)
        self._join(process)
        said = self.log.read_bytes()[began:].decode(errors="replace")
        if process.exitcode == 0:
            assert TERMINATED not in said, said[-5000:]
            return ""
        self.check(how, process.exitcode, said)
        own_log = self.work / self.models_folder / "log.txt"
        said += own_log.read_text(errors="replace") if own_log.exists() else ""
        assert "could not" not in said, said
        assert "is not usable" not in said, said
        return place

    def wait(self, process, seconds, moments):
        process.join(moments.uniform(0, seconds))

    def place(self, pid):
        return where(pid, self.log)

    def kill(self, pid, moments):
        if moments.random() < ALONE:
            self.survivors += kill_alone(pid)
        else:
            kill_tree(pid)

    def check(self, how, exitcode, said):
        """The process ended as it should after a signal."""
        assert exitcode in {-how, 1 if how == signal.SIGTERM else -how}, said[-5000:]
        assert exitcode < 0 or TERMINATED in said, said[-5000:]

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


class TwoProcesses(Trainer):
    """The same in two processes, which a third one starts and watches."""

    body = staticmethod(trained.train_in_two_processes)
    models_folder = "files"

    def wait(self, process, seconds, moments):
        if moments.random() < STARTING:
            return super().wait(process, seconds, moments)
        before, last = self.checkpoints(), time.monotonic() + 60
        while self.checkpoints() <= before and process.is_alive() and time.monotonic() < last:
            process.join(0.01)
        return process.join(moments.uniform(0, seconds / 3))

    def checkpoints(self):
        return {path.stem for path in (self.work / "checkpoints").glob("*.json")}

    def place(self, pid):
        """The last checkpoint; a process that was started as a program does not say where it is."""
        found = self.checkpoints()
        return f"iteration {int(max(found))}" if found else "begin"

    def kill(self, pid, moments):
        ranks, below = ranks_of(pid)
        if ranks and moments.random() < ONE_RANK:
            self.survivors += below
            moments.choice(ranks).kill()
        else:
            super().kill(pid, moments)
            psutil.wait_procs(self.survivors, timeout=60)  # or they would write where the next ones do

    def check(self, how, exitcode, said):
        if how == signal.SIGKILL and exitcode == 1:
            assert "training processes was killed (SIGKILL)" in said, said[-5000:]
        else:
            super().check(how, exitcode, said)


def ranks_of(pid):
    """The processes that train, and all that were started by them or by the one that started them."""
    ranks, below = [], []
    with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile
        below = psutil.Process(pid).children(recursive=True)
        ranks = [one for one in below if one.ppid() == pid and "sightline.engine.worker" in one.cmdline()]
    return ranks, below


def size(path):
    """The size of a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def train_undisturbed(kind, context, folder, workers=0):
    """The models of a training that is left alone, and how long it takes when the files it reads are in memory."""
    found = []
    for number in range(2):
        trainer = kind(context, folder / f"undisturbed{number}", workers)
        began = time.monotonic()
        trainer.finish()
        found.append((trainer.models(), time.monotonic() - began))
    (models, _), (again, seconds) = found
    assert sorted(models) == MODELS
    assert again == models
    assert models["last"] != models["last_live"]
    return models, seconds


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, warm_trainers):
    return train_undisturbed(Trainer, warm_trainers, tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def undisturbed_in_two(tmp_path_factory, warm_trainers):
    from tests.engine.several import write_training_set

    folder = tmp_path_factory.mktemp("two")
    write_training_set(folder / "data")
    return *train_undisturbed(TwoProcesses, warm_trainers, folder), folder


def break_again_and_again(make, expected, seconds, left, moments):
    """Interrupt trainings until each signal was sent often enough; every one ends with the expected bytes.

    Args:
        make: Number -> a new trainer.
        expected: The models of the undisturbed training.
        seconds: How long that takes.
        left: Signal -> how often to send it.
        moments: Random numbers.

    Returns:
        The number of trainings, how often each signal was sent, and where.
    """
    landed, counts, finished = Counter(), Counter(), 0
    while sum(left.values()):
        trainer = make(finished)
        for _ in range(min(MOST, sum(left.values()))):
            how = moments.choice([one for one in left for _ in range(left[one])])
            place = trainer.interrupt(how, seconds, moments)
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
    return finished, counts, landed


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_training_ends_with_the_same_bytes(
    workers, undisturbed, warm_trainers, tmp_path, amount, moments, figures
):
    left = {signal.SIGKILL: amount(4, 30), signal.SIGTERM: amount(1, 10)}

    def make(number):
        return Trainer(warm_trainers, tmp_path / str(number), workers)

    finished, counts, landed = break_again_and_again(make, *undisturbed, left, moments)
    figures(f"{finished} trainings with {workers} workers", ended=counts, landed_in=landed)


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="only in full: each start imports torch in two processes")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_in_two_processes_that_is_killed_ends_with_the_same_bytes(
    workers, undisturbed_in_two, warm_trainers, moments, figures
):
    *undisturbed, folder = undisturbed_in_two
    left = {signal.SIGKILL: 15, signal.SIGTERM: 5}

    def make(number):
        return TwoProcesses(warm_trainers, folder / f"{workers}-{number}", workers)

    finished, counts, landed = break_again_and_again(make, *undisturbed, left, moments)
    figures(f"{finished} trainings in 2 processes with {workers} workers", ended=counts, landed_in=landed)
