"""What runs in the processes that are killed; imported once in the server that forks them."""

from __future__ import annotations

import faulthandler
import itertools
import json
import logging
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import sightline.report.pages.data_report
import sightline.steps.record_report
import sightline.storage.gcs
from sightline.code import bring, make_snapshot, publish_to_bucket, publish_to_volume
from sightline.config import decode
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.database import CategoryCount, ImageRecord, VersionRecord, open_database
from sightline.database.schema.upgrade import head_revision
from sightline.registry.removal import Removal
from sightline.registry.results import TrainResult
from sightline.registry.store import publish_result
from sightline.steps import record
from sightline.storage import open_storage
from tests.code.packages import small_package

TAG = "pets_train_v1"
RESULT_FILES = ("history.json", "log.txt", "candidates/best.safetensors", "candidates/last.safetensors")

assert sightline.report.pages.data_report, (sightline.steps.record_report, sightline.storage.gcs)  # for the warm server
head_revision()  # imports Alembic
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a process that is asked where it is before it listens says nothing


def watched(work: Callable[..., object], log: str, environment: Mapping[str, str], *arguments: object) -> None:
    """Do ``work``; every command and SQL statement goes to ``log``, and on SIGUSR1 the stack."""
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    os.dup2(descriptor, 1)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=False)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(name)s %(message)s", force=True)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
    for noisy in ("PIL", "matplotlib", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    work(*arguments)


def record_tag(configuration: str, code_rev: str, answer: str) -> None:
    """Run record, and write its result to the file ``answer``."""
    result = record.run(decode.from_json(configuration), code_rev)
    Path(answer).write_text(json.dumps(asdict(result)))


def add_version(repository: str, folder: str, tag: str) -> None:
    """``sightline data add``."""
    add_annotations(Path(repository), Path(folder), DatasetTag.parse(tag), jobs=1, timeout_seconds=120)


def take_back(repository: str, tag: str, database_url: str, bucket: str) -> None:
    """``sightline data remove --yes``."""
    Removal(repository, DatasetTag.parse(tag), database_url, bucket, 120).remove("torture")


def check_out(repository: str, tag: str, work_dir: str) -> None:
    checkout(Workspace(repository, Path(work_dir), timeout_seconds=120), tag)


def register_versions(url: str, group: str, rows: int, stop: str, answer: str) -> None:
    """Register one version after another until the file ``stop`` is there; write which of them were new."""
    images = [ImageRecord("train", f"annotations/d/{n}.jpg", f"{n:064x}", n, 640, 480) for n in range(rows)]
    counts = [CategoryCount("cat", "train", rows, rows)]
    database = open_database(url)
    answers = []
    for number in itertools.count():
        if Path(stop).exists():
            break
        name = f"{group}-{number}"
        version = VersionRecord("d", name, "training", f"d_train_{name}", "c" * 40, f"{number:032x}.dir")
        answers.append(database.register_version(version, images, counts))
    Path(answer).write_text(json.dumps(answers))


def download(uri: str, key: str, path: str) -> None:
    """Copy an object to ``path``, again and again."""
    storage = open_storage(uri)
    while True:
        storage.download(key, Path(path))


def publish_results(uri: str, folder: str, keys: list[str], seed: str) -> None:
    """Publish results under ``keys`` in some order, again and again, each time with other bytes."""
    storage, moments = open_storage(uri), random.Random(seed)
    while True:
        stamp, key = moments.getrandbits(40), moments.choice(keys)
        files = Path(folder) / str(stamp)
        for name in RESULT_FILES:
            path = files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{stamp} {name}\n" * moments.randint(1, 20_000))
        result = TrainResult(TAG, "c" * 40, [], stamp, storage.uri_of(f"results/train/{TAG}/{key}/history.json"), "", 0)
        publish_result(storage, result, TAG, key, files=files, config_digest="d", replace=moments.random() < 0.3)
        shutil.rmtree(files)


def publish_code(uri: str, volume: str, folder: str, packages: int, seed: str) -> None:
    """Publish one package after another, to a bucket or to a volume, and bring what is current, again and again."""
    storage, moments = open_storage(uri), random.Random(seed)
    while True:
        snapshot = make_snapshot(small_package(Path(folder), f"{moments.randrange(packages)}"))
        if moments.random() < 0.5:
            publish_to_bucket(snapshot, storage)
            bring("current", storage, Path(volume))
        else:
            publish_to_volume(snapshot, Path(volume))


def publish_each(uri: str, folder: str, keys: list[str], stamp: int, answer: str) -> None:
    """Publish one result under each key, and write which results are published there now."""
    storage = open_storage(uri)
    published = {}
    for key in keys:
        model = Path(folder) / key / RESULT_FILES[2]
        model.parent.mkdir(parents=True)
        model.write_text(f"{stamp} {RESULT_FILES[2]}\n" * 1000)
        result = TrainResult(TAG, "c" * 40, [], stamp, storage.uri_of(f"results/train/{TAG}/{key}/history.json"), "", 0)
        found = publish_result(storage, result, TAG, key, files=Path(folder) / key, config_digest="d")
        published[key] = found.iterations
    Path(answer).write_text(json.dumps(published))
