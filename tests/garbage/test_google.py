"""The same on Google Storage, through the emulator."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from sightline.config.decode import decode
from sightline.database import open_database
from sightline.garbage import sweep
from sightline.garbage.bucket import Bucket
from sightline.garbage.found import SafetyAge, storage_now
from sightline.storage import open_storage
from tests.garbage.test_bucket import MODEL, MODEL_FILES, UNFINISHED
from tests.shapes_world import RECIPE, WEEK

MONTH = timedelta(days=30)


@pytest.fixture
def storage(bucket_uri):
    return open_storage(f"{bucket_uri}/team")


@pytest.fixture
def database(tmp_path):
    with closing(open_database(f"sqlite:///{tmp_path / 'sightline.sqlite'}")) as database:
        yield database


def keys(storage):
    return {info.key for info in storage.list()}


def a_month_later(storage, database):
    return Bucket(storage, database, SafetyAge(datetime.now(UTC) + MONTH, WEEK))


def test_objects_have_a_time_by_the_clock_of_the_service(storage):
    written = storage.write_bytes("a", b"a")
    assert abs(datetime.now(UTC) - written.updated) < timedelta(minutes=1)
    assert next(storage.list()).updated == storage.stat("a").updated == written.updated
    assert abs(datetime.now(UTC) - storage_now(storage)) < timedelta(minutes=1)
    assert keys(storage) == {"a"}


def test_garbage_goes_and_what_is_named_stays(storage, database):
    for name in MODEL_FILES:
        storage.write_bytes(f"{MODEL}/{name}", b"old")
        storage.write_bytes(f"{MODEL.replace('box_AP', 'EIR')}/{name}", b"named")
    storage.write_bytes(f"{UNFINISHED}/best.safetensors", b"old")
    storage.write_bytes(
        "evaluation/shapes_train_v1/EIR/CURRENT.json", json.dumps({"folder": MODEL.replace("box_AP", "EIR")}).encode()
    )
    storage.write_bytes("mine.txt", b"mine")
    bucket = a_month_later(storage, database)
    garbage = list(bucket.find())
    assert [entry.what for entry in garbage] == [MODEL, UNFINISHED]
    assert list(bucket.remove(garbage)) == garbage
    assert keys(storage) == {
        "mine.txt",
        "evaluation/shapes_train_v1/EIR/CURRENT.json",
        *(f"{MODEL.replace('box_AP', 'EIR')}/{name}" for name in MODEL_FILES),
    }


def test_what_a_writer_finds_meanwhile_stays(storage, database, monkeypatch):
    for name in MODEL_FILES:
        storage.write_bytes(f"{MODEL}/{name}", b"old")
    bucket = a_month_later(storage, database)
    garbage = list(bucket.find())
    monkeypatch.setattr("sightline.storage.gcs.FRESH_SECONDS", -1.0)
    for name in MODEL_FILES:
        storage.write_bytes(f"{MODEL}/{name}", b"old", if_generation=0)
    assert list(bucket.remove(garbage)) == []
    assert keys(storage) == {f"{MODEL}/{name}" for name in MODEL_FILES}


def test_the_whole_command(storage, database, tmp_path):
    storage.write_bytes(f"{UNFINISHED}/best.safetensors", b"young")
    places = [f"storage.uri={storage.uri}", f"database.url=sqlite:///{tmp_path / 'sightline.sqlite'}"]
    config = decode(RECIPE, [*places, f"work.dir={tmp_path / 'work'}", "data.classes=[a]"])
    assert sweep(config, WEEK, delete=True).garbage == []
    assert keys(storage) == {f"{UNFINISHED}/best.safetensors"}
