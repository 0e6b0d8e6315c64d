"""Objects fetched by several processes: all of them, each verified, whoever of the helpers dies."""

import errno
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from sightline.data.dvc import fetching
from sightline.data.dvc.cache import Cache
from sightline.data.dvc.fetching import fetch_objects
from sightline.data.dvc.objects import file_md5, object_key
from sightline.errors import SightlineError
from sightline.logs import Progress
from sightline.storage import open_storage
from tests.golden import raises
from tests.servers.google_storage import fault

OBJECTS = 60
SIZE = 1000


@pytest.fixture(params=["folder", "gs"])
def storage(request, tmp_path):
    uri = (tmp_path / "remote").as_uri() if request.param == "folder" else request.getfixturevalue("bucket_uri")
    return open_storage(uri)


@pytest.fixture
def objects(storage):
    found = []
    for number in range(OBJECTS):
        data = f"{number:04}".encode() * (SIZE // 4)
        found.append(hashlib.md5(data).hexdigest())
        storage.write_bytes(object_key(found[-1]), data)
    return found


@pytest.fixture
def three_processes(monkeypatch):
    """The work goes to a pool, in small batches."""
    monkeypatch.setattr(fetching, "MIN_OBJECTS", 1)
    monkeypatch.setattr(fetching, "BATCH", 3)
    monkeypatch.setattr(fetching, "_processors", lambda: 3)


@pytest.fixture
def fetched_here(monkeypatch):
    """The objects that this process fetches itself."""
    fetch, here = fetching._fetch, []

    def noted(storage, cache, temporary, objects, **more):
        here.extend(objects)
        return fetch(storage, cache, temporary, objects, **more)

    monkeypatch.setattr(fetching, "_fetch", noted)
    return here


def fetched(storage, objects, folder, progress=None):
    """The faults, and the objects that are in the cache afterwards."""
    cache, temporary = Cache(folder / "cache"), folder / "cache" / "tmp"
    temporary.mkdir(parents=True)
    progress = progress or Progress("fetch", unit="bytes")
    faults = fetch_objects(storage, cache, temporary, objects, processes=3, progress=progress)
    assert list(temporary.iterdir()) == []
    present = {md5 for md5 in objects if cache.path_of(md5).is_file()}
    assert all(file_md5(cache.path_of(md5)) == md5 for md5 in present)
    assert workers(psutil.Process()) == []
    return faults, present


def workers(process):
    """The processes of a pool that a process started."""
    return [child for child in process.children() if "--process-name" in child.cmdline()]


@pytest.mark.usefixtures("three_processes")
def test_processes_share_the_work(storage, objects, fetched_here, tmp_path):
    progress = Progress("fetch", unit="bytes")
    assert fetched(storage, objects, tmp_path, progress) == ({}, set(objects))
    assert fetched_here == []
    assert progress.done == OBJECTS * SIZE


def test_few_objects_need_no_other_process(storage, objects, fetched_here, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_processors", lambda: 3)
    assert fetched(storage, objects, tmp_path) == ({}, set(objects))
    assert set(fetched_here) == set(objects)


@pytest.mark.usefixtures("three_processes")
def test_every_fault_is_told(storage, objects, tmp_path):
    expected = {}
    for md5 in objects[::2]:
        storage.delete(object_key(md5))
        expected[md5] = "missing"
    for md5 in objects[1::4]:
        storage.write_bytes(object_key(md5), b"other bytes")
        expected[md5] = "damaged"
    assert fetched(storage, objects, tmp_path) == (expected, set(objects) - expected.keys())


@pytest.mark.usefixtures("three_processes")
def test_what_a_killed_process_leaves_is_fetched_without_it(storage, objects, fetched_here, tmp_path, caplog):
    """The first process that appears dies: the kernel takes the largest where memory runs out."""
    caplog.set_level(logging.WARNING, logger="sightline")

    def kill():
        deadline = time.monotonic() + 60
        while not (found := workers(psutil.Process())) and time.monotonic() < deadline:
            time.sleep(0.01)
        found[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert fetched(storage, objects, tmp_path) == ({}, set(objects))
    killer.join()
    assert "a process that fetched objects was killed" in caplog.text
    assert fetched_here == []  # a second pool did it


@pytest.mark.usefixtures("three_processes")
@pytest.mark.parametrize(("breaks", "left"), [((5,), 0), ((5, 6), OBJECTS - 12)])
def test_a_pool_that_breaks_while_work_is_handed_out_loses_nothing(
    storage, objects, fetched_here, tmp_path, monkeypatch, breaks, left
):
    from loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

    submit, handed = ProcessPoolExecutor.submit, []

    def broken(pool, *arguments):
        handed.append(arguments)
        if len(handed) in breaks:
            raise TerminatedWorkerError("a process was killed")
        return submit(pool, *arguments)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", broken)
    assert fetched(storage, objects, tmp_path) == ({}, set(objects))
    assert left <= len(fetched_here) <= (OBJECTS if left else 0)


@pytest.mark.usefixtures("three_processes")
@pytest.mark.parametrize("missing", ["loky", "semaphores"])
def test_without_a_pool_one_process_fetches(storage, objects, fetched_here, tmp_path, monkeypatch, caplog, missing):
    """In images of an earlier release there is no loky; in some containers there is no /dev/shm."""
    caplog.set_level(logging.WARNING, logger="sightline")
    if missing == "loky":
        monkeypatch.setitem(sys.modules, "loky.process_executor", None)
    else:
        from loky import process_executor

        def refuse(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(process_executor, "ProcessPoolExecutor", refuse)
    assert fetched(storage, objects, tmp_path) == ({}, set(objects))
    assert set(fetched_here) == set(objects)
    assert "objects are fetched with one process only" in caplog.text


@pytest.mark.usefixtures("three_processes")
def test_what_stops_a_process_is_told(google_storage_server, bucket_uri, tmp_path):
    google_storage_server.fail(fault("status", "GET", "alt=media", status=403, times=1000, message="not yours"))
    try:
        with raises(SightlineError, "403"):
            fetched(open_storage(bucket_uri), [f"{number:032x}" for number in range(6)], tmp_path)
    finally:
        google_storage_server.fail()


# No guard for __main__, as in anybody's script: it must run once.
STARTER = """
import pathlib, sys, threading, time
from sightline.data.dvc import fetching
from sightline.data.dvc.cache import Cache
from sightline.storage import open_storage
print("started", flush=True)
folder = pathlib.Path(sys.argv[1])
storage = open_storage((folder / "remote").as_uri())
with fetching._pool(2) as pool:
    pool.submit(fetching._fetch_there, storage.uri, folder / "cache", folder, 1, []).result()
    print("working", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_the_one_that_started_them(how, tmp_path):
    (tmp_path / "remote").mkdir()
    (tmp_path / "script.py").write_text(STARTER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        assert [starter.stdout.readline() for _ in range(2)] == ["started\n", "working\n"]
        started = psutil.Process(starter.pid).children(recursive=True)
        assert started
        starter.send_signal(how)
    _, alive = psutil.wait_procs(started, timeout=40)
    assert alive == []
