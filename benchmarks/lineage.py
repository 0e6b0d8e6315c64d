"""Seconds of ``sightline lineage``, ``runs`` and ``data list`` on a database of years, from process start to end.

1,000 versions, 1,000,000 images, 3,000 runs, 6,000 models, 96,000 metrics; on SQLite, and on MariaDB where a server is
installed.  The peer is a Python that does nothing but import the two libraries that every such command needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, show
from sightline.data.commands import git
from sightline.data.repository import init_repository
from sightline.database.connection import connect
from sightline.database.schema import upgrade
from tests.lineage_crowd import fill, model_sha
from tests.servers.mariadb import PASSWORD, PASSWORD_VARIABLE, new_database, own_server, wait_for

VERSIONS, IMAGES, RUNS = 1_000, 1_000_000, 3_000
REPEATS = 7
TARGET_SECONDS = 0.5
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
    bare = seconds("-c", "import click, sqlalchemy")
    asked = {
        "lineage MODEL": ("lineage", model_sha(3333)[:12]),
        "lineage ANNOTATION TAG": ("lineage", "plates_ann_v77"),
        "lineage TRAINING TAG --json": ("lineage", "plates_train_v77", "--json"),
        "lineage RUN": ("lineage", "run-01234"),
        "runs list": ("runs", "list"),
        "data list": ("data", "list"),
    }
    figures = []
    for name, arguments in asked.items():
        took = seconds("-m", "sightline", *arguments)
        met = took < TARGET_SECONDS
        figures.append(
            Figure(f"{engine}: {name}", f"{took:.3f} s", f"imports alone: {bare:.3f} s", bare / took, "< 0.5 s", met)
        )
    return figures


def seconds(*arguments: str) -> float:
    """The median of several runs of this Python."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


if __name__ == "__main__":
    show(f"lineage ({VERSIONS:,} versions, {IMAGES:,} images, {2 * RUNS:,} models)", measure())
