"""Objects fetched by several processes: all of them, each verified, whoever of the helpers dies."""

import hashlib
import logging
import os
import signal
import subprocess
import sys
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
def done_here(monkeypatch):
    """Three processes with small batches; gives the objects that this one fetched."""
    monkeypatch.setattr(fetching, "MIN_OBJECTS", 1)
    monkeypatch.setattr(fetching, "BATCH", 3)
    monkeypatch.setattr(fetching, "_processors", lambda: 3)
    fetch, here = fetching._fetch, []

    def slowly(storage, cache, temporary, objects, **more):
        time.sleep(0.3)
        here.extend(objects)
        return fetch(storage, cache, temporary, objects, **more)

    monkeypatch.setattr(fetching, "_fetch", slowly)
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
    assert [child for child in psutil.Process().children() if fetching.__name__ in child.cmdline()] == []
    return faults, present


def test_helpers_share_the_work(storage, objects, done_here, tmp_path):
    progress = Progress("fetch", unit="bytes")
    assert fetched(storage, objects, tmp_path, progress) == ({}, set(objects))
    assert 0 < len(done_here) < OBJECTS
    assert progress.done == OBJECTS * SIZE


def test_few_objects_need_no_helper(storage, objects, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_processors", lambda: 3)
    monkeypatch.setattr(fetching, "_Helper", None)
    assert fetched(storage, objects, tmp_path) == ({}, set(objects))


def test_whoever_finds_faults_tells_them(storage, objects, done_here, tmp_path):
    expected = {}
    for md5 in objects[::2]:
        storage.delete(object_key(md5))
        expected[md5] = "missing"
    for md5 in objects[1::4]:
        storage.write_bytes(object_key(md5), b"other bytes")
        expected[md5] = "damaged"
    assert fetched(storage, objects, tmp_path) == (expected, set(objects) - expected.keys())
    assert expected.keys() - set(done_here)


def test_what_a_killed_helper_leaves_is_fetched_without_it(storage, objects, done_here, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="sightline")
    ask = fetching._Helper._ask

    def killed(helper, batch):
        helper._process.kill()
        return ask(helper, batch)

    monkeypatch.setattr(fetching._Helper, "_ask", killed)
    assert fetched(storage, objects, tmp_path) == ({}, set(objects))
    assert set(done_here) == set(objects)
    assert caplog.text.count("a process that helped to fetch was killed") == 2


def test_what_stops_a_helper_is_told(google_storage_server, bucket_uri, done_here, tmp_path):
    google_storage_server.fail(fault("status", "GET", "alt=media", status=403, times=1000, message="not yours"))
    try:
        with raises(SightlineError, "403"):
            fetched(open_storage(bucket_uri), [f"{number:032x}" for number in range(6)], tmp_path)
    finally:
        google_storage_server.fail()


STARTER = """
import sys, time
from sightline.data.dvc.fetching import _Helper
with _Helper(["file:///nowhere", "/nowhere", "/nowhere", "1"], None, None) as helper:
    print(helper._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_helper_ends_with_the_process_that_started_it(how):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        helper = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(how)
    psutil.wait_procs([helper], timeout=20)
    assert not helper.is_running()
