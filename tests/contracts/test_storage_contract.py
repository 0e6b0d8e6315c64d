"""What every result bucket does; a new back end joins with one line in BACK_ENDS."""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import google_crc32c
import pytest

from sightline.errors import DataError, ObjectNotFoundError, PreconditionFailedError, StorageError
from sightline.files import written_whole
from sightline.logs import Progress
from sightline.storage import Download, ObjectInfo, Upload, fetch, open_storage, open_uri
from tests.golden import raises

BACK_ENDS = {
    "local": lambda request: (request.getfixturevalue("tmp_path") / "a bucket").as_uri(),
    "gcs": lambda request: request.getfixturevalue("bucket_uri"),
    "gcs folder": lambda request: request.getfixturevalue("bucket_uri") + "/a team/its results",
}
"""Name -> function that gives the URI of an empty bucket."""


@pytest.fixture(params=BACK_ENDS)
def uri(request):
    return BACK_ENDS[request.param](request)


@pytest.fixture
def storage(uri):
    return open_storage(uri)


def crc32c(data):
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def test_an_empty_bucket_has_nothing(storage):
    assert storage.stat("a/b.json") is None
    assert list(storage.list()) == []
    assert list(storage.list("a/")) == []
    storage.delete("a/b.json")


@pytest.mark.parametrize("data", [b"", b"x", b"ends in CR\r", bytes(range(256)) * 20_000], ids=["0", "1", "cr", "5MB"])
def test_written_bytes_come_back(storage, data):
    written = storage.write_bytes("a/b c/ä.bin", data)
    assert written == ObjectInfo("a/b c/ä.bin", len(data), crc32c(data), written.generation)
    assert written.generation > 0
    assert storage.stat("a/b c/ä.bin") == written
    assert storage.read_bytes("a/b c/ä.bin") == (data, written)


def test_files_go_up_and_come_down(storage, tmp_path):
    source = tmp_path / "model.safetensors"
    source.write_bytes(os.urandom(3_000_000))
    written = storage.upload(source, "models/model.safetensors")
    target = tmp_path / "new" / "folder" / "model.safetensors"
    assert storage.download("models/model.safetensors", target) == written
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["model.safetensors"]


def test_a_download_replaces_what_was_there(storage, tmp_path):
    storage.write_bytes("a", b"new")
    (tmp_path / "a").write_bytes(b"old and longer")
    storage.download("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_an_object_is_found_by_its_uri(storage, tmp_path):
    storage.write_bytes("models/a #1 50%.bin", b"model")
    uri = storage.uri_of("models/a #1 50%.bin")
    assert uri.startswith(storage.uri + "/")
    found, key = open_uri(uri)
    assert found.read_bytes(key)[0] == b"model"
    path = fetch(uri, tmp_path / "here")
    assert path == tmp_path / "here" / "a #1 50%.bin"
    assert path.read_bytes() == b"model"


def test_list_goes_by_prefix_in_the_order_of_keys(storage):
    for key in ("b", "a/2", "a/10", "a.json", "ab/c/d", "a/1/x"):
        storage.write_bytes(key, key.encode())
    assert [info.key for info in storage.list()] == ["a.json", "a/1/x", "a/10", "a/2", "ab/c/d", "b"]
    assert [info.key for info in storage.list("a/")] == ["a/1/x", "a/10", "a/2"]
    assert [info.key for info in storage.list("a/1")] == ["a/1/x", "a/10"]
    assert [info.key for info in storage.list("ab")] == ["ab/c/d"]
    assert list(storage.list("zz/")) == []
    assert list(storage.list("b/")) == []
    assert list(storage.list("a/2")) == [storage.stat("a/2")]


def test_what_is_not_there_is_named(storage, tmp_path):
    with raises(ObjectNotFoundError, "models/none.json"):
        storage.read_bytes("models/none.json")
    with pytest.raises(FileNotFoundError):
        storage.download("models/none.json", tmp_path / "x" / "none.json")
    assert list((tmp_path / "x").iterdir()) == []


def test_a_folder_is_no_object(storage):
    storage.write_bytes("a/b", b"1")
    assert storage.stat("a") is None
    with pytest.raises(ObjectNotFoundError):
        storage.read_bytes("a")
    storage.delete("a")
    assert storage.stat("a/b") is not None


def test_deleted_objects_are_gone_and_their_names_free(storage):
    first = storage.write_bytes("a/b/c", b"1")
    storage.delete("a/b/c", if_generation=first.generation)
    storage.delete("a/b/c")
    assert list(storage.list()) == []
    storage.write_bytes("a", b"2")
    assert storage.read_bytes("a")[0] == b"2"


def test_delete_respects_the_generation(storage):
    first = storage.write_bytes("a", b"1")
    storage.write_bytes("a", b"2")
    with raises(PreconditionFailedError, first.generation):
        storage.delete("a", if_generation=first.generation)
    assert storage.read_bytes("a")[0] == b"2"


def test_every_write_changes_the_generation(storage):
    generations = [storage.write_bytes("a", b"same").generation for _ in range(50)]
    storage.delete("a")
    generations += [storage.write_bytes("a", b"same").generation for _ in range(50)]
    assert len(set(generations)) == 100


def test_compare_and_swap(storage):
    first = storage.write_bytes("p", b"1", if_generation=0)
    second = storage.write_bytes("p", b"2", if_generation=first.generation)
    for stale in (0, first.generation):
        with raises(PreconditionFailedError):
            storage.write_bytes("p", b"3", if_generation=stale)
    assert storage.read_bytes("p") == (b"2", second)
    with raises(PreconditionFailedError):
        storage.write_bytes("q", b"1", if_generation=second.generation)
    assert storage.stat("q") is None


def test_writing_what_is_there_already_counts_as_done(storage, tmp_path):
    first = storage.write_bytes("p", b"same", if_generation=0)
    assert storage.write_bytes("p", b"same", if_generation=0) == first
    (tmp_path / "file").write_bytes(b"same")
    assert storage.upload(tmp_path / "file", "p", if_generation=12345) == first


def test_an_old_object_that_is_found_there_is_renewed(storage, monkeypatch):
    """Or garbage collection, which deletes by the generation that it judged, would take it from under the finder."""
    for back_end in ("local", "gcs"):
        monkeypatch.setattr(f"sightline.storage.{back_end}.FRESH_SECONDS", -1.0)
    first = storage.write_bytes("p", b"same", if_generation=0)
    renewed = storage.write_bytes("p", b"same", if_generation=0)
    assert renewed.generation != first.generation
    assert renewed.updated >= first.updated
    assert storage.read_bytes("p") == (b"same", renewed)
    with pytest.raises(PreconditionFailedError):
        storage.delete("p", if_generation=first.generation)


def test_names_are_those_of_the_list(storage):
    for key in ("b", "a/2", "a/10", "a.json", "a/1/x"):
        storage.write_bytes(key, b"")
    assert list(storage.names()) == ["a.json", "a/1/x", "a/10", "a/2", "b"]
    assert list(storage.names("a/")) == ["a/1/x", "a/10", "a/2"]
    assert list(storage.names("none/")) == []


def test_what_is_missing_is_found_without_reading(storage):
    for key in ("a/1", "a/2", "b/c/3", "4"):
        storage.write_bytes(key, b"")
    assert storage.missing(iter(["a/2", "4", "b/c/3", "a/1"])) == set()
    assert storage.missing(["a/2", "a/20", "b/c", "5", "c/c/3"]) == {"a/20", "b/c", "5", "c/c/3"}
    assert storage.missing([]) == set()
    with raises(StorageError):
        storage.missing(["a/../b"])


def test_many_go_up_and_come_down_with_their_bytes_counted(storage, tmp_path):
    contents = {f"folder/{number}": os.urandom(number * 100) for number in range(60)}
    for key, data in contents.items():
        (tmp_path / key.replace("/", "_")).write_bytes(data)
    total = sum(map(len, contents.values()))
    with Progress("up", total=total, unit="bytes") as progress:
        items = [Upload(tmp_path / key.replace("/", "_"), key) for key in contents]
        written = {outcome.key: outcome.info for outcome in storage.upload_many(items, progress)}
    assert progress.done == total
    assert written == {info.key: info for info in storage.list()}
    with Progress("down", total=total, unit="bytes") as progress:
        items = (Download(key, partial(written_whole, tmp_path / "down" / key)) for key in contents)
        read = {outcome.key: outcome.info for outcome in storage.download_many(items, progress)}
    assert progress.done == total
    assert read == written
    assert {key: (tmp_path / "down" / key).read_bytes() for key in contents} == contents


def test_one_that_fails_does_not_stop_the_others(storage, tmp_path):
    keys = [f"k{number}" for number in range(40)]
    for key in keys[5:]:
        storage.write_bytes(key, key.encode())

    @contextlib.contextmanager
    def choosy(key):
        with written_whole(tmp_path / "down" / key) as stream:
            yield stream
            if key == "k7":
                raise DataError("k7 is not what the manifest says")
            if key == "k8":
                raise OSError(errno.ENOSPC, "No space left on device")

    outcomes = {item.key: item for item in storage.download_many(Download(key, partial(choosy, key)) for key in keys)}
    failed = {key: outcome.error for key, outcome in outcomes.items() if outcome.error}
    assert set(outcomes) == set(keys)
    assert set(failed) == {*keys[:5], "k7", "k8"}
    assert all(isinstance(failed[key], ObjectNotFoundError) for key in keys[:5])
    assert isinstance(failed["k7"], DataError)
    assert "No space left" in str(failed["k8"])
    assert {path.name for path in (tmp_path / "down").iterdir()} == set(keys) - set(failed)

    uploads = [Upload(tmp_path / "down" / key, f"up/{key}") for key in keys]
    assert {item.key for item in storage.upload_many(uploads) if item.error} == {f"up/{key}" for key in failed}
    assert len(list(storage.names("up/"))) == 33


def test_many_are_taken_only_as_they_are_needed(storage):
    storage.write_bytes("a", b"1")
    taken = []

    @contextlib.contextmanager
    def nowhere():
        yield io.BytesIO()

    outcomes = storage.download_many(Download("a", nowhere) for number in range(1000) if not taken.append(number))
    for _ in range(3):
        assert next(outcomes).info.size == 1
    assert len(taken) < 5 * storage.jobs
    outcomes.close()


UNSAFE = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a\\b",
    "C:/a",
    "a\0b",
    "a\nb",
    "a\x85b",
    "a" * 256,
    "\ud800",
    "k" * 1025,
]


@pytest.mark.parametrize("key", [*UNSAFE, ".sightline/lock"])
def test_unsafe_keys_are_refused_everywhere(storage, tmp_path, key):
    (tmp_path / "file").write_bytes(b"x")
    calls = [
        lambda: storage.stat(key),
        lambda: storage.read_bytes(key),
        lambda: storage.write_bytes(key, b"x"),
        lambda: storage.upload(tmp_path / "file", key),
        lambda: storage.download(key, tmp_path / "out"),
        lambda: storage.delete(key),
    ]
    for call in calls:
        with pytest.raises(StorageError) as caught:
            call()
        assert repr(key) in str(caught.value)
    assert list(storage.list()) == []


@pytest.mark.parametrize("prefix", [key for key in UNSAFE if key not in {"", "a/"}])
def test_unsafe_prefixes_are_refused(storage, prefix):
    with pytest.raises(StorageError) as caught:
        list(storage.list(prefix))
    assert repr(prefix) in str(caught.value)


def test_a_missing_source_is_named(storage, tmp_path):
    with raises(StorageError, "no-such-file"):
        storage.upload(tmp_path / "no-such-file", "a")
    assert list(storage.list()) == []


def add_ones(uri, barrier, queue, times):
    storage = open_storage(uri)
    barrier.wait(timeout=60)
    won = []
    while len(won) < times:
        data, info = storage.read_bytes("pointer")
        number = int(data.split()[0]) + 1
        try:
            storage.write_bytes("pointer", f"{number} {os.getpid()}".encode(), if_generation=info.generation)
        except PreconditionFailedError:
            continue
        won.append(number)
    queue.put(won)


def test_of_16_processes_exactly_one_wins_a_generation(uri):
    open_storage(uri).write_bytes("pointer", b"0")
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(16), context.SimpleQueue()
    processes = [context.Process(target=add_ones, args=(uri, barrier, queue, 5)) for _ in range(16)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 16
    won = sorted(number for _ in processes for number in queue.get())
    assert won == list(range(1, 81))
    assert open_storage(uri).read_bytes("pointer")[0].split()[0] == b"80"


WRITER = """
import sys
from sightline.storage import open_storage
storage = open_storage(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    storage.write_bytes("pointer", bytes([number % 256]) * 3_000_000)
"""


def test_a_killed_writer_leaves_a_whole_object_or_the_one_before(uri):
    storage = open_storage(uri)
    storage.write_bytes("pointer", b"\0" * 3_000_000)
    writes = set()
    for kill in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, uri], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            end = time.monotonic() + 0.02 + 0.013 * kill
            while time.monotonic() < end or (len(writes) < 2 and time.monotonic() < end + 30):
                data, info = storage.read_bytes("pointer")
                assert len(data) == info.size == 3_000_000
                assert len(set(data[:: 1 << 16])) == 1
                writes.add(info.generation)
            writer.send_signal(signal.SIGKILL)
        data, _ = storage.read_bytes("pointer")
        assert data == data[:1] * 3_000_000
        assert [info.key for info in storage.list()] == ["pointer"]
    assert len(writes) > 1
