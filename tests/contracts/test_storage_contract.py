"""What every result bucket does; a new back end joins with one line in BACK_ENDS."""

from __future__ import annotations

import base64
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import google_crc32c
import pytest

from sightline.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from sightline.storage import ObjectInfo, fetch, open_storage, open_uri

BACK_ENDS = {
    "local": lambda tmp_path: (tmp_path / "a bucket").as_uri(),
}
"""Name -> function that gives the URI of an empty bucket."""


@pytest.fixture(params=BACK_ENDS)
def uri(request, tmp_path):
    return BACK_ENDS[request.param](tmp_path)


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
    with pytest.raises(ObjectNotFoundError, match=r"models/none\.json"):
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
    with pytest.raises(PreconditionFailedError, match=str(first.generation)):
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
        with pytest.raises(PreconditionFailedError, match="another process was first"):
            storage.write_bytes("p", b"3", if_generation=stale)
    assert storage.read_bytes("p") == (b"2", second)
    with pytest.raises(PreconditionFailedError, match="does not exist"):
        storage.write_bytes("q", b"1", if_generation=second.generation)
    assert storage.stat("q") is None


def test_writing_what_is_there_already_counts_as_done(storage, tmp_path):
    first = storage.write_bytes("p", b"same", if_generation=0)
    assert storage.write_bytes("p", b"same", if_generation=0) == first
    (tmp_path / "file").write_bytes(b"same")
    assert storage.upload(tmp_path / "file", "p", if_generation=12345) == first


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
        with pytest.raises(StorageError, match="cannot be used"):
            call()
    assert list(storage.list()) == []


@pytest.mark.parametrize("prefix", [key for key in UNSAFE if key not in {"", "a/"}])
def test_unsafe_prefixes_are_refused(storage, prefix):
    with pytest.raises(StorageError, match="cannot be used"):
        list(storage.list(prefix))


def test_a_missing_source_is_named(storage, tmp_path):
    with pytest.raises(StorageError, match=r"no-such-file"):
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
            while time.monotonic() < end:
                data, info = storage.read_bytes("pointer")
                assert len(data) == info.size == 3_000_000
                assert len(set(data[:: 1 << 16])) == 1
                writes.add(info.generation)
            writer.send_signal(signal.SIGKILL)
        data, _ = storage.read_bytes("pointer")
        assert data == data[:1] * 3_000_000
        assert [info.key for info in storage.list()] == ["pointer"]
    assert len(writes) > 1
