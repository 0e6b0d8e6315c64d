"""Seconds of ``sightline lineage``, ``runs`` and ``data list`` on a database of years.

1,000 versions, 1,000,000 images, 3,000 runs, 6,000 models, 96,000 metrics; on SQLite, and on MariaDB where a server is
installed.  Whole commands, from process start to end, against a Python that does nothing but import the two libraries
that every such command needs; and the answer alone, in a process that runs already.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Figure, show
from sightline.data.git.commands import git
from sightline.data.repository.creation import init_repository
from sightline.database import open_database
from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import upgrade
from tests.lineage_crowd import fill, model_sha
from tests.servers.mariadb import PASSWORD, PASSWORD_VARIABLE, new_database, own_server, wait_for

VERSIONS, IMAGES, RUNS = 1_000, 1_000_000, 3_000
REPEATS = 11
TARGET_SECONDS = 0.5
BARE = ("-c", "import click, sqlalchemy")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = tagged_repository(folder)
        return [figure for engine, url in databases(folder) for figure in commands(engine, url, repository, folder)]


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """Each engine with a filled database."""
    yield "SQLite", filled(f"sqlite:///{folder}/x.sqlite")
    if shutil.which("mariadbd", path=PATH) is None:
        return
    with contextlib.ExitStack() as stack:
        (folder / "mariadb").mkdir()
        os.environ[PASSWORD_VARIABLE] = PASSWORD
        server = stack.enter_context(own_server(folder / "mariadb"))
        wait_for(server)
        yield "MariaDB", filled(stack.enter_context(new_database(server)))


def filled(url: str) -> str:
    engine = connect(url)
    upgrade(engine)
    fill(engine, versions=VERSIONS, images=IMAGES, runs=RUNS)
    engine.dispose()
    return url


def tagged_repository(folder: Path) -> Path:
    """A data repository with a tag for every version; what they hold does not matter here."""
    repository = folder / "data"
    init_repository(repository, str(folder / "remote"))
    for number in range(VERSIONS // 2):
        for kind in ("ann", "train"):
            git("tag", f"plates_{kind}_v{number}", cwd=repository, timeout_seconds=60)
    return repository


def commands(engine: str, url: str, repository: Path, folder: Path) -> list[Figure]:
    (folder / "home").mkdir(exist_ok=True)
    (folder / "home" / "settings.yaml").write_text(
        f"database: {{url: '{url}'}}\ndata: {{repository: '{repository}'}}\n"
    )
    os.environ["SIGHTLINE_HOME"] = str(folder / "home")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles an installed package at every start
    asked = {
        "lineage MODEL": ("lineage", model_sha(3333)[:12]),
        "lineage ANNOTATION TAG": ("lineage", "plates_ann_v77"),
        "lineage TRAINING TAG --json": ("lineage", "plates_train_v77", "--json"),
        "lineage RUN": ("lineage", "run-01234"),
        "runs list": ("runs", "list"),
        "data list": ("data", "list"),
    }
    *times, bare = in_turn([*(("-m", "sightline", *arguments) for arguments in asked.values()), BARE])
    figures = [
        Figure(
            f"{engine}: {name}, best of {REPEATS}",
            f"{took:.3f} s",
            f"imports alone: {bare:.3f} s",
            bare / took,
            "< 0.5 s",
            took < TARGET_SECONDS,
        )
        for name, took in zip(asked, times, strict=True)
    ]
    answers = sorted(answer_seconds(url) for _ in range(REPEATS))
    took = answers[REPEATS // 2]
    figures.append(
        Figure(
            f"{engine}: answer of lineage alone, median", f"{took:.3f} s", target="< 0.5 s", met=took < TARGET_SECONDS
        )
    )
    return figures


def answer_seconds(url: str) -> float:
    """The slowest of the four kinds of question."""
    found = []
    with contextlib.closing(open_database(url)) as database:
        for name in (model_sha(3333)[:12], "plates_ann_v77", "plates_train_v77", "run-01234"):
            began = time.perf_counter()
            database.lineage(database.named(name))
            found.append(time.perf_counter() - began)
    return max(found)


def in_turn(commands: Sequence[Sequence[str]]) -> list[float]:
    """The best seconds of each command line of this Python; all in turn, as the machine's speed changes."""
    found: list[list[float]] = [[] for _ in commands]
    for _ in range(REPEATS + 1):
        for arguments, times in zip(commands, found, strict=True):
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    return [min(times[1:]) for times in found]


if __name__ == "__main__":
    show(f"lineage ({VERSIONS:,} versions, {IMAGES:,} images, {2 * RUNS:,} models)", measure())
