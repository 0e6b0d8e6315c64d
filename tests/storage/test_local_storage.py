"""What is particular to a folder as a bucket."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import threading

import pytest

from sightline.errors import StorageError
from sightline.storage import local, open_storage
from sightline.storage.local import LocalStorage
from tests.golden import raises


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path / "bucket")


def flip_a_bit(path):
    """As a bad disk does: the times and the attributes stay."""
    status = path.stat()
    with path.open("r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_nothing_is_created_before_the_first_write(storage, tmp_path):
    storage.stat("a")
    list(storage.list("a/"))
    assert not (tmp_path / "bucket").exists()


def test_damage_on_disk_is_noticed(storage, tmp_path):
    info = storage.write_bytes("a", b"0123456789")
    flip_a_bit(tmp_path / "bucket" / "a")
    with raises(StorageError, "bucket/a"):
        storage.read_bytes("a")
    with raises(StorageError):
        storage.download("a", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with raises(StorageError):
        storage.write_bytes("a", b"0123456789", if_generation=0)
    storage.write_bytes("a", b"0123456789", if_generation=info.generation)
    assert storage.read_bytes("a")[0] == b"0123456789"


def test_a_file_put_there_by_hand_is_an_object(storage, tmp_path):
    folder = tmp_path / "bucket" / "images"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"123456789")
    os.utime(folder / "a.png", ns=(0, 0))
    info = storage.stat("images/a.png")
    assert (info.crc32c, info.size, info.generation) == ("4waSgw==", 9, 1)
    assert storage.read_bytes("images/a.png") == (b"123456789", info)
    assert list(storage.list()) == [info]
    assert storage.write_bytes("images/a.png", b"2", if_generation=1).generation > 1


def test_without_extended_attributes_everything_else_works(storage, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)
    info = storage.write_bytes("a", b"1", if_generation=0)
    assert storage.read_bytes("a") == (b"1", info)
    assert storage.stat("a") == info
    monkeypatch.delattr(os, "setxattr")
    monkeypatch.delattr(os, "getxattr")
    assert storage.read_bytes("a") == (b"1", info)
    assert storage.write_bytes("a", b"2", if_generation=info.generation).generation > info.generation


def test_other_faults_of_extended_attributes_are_told(storage, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    storage.write_bytes("a", b"1")
    monkeypatch.setattr(os, "getxattr", refuse)
    with raises(StorageError, "Input/output"):
        storage.read_bytes("a")
    monkeypatch.setattr(os, "setxattr", refuse)
    with raises(StorageError, "Input/output"):
        storage.write_bytes("a", b"2")


def test_the_generation_moves_forward_when_the_clock_goes_back(storage, monkeypatch):
    first = storage.write_bytes("a", b"1")
    monkeypatch.setattr(local.time, "time_ns", lambda: first.generation - 10**12)
    assert storage.write_bytes("a", b"2").generation == first.generation + 1


@pytest.mark.parametrize(
    "change", [lambda s: s.write_bytes("a", b"2"), lambda s: s.delete("a")], ids=["write", "delete"]
)
def test_a_change_waits_while_another_process_compares(storage, tmp_path, change):
    storage.write_bytes("a", b"1")
    thread = threading.Thread(target=change, args=(storage,))
    with (tmp_path / "bucket" / ".sightline" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread.start()
        thread.join(timeout=0.3)
        assert thread.is_alive()
        assert storage.read_bytes("a")[0] == b"1"
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert storage.stat("a") is None or storage.read_bytes("a")[0] == b"2"


def test_what_killed_writers_left_is_swept(storage, tmp_path):
    storage.write_bytes("a", b"1")
    folder = tmp_path / "bucket" / ".sightline" / "tmp"
    for name in ("old.part", "new.part"):
        (folder / name).write_bytes(b"half")
    os.utime(folder / "old.part", (0, 0))
    storage.write_bytes("a", b"2")
    assert [path.name for path in folder.iterdir()] == ["new.part"]
    assert [info.key for info in storage.list()] == ["a"]


def test_a_full_disk_leaves_nothing_half_written(storage, tmp_path):
    storage.write_bytes("a", b"old")
    (tmp_path / "big").write_bytes(b"x" * 4_000_000)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    try:
        with raises(StorageError, "bucket/a"):
            storage.upload(tmp_path / "big", "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert storage.read_bytes("a")[0] == b"old"
    assert list((tmp_path / "bucket" / ".sightline" / "tmp").iterdir()) == []


def test_errors_of_the_system_come_with_a_next_step(storage, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with raises(StorageError, "bucket/a", "storage.uri"):
        storage.write_bytes("a", b"1")
    monkeypatch.undo()
    assert list(storage.list()) == []


def test_a_file_is_no_bucket(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with raises(StorageError, "storage.uri"):
        open_storage(str(tmp_path / "file"))
    with raises(StorageError):
        open_storage(str(tmp_path / "file" / "bucket")).write_bytes("a", b"1")


def test_no_key_continues_another(storage):
    storage.write_bytes("a", b"1")
    with raises(StorageError):
        storage.write_bytes("a/b", b"2")
    storage.write_bytes("c/d", b"1")
    with raises(StorageError):
        storage.write_bytes("c", b"2")
    assert [info.key for info in storage.list()] == ["a", "c/d"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unreadable_folder_is_told_and_not_passed_over(tmp_path):
    tmp_path.chmod(0o711)
    storage = LocalStorage(tmp_path / "bucket")
    storage.write_bytes("secret/a", b"1")
    (tmp_path / "bucket" / "secret").chmod(0o700)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent.name.startswith("pytest-"):
            parent.chmod(0o711)
    os.seteuid(65534)
    try:
        with raises(StorageError):
            list(storage.list())
        with raises(StorageError):
            storage.write_bytes("b", b"1")
    finally:
        os.seteuid(0)


def test_objects_have_the_rights_of_ordinary_files(storage, tmp_path):
    storage.write_bytes("a", b"1")
    umask = os.umask(0o022)
    os.umask(umask)
    assert (tmp_path / "bucket" / "a").stat().st_mode & 0o777 == 0o666 & ~umask
