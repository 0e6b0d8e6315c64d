"""Versions in the database: rows a second on both engines, a million images, and lists of a full database.

python -m benchmarks database; a server to measure on may be given in SIGHTLINE_TEST_MARIADB_URL.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session, registry

from benchmarks.figures import Figure, show
from sightline.database import CategoryCount, Database, ImageRecord, VersionRecord, open_database
from sightline.database.engine.address import PASSWORD_VARIABLE
from sightline.database.engine.connection import connect
from sightline.database.schema import tables
from sightline.database.schema.upgrade import upgrade
from tests.servers.mariadb import PASSWORD, new_database, own_server, wait_for

IMAGES = 100_000
MANY_IMAGES = 1_000_000
VERSIONS = 1_000
RUNS = 3
TARGET_ROWS = {"SQLite": 120_000, "MariaDB": 40_000}
TARGET_MANY_SECONDS = 60
TARGET_LIST_SECONDS = 0.5
COUNTS = [CategoryCount(f"class {i}", split, i, i) for i in range(22) for split in ("train", "val", "test")]
COLUMNS = "version_id, path_sha256, path, split, sha256, size_bytes, width, height, group_name"


class DatasetVersion:
    """A version as a mapped object, as one writes it first."""


class Image:
    """An image as a mapped object."""


_mapper = registry(metadata=tables.METADATA)
_mapper.map_imperatively(DatasetVersion, tables.VERSIONS)
_mapper.map_imperatively(Image, tables.IMAGES)


def version(name: str) -> VersionRecord:
    return VersionRecord("bench", name, "training", f"bench_train_{name}", "c" * 40, "d" * 32)


def images(number: int):
    """Made one after the other, as a program that keeps its memory small does."""
    for i in range(number):
        yield ImageRecord("train", f"annotations/plates/{i:07d}.jpg", f"{i:064x}", i, 640, 480)


def version_row(name, number):
    fields = {field: getattr(version(name), field) for field in VersionRecord.__slots__}
    return fields | {"state": "published", "images": number, "created_at": datetime.now(UTC)}


def ours(database, name, records):
    database.register_version(version(name), records, COUNTS)


def executemany(database, name, records):
    """The driver's own executemany, in the order of the key: what most libraries end in."""
    rows = sorted(((hashlib.sha256(one.path.encode()).hexdigest(), one) for one in records), key=lambda row: row[0])
    with database._engine.begin() as connection:
        key = connection.execute(tables.VERSIONS.insert().values(version_row(name, len(rows))))
        version_id = key.inserted_primary_key[0]
        marks = ", ".join(["?" if connection.dialect.name == "sqlite" else "%s"] * 9)
        connection.exec_driver_sql(
            f"INSERT INTO images ({COLUMNS}) VALUES ({marks})",
            [
                (version_id, digest, one.path, one.split, one.sha256, one.size_bytes, one.width, one.height, one.group)
                for digest, one in rows
            ],
        )


def naive(database, name, records):
    """What one writes first: objects, add_all, commit."""
    with Session(database._engine) as session:
        row = DatasetVersion(**version_row(name, len(records)))
        session.add(row)
        session.flush()
        session.add_all(
            Image(
                version_id=row.id,
                path_sha256=hashlib.sha256(image.path.encode()).hexdigest(),
                path=image.path,
                split=image.split,
                sha256=image.sha256,
                size_bytes=image.size_bytes,
                width=image.width,
                height=image.height,
                group_name=image.group,
            )
            for image in records
        )
        session.commit()


def rates(engine_name: str, url: str) -> list[Figure]:
    """Rows a second of a version with 100,000 images, the best of some runs, which take turns."""
    database, records = Database(upgraded(url)), list(images(IMAGES))
    best: dict[str, float] = {}
    for run in range(RUNS):
        for work in (ours, executemany, *([naive] if run == 0 else [])):
            began = time.perf_counter()
            work(database, f"{work.__name__}-{run}", records)
            best[work.__name__] = max(best.get(work.__name__, 0), len(records) / (time.perf_counter() - began))
    database.close()
    rate, target = best["ours"], TARGET_ROWS[engine_name]
    name = f"{engine_name}: register {IMAGES:,} images, best of {RUNS}"
    return [
        Figure(
            name,
            f"{rate:,.0f} rows/s",
            f"{what} {best[peer]:,.0f} rows/s",
            rate / best[peer],
            f">= {target:,} rows/s",
            rate >= target,
        )
        for peer, what in (("executemany", "the driver's executemany"), ("naive", "ORM, add_all"))
    ]


def upgraded(url: str):
    engine = connect(url)
    upgrade(engine)
    return engine


def alone(url: str, number: int) -> tuple[float, int]:
    """Register a version in a process of its own: seconds, and MB at most."""
    done = subprocess.run(
        [sys.executable, __file__, url, str(number)], check=True, capture_output=True, text=True, env=os.environ
    )
    seconds, megabytes = done.stdout.split()
    return float(seconds), int(megabytes)


def child(url: str, number: int) -> None:
    database = open_database(url)
    began = time.perf_counter()
    database.register_version(version(f"of-{number}"), images(number), COUNTS)
    seconds = time.perf_counter() - began
    database.close()
    status = Path("/proc/self/status").read_text()  # getrusage would count the process that started this one
    print(seconds, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024)


def full_database(url: str) -> list[Figure]:
    """A million images at once; then lists of a database with a thousand versions."""
    upgraded(url).dispose()
    few, many = alone(url, IMAGES), alone(url, MANY_IMAGES)
    database = open_database(url)
    for number in range(VERSIONS - 2):
        database.register_version(version(f"small-{number}"), images(100), COUNTS)
    tag = version(f"of-{MANY_IMAGES}").tag
    lists = {
        f"list all {VERSIONS:,} versions": database.versions,
        "find one version": lambda: database.version(tag),
        "first page of a million images": lambda: next(iter(database.images(tag))),
    }
    found = []
    for name, work in lists.items():
        seconds = statistics.median(timed(work) for _ in range(5))
        value = f"{seconds * 1000:,.1f} ms"
        target = f"< {TARGET_LIST_SECONDS} s"
        found.append(
            Figure(f"MariaDB, {MANY_IMAGES:,} images: {name}", value, "", None, target, seconds < TARGET_LIST_SECONDS)
        )
    database.close()
    growth = many[1] / few[1]
    return [
        Figure(
            f"MariaDB: register {MANY_IMAGES:,} images",
            f"{many[0]:.1f} s",
            "",
            None,
            f"< {TARGET_MANY_SECONDS} s",
            many[0] < TARGET_MANY_SECONDS,
        ),
        Figure(
            "memory of that process",
            f"{many[1]} MB",
            f"with {IMAGES:,} images {few[1]} MB",
            few[1] / many[1],
            "flat: < 1.5 times",
            growth < 1.5,
        ),
        *found,
    ]


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextlib.contextmanager
def mariadb(folder: Path):
    """URL of a server: the one that was given, or one of our own."""
    given = os.environ.get("SIGHTLINE_TEST_MARIADB_URL")
    if given:
        yield given
        return
    os.environ[PASSWORD_VARIABLE] = PASSWORD
    with own_server(folder) as url:
        wait_for(url)
        yield url


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = rates("SQLite", f"sqlite:///{folder}/x.sqlite")
        with mariadb(folder) as server:
            with new_database(server) as url:
                found += rates("MariaDB", url)
            with new_database(server) as url:
                found += full_database(url)
    return found


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], int(sys.argv[2]))
    else:
        show("versions in the database", measure())
