"""Dataset versions: all or nothing, once, and with one content."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, text

from sightline.database import CategoryCount, ImageRecord, VersionRecord, open_database
from sightline.database.engine.connection import connect
from sightline.database.queries import image_rows, versions
from sightline.database.registry import Database
from sightline.database.schema.tables import VERSIONS
from sightline.errors import DatabaseError, VersionConflictError
from tests.golden import raises

VERSION = VersionRecord(
    dataset="plates",
    version="v1",
    kind="training",
    tag="plates_train_v1",
    commit="c" * 40,
    digest="d" * 32 + ".dir",
    parent_tag="plates_ann_v1",
    configuration_digest="e" * 64,
)
CATEGORIES = [CategoryCount("é", "train", 7, 3), CategoryCount("e", "train", 2, 1), CategoryCount("e", "val", 1, 1)]


def make_images(number, prefix="annotations/plates"):
    return [ImageRecord("train", f"{prefix}/{i}.jpg", f"{i:064x}", 2**33 + i, 640, 480, "") for i in range(number)]


def test_what_was_registered_comes_back(database):
    images = [
        ImageRecord("train", "annotations/plates/ä 1.jpg", "0" * 64, 123, 640, 480, "car 7"),
        ImageRecord("val", "annotations/plates/Ä 1.jpg", "0" * 64, 2**40, 1, 2),
        ImageRecord("test", "p" * 1024, "1" * 64, 0, 65_535, 65_535, "g" * 255),
    ]
    assert database.register_version(VERSION, iter(images), iter(CATEGORIES)) is True
    row = database.version("plates_train_v1")
    assert (row.record, row.images) == (VERSION, 3)
    assert abs(row.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert sorted(database.images("plates_train_v1"), key=str) == sorted(images, key=str)
    assert database.category_counts("plates_train_v1") == [CATEGORIES[1], CATEGORIES[2], CATEGORIES[0]]


def test_versions_are_listed_in_the_order_of_registration(database):
    annotations = dataclasses.replace(VERSION, kind="annotations", tag="plates_ann_v1", parent_tag="")
    other = dataclasses.replace(VERSION, dataset="signs", tag="signs_train_v1")
    for version in (VERSION, other, annotations):
        assert database.register_version(version, make_images(2), [])
    assert [row.record for row in database.versions()] == [VERSION, other, annotations]
    assert [row.record for row in database.versions("plates")] == [VERSION, annotations]
    assert database.versions("Plates") == []
    assert database.version("plates_train_V1") is None
    assert list(database.images("none")) == database.category_counts("none") == []


def test_images_come_in_pages(database, monkeypatch):
    monkeypatch.setattr(versions, "CHUNK_ROWS", 4)
    for number in (7, 8, 9):
        tag = f"plates_train_v{number}"
        version = dataclasses.replace(VERSION, version=f"v{number}", tag=tag)
        images = make_images(number)
        assert database.register_version(version, images, [])
        assert sorted(database.images(tag), key=str) == sorted(images, key=str)


def test_the_same_version_again_is_found(database):
    assert database.register_version(VERSION, make_images(3), CATEGORIES) is True
    again = dataclasses.replace(VERSION, commit="f" * 40)
    assert database.register_version(again, make_images(3), CATEGORIES) is False
    assert len(database.versions()) == 1
    assert len(list(database.images(VERSION.tag))) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "0" * 32},  # other contents
        {"digest": "D" * 32 + ".dir"},  # a digest is compared with its case
        {"tag": "plates_train_v1b"},  # the version under another tag
        {"version": "v2"},  # the tag for another version
    ],
)
def test_one_version_has_one_content(database, change):
    database.register_version(VERSION, make_images(3), CATEGORIES)
    other = dataclasses.replace(VERSION, **change)
    if change == {"version": "v2"}:
        other = dataclasses.replace(other, digest="0" * 32)
    with raises(VersionConflictError) as caught:
        database.register_version(other, make_images(5), [])
    assert VERSION.digest in str(caught.value)
    assert other.digest in str(caught.value)
    assert [row.record for row in database.versions()] == [VERSION]
    assert len(list(database.images(VERSION.tag))) == 3


def test_names_that_differ_in_case_or_accent_are_different(database):
    for version in ("v1", "V1", "vé", "ve"):
        tag = f"plates_train_{version}"
        assert database.register_version(dataclasses.replace(VERSION, version=version, tag=tag), [], []) is True
    assert len(database.versions("plates")) == 4


IMAGE = ImageRecord("train", "a.jpg", "0" * 64, 1, 1, 1)


@pytest.mark.parametrize(
    ("version", "image", "message"),
    [
        ({"tag": "plates_train_v1 "}, {}, "dataset_versions.tag"),
        ({"dataset": "p" * 101}, {}, "dataset_versions.dataset"),
        ({"digest": ""}, {}, "digest"),
        ({"parent_tag": "\ud800"}, {}, "parent_tag"),
        ({}, {"path": "a" * 1025}, "images.path"),
        ({}, {"path": "a.jpg\n"}, "images.path"),
        ({}, {"path": "a\0.jpg"}, "images.path"),
        ({}, {"path": "\udcff.jpg"}, "images.path"),
        ({}, {"group": "g" * 256}, "images.group"),
        ({}, {"split": "s" * 17}, "images.split"),
        ({}, {"width": None}, "images.width"),
        ({}, {"height": -1}, "images.height"),
        ({}, {"width": 2**31}, "images.width"),
        ({}, {"size_bytes": 2**63}, "9223372036854775808"),
        ({}, {"size_bytes": 1.5}, "images.size_bytes"),
    ],
)
def test_values_that_would_not_come_back_are_refused(database, version, image, message):
    with raises(DatabaseError, message):
        database.register_version(dataclasses.replace(VERSION, **version), [dataclasses.replace(IMAGE, **image)], [])
    assert database.versions() == []


def test_what_is_given_twice_is_refused(database):
    with raises(DatabaseError, "a.jpg"):
        database.register_version(VERSION, [IMAGE, IMAGE], [])
    with raises(DatabaseError):
        database.register_version(VERSION, [IMAGE], [CATEGORIES[1], CATEGORIES[1]])
    assert database.versions() == []


def test_a_fault_halfway_leaves_nothing(database, monkeypatch):
    monkeypatch.setattr(versions, "CHUNK_ROWS", 10)
    monkeypatch.setattr(versions, "STATEMENT_ROWS", 10)
    last = max(make_images(1_000), key=lambda image: hashlib.sha256(image.path.encode()).digest())
    with raises(DatabaseError, last.path):  # found after the others were sent
        database.register_version(VERSION, [*make_images(1_000), last], [])
    assert database.versions() == []
    assert database.register_version(VERSION, make_images(1_000), []) is True


@pytest.mark.parametrize("block_rows", [1, 2, 3, 512])
def test_images_that_do_not_fit_into_memory_are_sorted_on_disk(database, monkeypatch, block_rows):
    monkeypatch.setattr(image_rows, "BLOCK_ROWS", block_rows)
    images = [
        dataclasses.replace(image, group=f"é{i % 3}" if i % 2 else "") for i, image in enumerate(make_images(2_000))
    ]
    assert database.register_version(VERSION, (image for image in images), []) is True
    in_order = sorted(images, key=lambda image: hashlib.sha256(image.path.encode()).digest())
    assert list(database.images(VERSION.tag)) == in_order


def test_no_room_for_the_list_of_images(database, monkeypatch, tmp_path):
    monkeypatch.setattr(image_rows, "BLOCK_ROWS", 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with raises(DatabaseError, "TMPDIR"):
            database.register_version(VERSION, make_images(1_000), [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert database.register_version(VERSION, make_images(1_000), []) is True


def test_a_row_that_is_gone_when_it_is_looked_for_does_not_keep_a_version_out(url, database):
    """As the last transaction of a killed server, whose row refuses the same one until it is rolled back."""
    assert database.register_version(VERSION, [], [])
    other = connect(url)
    looked = []

    def roll_back(connection, cursor, statement, *rest):
        if not looked and statement.lstrip().startswith("SELECT") and VERSIONS.name in statement:
            looked.append(statement)
            with other.begin() as deleting:
                deleting.execute(VERSIONS.delete())

    event.listen(Engine, "before_cursor_execute", roll_back)
    try:
        assert database.register_version(VERSION, make_images(2), CATEGORIES) is True
    finally:
        event.remove(Engine, "before_cursor_execute", roll_back)
        other.dispose()
    assert looked
    assert [found.images for found in database.versions()] == [2]


def register(url, barrier, queue):
    database = open_database(url)
    images = make_images(3_000)
    barrier.wait(timeout=60)
    queue.put(database.register_version(VERSION, images, CATEGORIES))


def test_of_8_processes_one_registers_and_seven_find(url, database):
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(8), context.SimpleQueue()
    processes = [context.Process(target=register, args=(url, barrier, queue)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert sorted(queue.get() for _ in processes) == [False] * 7 + [True]
    assert len(list(database.images(VERSION.tag))) == 3_000


RECORDERS = 64


def test_64_recorders_at_once(url, database):
    """All of them register one version, then each its own, every one over a connection of its own."""
    barrier = threading.Barrier(RECORDERS)

    def record(number):
        own = Database(connect(url))
        barrier.wait(timeout=120)
        first = own.register_version(VERSION, make_images(300), CATEGORIES[:1])
        name = f"v1-{number}"
        theirs = dataclasses.replace(VERSION, dataset="d", version=name, tag=f"d_{name}")
        second = own.register_version(theirs, make_images(300), CATEGORIES[:1])
        own.close()
        return first, second

    with ThreadPoolExecutor(RECORDERS) as pool:
        results = list(pool.map(record, range(RECORDERS)))
    assert sum(first for first, _ in results) == 1
    assert all(second for _, second in results)
    assert len(database.versions()) == RECORDERS + 1
    with database._engine.connect() as connection:
        assert connection.scalar(text(HALF)) == 0
        assert connection.scalar(text("SELECT count(*) FROM images")) == 300 * (RECORDERS + 1)


WORKER = """
import itertools, sys, time
from sightline.database import CategoryCount, ImageRecord, VersionRecord, open_database
database = open_database(sys.argv[1])
images = [ImageRecord("train", f"{i}.jpg", f"{i:064x}", i, 640, 480) for i in range(2000)]
counts = [CategoryCount("a", "train", 1, 1)]
for number in itertools.count():
    name = f"v{sys.argv[2]}-{number}"
    database.register_version(VersionRecord("d", name, "training", f"d_{name}", "c", "x"), images, counts)
    print("registered", flush=True)
"""
HALF = """
SELECT count(*) FROM dataset_versions v WHERE v.state <> 'published'
OR v.images <> (SELECT count(*) FROM images i WHERE i.version_id = v.id)
OR 1 <> (SELECT count(*) FROM category_counts c WHERE c.version_id = v.id)
"""
ORPHANS = "SELECT count(*) FROM images i WHERE i.version_id NOT IN (SELECT id FROM dataset_versions)"


def test_a_kill_leaves_no_half_registered_version(url, database):
    random_delay = random.Random(0)
    for kill in range(4):
        with subprocess.Popen([sys.executable, "-c", WORKER, url, str(kill)], stdout=subprocess.PIPE) as worker:
            assert worker.stdout.readline() == b"registered\n"
            time.sleep(random_delay.uniform(0.05, 0.4))
            worker.send_signal(signal.SIGKILL)
    with database._engine.connect() as connection:
        assert connection.scalar(text(HALF)) == 0
        assert connection.scalar(text(ORPHANS)) == 0
    assert len(database.versions("d")) >= 4
