"""Worlds to break, random moments to break them at, and the figures that are printed at the end."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from tests.servers.mariadb import new_database
from tests.torture.processes import Context
from tests.torture.recording import World
from tests.torture.scale import FULL, SEED

FIGURES: list[str] = []


@pytest.fixture
def amount():
    """``amount(short, full)``: the number for this run."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def moments(request):
    """Random numbers of this test's own; the seed is printed with the figures."""
    return random.Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture
def figures(request):
    """Takes what a scenario did, for the table at the end of the run."""

    def say(text: str, **counts: int | Counter[str]) -> None:
        parts = [text]
        for name, count in counts.items():
            shown = ", ".join(f"{key} {n}" for key, n in count.most_common()) if isinstance(count, Counter) else count
            parts.append(f"{name.replace('_', ' ')}: {shown}")
        FIGURES.append(f"{request.node.name}: {'; '.join(parts)}")

    return say


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section(f"torture, {'full' if FULL else 'short'} form, seed {SEED}")
        for line in FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def warm_processes():
    """Starts processes that have imported record already: a fork, not a second of imports."""
    return warmed_up(["tests.torture.tortured"])


@pytest.fixture(scope="module")
def warm_trainers():
    """The same for training, which imports torch; what a session fixture has started is started again afterwards."""
    before = forkserver._forkserver._preload_modules
    task = "sightline.tasks.instance_segmentation.task"
    trainers = ["tests.engine.training", "tests.engine.several", task, "timm"]
    yield warmed_up([*trainers, "tests.torture.tortured", "tests.torture.trained"])
    warmed_up(before)


def warmed_up(modules: list[str]) -> Any:
    """A fork server that has imported these modules, in place of an earlier one."""
    context = Context()
    forkserver._forkserver._stop()  # one that an earlier test started has imported something else, and stays
    context.set_forkserver_preload(modules)
    with pytest.MonkeyPatch.context() as patch:
        root = Path(__file__).parents[2]
        patch.setenv("PYTHONPATH", os.pathsep.join([f"{root}/shared", str(root)]))
        first = context.Process(target=print)
        first.start()
        first.join()
    return context


@dataclass(frozen=True)
class Undisturbed:
    """A world in which everything was recorded once, with nothing in the way.

    Attributes:
        world: To be used through :meth:`World.on`.
        state: What was left behind.
        seconds: How long one record took.
        lines: What its log showed: a command or a statement each.
    """

    world: World
    state: dict[str, Any]
    seconds: float
    lines: list[str]


def record_undisturbed(folder: Path, store: str, context: Any) -> Undisturbed:
    """Make a world whose remote and bucket lie at ``store``, and record all of it."""
    url = f"sqlite:///{folder.parent}/undisturbed.sqlite"
    world = World.made(folder, url, store, datasets=4 if FULL else 1, versions=2 if FULL else 1)
    world.forget()
    began = time.monotonic()
    world.record_all(context)
    seconds = (time.monotonic() - began) / (2 if FULL else 1)
    log = "".join(path.read_text() for path in sorted(world.logs.glob("*.log")))
    lines = [line for line in dict.fromkeys(log.splitlines()) if line.startswith(("sightline", "sqlalchemy"))]
    return Undisturbed(world, world.state(), seconds, lines)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, warm_processes):
    """Datasets in a folder, and what recording them leads to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "world"
    return record_undisturbed(folder, str(folder), warm_processes)


@pytest.fixture(scope="session")
def undisturbed_in_google_storage(tmp_path_factory, warm_processes, google_storage_server):
    """The same with remote and bucket in Google Storage."""
    store = f"gs://{google_storage_server.new_bucket()}"
    return record_undisturbed(tmp_path_factory.mktemp("gs") / "world", store, warm_processes)


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request, tmp_path):
    """An empty database on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/database/sightline.sqlite"
        return
    with new_database(request.getfixturevalue("mariadb_server")) as url:
        yield url


@pytest.fixture(params=["folder", "gs"])
def bucket(request, tmp_path):
    """URI of an empty bucket."""
    return str(tmp_path / "bucket") if request.param == "folder" else request.getfixturevalue("bucket_uri")
