"""gc beside a run, and gc killed: nothing that is needed is ever lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import time

import pytest

from sightline.data.repository.checkout import checkout
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError
from sightline.garbage import MIN_AGE
from sightline.garbage.found import everything_in
from tests.publications import nameless

pytestmark = pytest.mark.slow

UNFINISHED = re.compile(r"/(?:\.[^/]+\.part|\.[^/]+\.html\.|tmp)")
_CONTEXT = multiprocessing.get_context("fork")


def sweep_again_and_again(world, stop, sweeps):
    """Make everything look old that is not held by a lock, and remove it, as fast as it goes."""
    while not stop.is_set():
        for name in ("checkouts", "dvc-cache", "runs", "publish"):
            age_what_is_there(world, world.work / name)
        try:
            world.sweep(delete=True, older_than=MIN_AGE)
        except RepositoryError as error:
            assert "locked by another process" in str(error)  # noqa: PT017  (another gc)
        with sweeps.get_lock():
            sweeps.value += 1


def age_what_is_there(world, folder):
    """Everything but the files that are written this moment and then renamed: their age alone keeps those."""
    for path in list(everything_in(folder)):
        if UNFINISHED.search(path.relative_to(world.work).as_posix()):
            continue
        try:
            os.utime(path, (time.time() - 30 * 86400,) * 2, follow_symlinks=False)
        except FileNotFoundError:
            continue


def results(world, run_id):
    """What each step of a run gave, without times."""
    run = world.work / "runs" / run_id
    entries = {path.stem: json.loads(path.read_text())["result"] for path in (run / "tasks").glob("*.json")}
    documents = {step: json.loads(nameless(result)) for step, result in entries.items() if result}
    for document in documents.values():
        document.pop("seconds", None)
        document.pop("environment", None)
        for model in document.get("models", []):
            model.pop("images_per_second", None)
            model.pop("profile", None)
    return documents


def test_a_run_beside_two_gcs_ends_as_one_left_alone(world):
    """The steps of a new run pull, train, evaluate and test while gc takes away all that nobody holds."""
    more = ("train.iterations=3", "train.learning_rate=0.001")
    undisturbed = results(world, world.run(*more))
    shutil.rmtree(world.folder)
    shutil.copytree(world.folder.with_name("pristine"), world.folder, symlinks=True)
    stop, sweeps = _CONTEXT.Event(), _CONTEXT.Value("i", 0)
    collectors = [_CONTEXT.Process(target=sweep_again_and_again, args=(world, stop, sweeps)) for _ in range(2)]
    for process in collectors:
        process.start()
    try:
        run_id = world.run(*more)
        world.run(*more)
    finally:
        stop.set()
        for process in collectors:
            process.join(60)
    assert [process.exitcode for process in collectors] == [0, 0]
    assert sweeps.value > 4
    assert results(world, run_id) == undisturbed
    world.require_intact()


def test_gc_killed_again_and_again(world):
    """Whatever is left lies in the trash or at its place as a whole, and the next gc completes the work."""
    rng = random.Random(4)
    killed, longest = 0, 0.5
    for number in range(25):
        if number % 5 == 0:
            for tag in ("shapes_ann_v1", "shapes_train_v1"):
                checkout(Workspace(world.config().data.repository, world.work), tag)
            for index in range(300):
                world.plant(world.bucket / f"results/train/shapes_train_v1/{index % 7:016x}" / f"{index}.json")
                world.plant(world.work / "dvc-cache/files/md5" / f"{index % 256:02x}" / f"{index:030x}")
        world.age()
        child = os.fork()
        if child == 0:
            world.sweep(delete=True)
            os._exit(0)
        time.sleep(rng.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            killed += 1
        else:  # this machine is quicker
            longest *= 0.8
        world.require_intact()
        for path in (world.work / "checkouts").glob("shapes_*"):
            assert (path / "annotations" / "shapes" / "0.png").is_file()
            assert len(list((path / "annotations" / "shapes").iterdir())) == 20
    world.age()
    world.sweep(delete=True)
    assert world.sweep().garbage == []
    assert not list((world.work / "trash").iterdir())
    assert killed > 5
    checkout(Workspace(world.config().data.repository, world.work), "shapes_train_v1")
