"""A Google Storage of our own for tests and benchmarks: ``with google_storage() as rig``."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONT = "tests.servers.google_storage_front"
START_SECONDS = 30
NO_PROBE = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
"""Else gcsfs asks for the type of each bucket, of a service that no emulator has, and waits for minutes."""

os.environ.update(NO_PROBE)  # gcsfs reads it when it is imported, which may be before any fixture is set up


@dataclass(frozen=True)
class GoogleStorageRig:
    """A running emulator.

    Attributes:
        endpoint: For STORAGE_EMULATOR_HOST and for DVC's ``endpointurl``.
    """

    endpoint: str

    @property
    def environment(self):
        """What google-cloud-storage, gcsfs and DVC need to find it and to go there without credentials."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint, **NO_PROBE}

    def new_bucket(self, name=""):
        """The name of an empty bucket."""
        name = name or f"test-{uuid.uuid4().hex[:12]}"
        bucket = {"name": name, "softDeletePolicy": {"retentionDurationSeconds": "0"}}
        self._send("/storage/v1/b?project=test", bucket)
        return name

    def fail(self, *rules):
        """Break requests from now on; ``fail()`` mends everything.  See :func:`fault`."""
        self._send("/rig/faults", list(rules))

    def requests(self):
        """``[method, path with query, status]`` of every request since this was last asked; status 0: no answer."""
        return self._send("/rig/requests")

    def _send(self, path, document=None):
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.endpoint + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            return json.loads(answer.read() or "null")


def fault(kind, method=".*", path="", *, skip=0, times=1, **more):
    """A rule for :meth:`GoogleStorageRig.fail`.

    Args:
        kind: What happens to the request:
            ``status`` (``status=503``, perhaps ``message=``: answered so, not carried out),
            ``status after`` (the same, but carried out),
            ``token`` (``token=``: an access token is given, as Google's server for tokens does),
            ``reset`` (connection dropped, not carried out), ``reset after`` (carried out: the answer is lost),
            ``partial`` (``bytes=n``: a chunk of a resumable upload of which n bytes, a multiple of 256 KiB, are kept;
            then a reset, or ``status=``),
            ``truncate`` (connection closed after half the answer, or ``bytes=`` of it, and perhaps ``seconds=``),
            ``stall`` (``seconds=``: nothing happens for so long), ``stall body`` (the same after half the answer, or
            ``bytes=`` of it), ``drip`` (the answer takes ``seconds=``),
            ``flip`` (one bit of the answer, at the byte ``at=`` or in the middle),
            ``flip upload`` (one bit of what is sent).
        method: Regular expression for the whole method.
        path: Regular expression, searched in path and query, unquoted, such as ``/o/a.json``.
        skip: So many requests that fit pass first.
        times: So many are broken then.
        **more: As above.
    """
    return {"fault": kind, "method": method, "path": path, "skip": skip, "times": times, **more}


@contextlib.contextmanager
def google_storage(address="127.0.0.1"):
    """Start it, and end it again.  Nothing is written to disk, so its speed is that of Python and the loopback."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    front = subprocess.Popen([sys.executable, "-m", FRONT, address], stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    try:
        line = front.stdout.readline()
        if not line.strip():
            raise RuntimeError(f"{FRONT} did not start, exit code {front.wait()}; its message stands above")
        yield GoogleStorageRig(f"http://{address}:{int(line)}")
    finally:
        front.kill()
        front.wait()
        front.stdout.close()


@pytest.fixture(scope="session")
def google_storage_server():
    """The emulator of this test session; STORAGE_EMULATOR_HOST points at it."""
    with google_storage() as rig, pytest.MonkeyPatch.context() as patch:
        for name, value in rig.environment.items():
            patch.setenv(name, value)
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield rig


@pytest.fixture
def google_storage_rig(google_storage_server):
    """The emulator with nothing broken, before and after."""
    google_storage_server.fail()
    google_storage_server.requests()
    yield google_storage_server
    google_storage_server.fail()


@pytest.fixture
def bucket_uri(google_storage_rig):
    """``gs://`` URI of an empty bucket."""
    return f"gs://{google_storage_rig.new_bucket()}"
