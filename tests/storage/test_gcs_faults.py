"""Google Storage under faults: each ends in exactly one object with the right bytes, or in one clear error.

The shapes are those of Google's retry conformance suite: operations that are idempotent, that are so with a
precondition, resumable uploads in four shapes, downloads in two; and what it leaves out: lost answers, damage,
truncation, stalls, races.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import threading
from contextlib import contextmanager

import pytest

from sightline.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from sightline.storage import Upload, gcs, open_storage
from tests.golden import raises
from tests.servers.google_storage import fault

SMALL = os.urandom(30_000)
BIG = os.urandom(9 << 20)
"""More than Google's library sends in one request."""

PART = 1 << 18
"""The service keeps parts of a broken upload in multiples of this."""

UPLOAD = r"^/upload/.*/o\?uploadType"
BYTES = "alt=media"


@pytest.fixture
def rig(google_storage_rig, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_GCS_TIMEOUT_SECONDS", "2")
    return google_storage_rig


@pytest.fixture
def storage(rig):
    return open_storage(f"gs://{rig.new_bucket()}/results")


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(BIG)
    return path


def statuses(rig, pattern):
    """Of every request that fits, 0 for no answer; without it a test would not know that it broke anything."""
    return [status for method, path, status in rig.requests() if pattern in f"{method} {path}"]


# Every way in which an answer can fail to come, with what the service did meanwhile.
TRANSIENT = [
    ("status", {"status": 503}),
    ("status", {"status": 429}),
    ("status", {"status": 408}),
    ("status", {"status": 500}),
    ("reset", {}),
    ("status after", {"status": 503}),
    ("reset after", {}),
]


@pytest.mark.parametrize(("kind", "more"), TRANSIENT, ids=str)
def test_idempotent_operations_are_repeated(rig, storage, kind, more):
    written = storage.write_bytes("a", SMALL)
    rig.requests()
    rig.fail(fault(kind, "GET", r"/o/results/a\?(?!.*alt)", **more))
    assert storage.stat("a") == written
    assert len(statuses(rig, "GET /storage")) == 2
    rig.fail(fault(kind, "GET", r"/o\?.*prefix", **more))
    assert list(storage.list()) == [written]
    rig.fail(fault(kind, "GET", BYTES, **more))
    assert storage.read_bytes("a") == (SMALL, written)
    rig.fail(fault(kind, "DELETE", **more))
    storage.delete("a", if_generation=written.generation)
    assert storage.stat("a") is None


@pytest.mark.parametrize(("kind", "more"), TRANSIENT, ids=str)
@pytest.mark.parametrize("generation", ["new", "present", "any"])
def test_a_write_is_done_once(rig, storage, kind, more, generation):
    """Whether the answer was lost before or after the object was written."""
    first = storage.write_bytes("a", b"old") if generation != "new" else None
    expected = {"new": 0, "present": first and first.generation, "any": None}[generation]
    rig.requests()
    rig.fail(fault(kind, "POST", UPLOAD, **more))
    written = storage.write_bytes("a", SMALL, if_generation=expected)
    assert len(statuses(rig, "POST /upload")) == 2
    rig.fail()
    assert storage.stat("a") == written
    assert storage.read_bytes("a") == (SMALL, written)
    assert list(storage.names()) == ["a"]


@pytest.mark.parametrize(
    "rule",
    [
        fault("status", "POST", UPLOAD, status=503),  # the session is not opened
        fault("reset after", "POST", UPLOAD),  # it is, and nobody knows
        fault("status", "PUT", UPLOAD, status=503),  # no byte is kept
        fault("partial", "PUT", UPLOAD, bytes=PART, status=503),  # some are
        fault("partial", "PUT", UPLOAD, bytes=32 * PART),  # many are, then the connection is gone
        fault("reset", "PUT", UPLOAD),
        fault("status after", "PUT", UPLOAD, status=503),  # all are, the object exists
        fault("reset after", "PUT", UPLOAD),
        fault("status", "PUT", UPLOAD, status=410),  # the session is gone: all over again
        fault("status", "PUT", UPLOAD, status=404),
    ],
    ids=str,
)
@pytest.mark.parametrize("generation", [0, None])
def test_a_resumable_upload_ends_in_one_object(rig, storage, big, rule, generation, monkeypatch):
    monkeypatch.setattr(gcs, "CHUNK_BYTES", 16 * PART)
    rig.fail({**rule, "skip": 1 if rule["method"] == "PUT" and "after" not in rule["fault"] else 0})
    written = storage.upload(big, "models/a", if_generation=generation)
    rig.fail()
    assert written.size == len(BIG)
    assert storage.stat("models/a") == written
    assert storage.read_bytes("models/a") == (BIG, written)
    assert list(storage.names()) == ["models/a"]


def test_the_last_part_of_an_upload_may_lose_its_answer(rig, storage, big, monkeypatch):
    monkeypatch.setattr(gcs, "CHUNK_BYTES", 16 * PART)
    rig.fail(fault("reset after", "PUT", UPLOAD, skip=2))
    written = storage.upload(big, "a", if_generation=0)
    assert statuses(rig, "PUT") == [308, 308, 200, 200]
    assert storage.read_bytes("a") == (BIG, written)


@pytest.mark.parametrize(
    ("rules", "requests"),
    [
        ([fault("truncate", "GET", BYTES, bytes=5 << 20)], 2),  # the stream breaks
        ([fault("truncate", "GET", BYTES, bytes=3 << 20), fault("status", "GET", BYTES, status=503)], 3),
        ([fault("truncate", "GET", BYTES, bytes=1 << 20, times=4)], 5),  # again and again
        # For longer than the library repeats: as long as bytes arrive, the work goes on.
        ([fault("truncate", "GET", BYTES, bytes=1 << 20, seconds=1.5, times=4)], 5),
        ([fault("status", "GET", BYTES, status=503)], 2),
        ([fault("stall body", "GET", BYTES, bytes=1 << 20, seconds=6)], 2),
        ([fault("drip", "GET", BYTES, seconds=1)], 1),
        ([fault("flip", "GET", BYTES)], 2),  # damaged on the way
        # The library checks nothing once a stream was taken up again.
        ([fault("truncate", "GET", BYTES, bytes=3 << 20), fault("flip", "GET", BYTES)], 3),
    ],
    ids=[
        "broken",
        "broken, then 503",
        "broken 4 times",
        "broken for long",
        "503",
        "stalled",
        "slow",
        "damaged",
        "broken, then damaged",
    ],
)
def test_a_download_ends_in_the_right_bytes(rig, storage, big, tmp_path, rules, requests):
    written = storage.upload(big, "a")
    rig.requests()
    rig.fail(*rules)
    assert storage.download("a", tmp_path / "down" / "a") == written
    assert len(statuses(rig, BYTES)) == requests
    assert (tmp_path / "down" / "a").read_bytes() == BIG
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["a"]


def test_an_object_that_changes_while_it_is_read_comes_whole(rig, storage, big, tmp_path):
    storage.upload(big, "a")
    rig.fail(fault("stall body", "GET", BYTES, bytes=1 << 20, seconds=1))
    reader = threading.Thread(target=storage.download, args=("a", tmp_path / "down"))
    reader.start()
    while not statuses(rig, BYTES):
        pass
    newer = storage.write_bytes("a", BIG[::-1])
    reader.join()
    assert (tmp_path / "down").read_bytes() == BIG[::-1]
    assert storage.stat("a") == newer


# Faults that stay: one error, a state from which the same call completes.
LASTING = {
    "damaged on disk": (fault("flip", "GET", BYTES, times=99), "CRC-32C"),
    "503": (fault("status", "GET", times=99, status=503), "503"),
    "429": (fault("status", "GET", times=99, status=429), "SIGHTLINE_GCS_JOBS"),
    "403": (fault("status", "GET", times=99, status=403), "Storage Object User"),
    "401": (
        fault("status", "GET", times=99, status=401),
        "credentials",
    ),
    "reset": (fault("reset", "GET", times=99), "gs://"),
    "stall": (fault("stall", "GET", times=99, seconds=2), "gs://"),
    "truncated to nothing": (fault("truncate", "GET", times=99, bytes=0), "gs://"),
}


@pytest.mark.parametrize("case", LASTING)
def test_what_lasts_ends_in_one_error_and_no_file(rig, storage, tmp_path, monkeypatch, case):
    written = storage.write_bytes("a", SMALL)
    monkeypatch.setenv("SIGHTLINE_GCS_TIMEOUT_SECONDS", "0.5")
    impatient = open_storage(storage.uri)
    rule, message = LASTING[case]
    rig.fail(rule)
    with raises(StorageError, message) as told:
        impatient.download("a", tmp_path / "down" / "a")
    assert "upload_id" not in str(told.value)
    assert list((tmp_path / "down").iterdir()) == []
    rig.fail()
    assert impatient.download("a", tmp_path / "down" / "a") == written


@pytest.mark.parametrize("size", ["small", "big"])
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (fault("status", ".*", UPLOAD, times=99, status=503), "gs://"),
        (fault("status", ".*", UPLOAD, times=99, status=403), "403"),
        (fault("reset", ".*", UPLOAD, times=99), "gs://"),
        (fault("flip upload", "POST|PUT", UPLOAD + "=multipart|upload_id", times=99), "/a"),
    ],
    ids=["503", "403", "reset", "damaged"],
)
def test_a_write_that_cannot_be_done_leaves_nothing(rig, storage, tmp_path, monkeypatch, rule, message, size):
    (tmp_path / "file").write_bytes(SMALL if size == "small" else BIG)
    monkeypatch.setenv("SIGHTLINE_GCS_TIMEOUT_SECONDS", "0.7")
    impatient = open_storage(storage.uri)
    rig.fail(rule)
    with raises(StorageError, message) as told:
        impatient.upload(tmp_path / "file", "a", if_generation=0)
    assert "upload_id" not in str(told.value)
    rig.fail()
    assert list(storage.list()) == []
    written = impatient.upload(tmp_path / "file", "a", if_generation=0)
    assert storage.stat("a") == written


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_bytes_that_arrive_damaged_are_sent_again(rig, storage, tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    rig.fail(fault("flip upload", "POST|PUT", UPLOAD + "=multipart|upload_id"))
    written = storage.upload(tmp_path / "file", "a", if_generation=0)
    assert 400 in statuses(rig, "/upload/")
    assert storage.read_bytes("a") == (data, written)


def test_a_lost_answer_is_not_taken_for_success_when_another_was_first(rig, storage):
    """The write is refused, its repetition too: what is there has other bytes."""
    storage.write_bytes("a", b"theirs", if_generation=0)
    rig.fail(fault("reset", "POST", UPLOAD))
    with raises(PreconditionFailedError):
        storage.write_bytes("a", b"ours", if_generation=0)
    assert storage.read_bytes("a")[0] == b"theirs"


def test_the_same_size_is_not_the_same_object(storage):
    storage.write_bytes("a", b"theirs", if_generation=0)
    with pytest.raises(PreconditionFailedError):
        storage.write_bytes("a", b"our own"[:6], if_generation=0)


def test_a_full_disk_is_told_and_leaves_nothing(storage, big, tmp_path):
    storage.upload(big, "a")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    try:
        with raises(StorageError, "down/a"):
            storage.download("a", tmp_path / "down" / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list((tmp_path / "down").iterdir()) == []
    storage.download("a", tmp_path / "down" / "a")
    assert (tmp_path / "down" / "a").read_bytes() == BIG


def test_a_sink_that_refuses_is_not_asked_again(rig, storage):
    """What is wrong with the contents is no fault of the network."""
    storage.write_bytes("a", SMALL)
    rig.requests()

    @contextmanager
    def refusing():
        yield io.BytesIO()
        raise StorageError("the MD5 is another")

    with raises(StorageError, "MD5"):
        storage.read("a", refusing)
    assert len(statuses(rig, BYTES)) == 1


def test_a_file_that_changes_while_it_is_sent_is_no_object(storage, big, monkeypatch):
    monkeypatch.setattr(gcs, "measured", lambda path: (len(BIG) + 1, "AAAAAA=="))
    with raises(StorageError):
        storage.upload(big, "a")
    monkeypatch.setattr(gcs, "measured", lambda path: (len(BIG), "AAAAAA=="))
    with raises(StorageError, "CRC32C"):
        storage.upload(big, "a")
    assert list(storage.list()) == []


def test_pages_are_read_to_the_end(rig, storage, tmp_path, monkeypatch):
    monkeypatch.setattr(gcs, "PAGE", 7)
    (tmp_path / "file").write_bytes(b"1")
    keys = [f"folder/{number:03}" for number in range(50)]
    assert not [
        item.error for item in storage.upload_many(Upload(tmp_path / "file", key) for key in keys) if item.error
    ]
    rig.requests()
    rig.fail(fault("reset", "GET", "pageToken=21"))
    assert [info.key for info in storage.list("folder/")] == keys
    assert len(statuses(rig, "pageToken")) == 8
    assert list(storage.names("folder/")) == keys


def test_many_transfers_survive_many_faults(rig, storage, tmp_path):
    """One request in six is broken, in every way there is."""
    contents = {f"k{number}": os.urandom(2000 + number) for number in range(60)}
    for key, data in contents.items():
        (tmp_path / key).write_bytes(data)
    kinds = [("reset", {}), ("reset after", {}), ("status", {"status": 503}), ("status after", {"status": 503})]
    rules = [fault(kind, "POST", UPLOAD, skip=5 * step, **more) for step, (kind, more) in enumerate(kinds * 3)]
    rig.fail(*rules)
    outcomes = list(storage.upload_many(Upload(tmp_path / key, key) for key in contents))
    assert [item.error for item in outcomes if item.error] == []
    rig.fail()
    assert {key: storage.read_bytes(key)[0] for key in contents} == contents


def test_what_is_gone_is_told_apart_from_what_is_statuses(rig, storage):
    with pytest.raises(ObjectNotFoundError):
        storage.read_bytes("none")
    rig.fail(fault("status", "GET", times=99, status=404))
    fresh = open_storage(storage.uri)
    with raises(StorageError, "404", "storage.uri"):
        fresh.read_bytes("none")
