# ruff: noqa: T201  (who runs it sees the story as it goes)
"""Sightline in a real Kubeflow, by the repository's own images and manifests; everything it needs is its own.

The Kubeflow is that of KFP_HOST and KUBECONFIG.  Images are built here and get there by IMAGE_LOADER or, without one,
are pushed to REGISTRY (dockerfiles/build.sh); IMAGE_TAG names some that are there already.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from sightline.database.engine.connection import connect
from sightline.kubeflow.client.connection import connect as connect_to_kubeflow
from sightline.kubeflow.client.profile import find_profile
from tests.servers.git_http import GitServer
from tests.servers.google_storage import google_storage
from tests.servers.kubeflow import remove
from tests.servers.mariadb import PASSWORD as DATABASE_PASSWORD
from tests.servers.mariadb import PASSWORD_VARIABLE, new_database, own_server, wait_for

ROOT = Path(__file__).parents[2]
GIT_TOKEN = "canary-77aa01"
NOTIFY_PATH = "canary-c0ffee"
CANARIES = (DATABASE_PASSWORD, GIT_TOKEN, NOTIFY_PATH)
PART = "app.kubernetes.io/part-of=sightline"


class Listener(BaseHTTPRequestHandler):
    """A webhook as Slack has them; what it was told is in ``server.told``, what waits for its answer in ``asked``."""

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(text)["text"])
        self.server.answers.wait()
        self.server.told.append((self.path, json.loads(text)["text"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        """Nothing is printed."""


class Installation:
    """Images, volumes, secrets, settings, database, bucket, data repository; and commands as a person types them."""

    def __init__(self, folder, kubeflow, name):
        self.folder, self.kubeflow, self.name = folder, kubeflow, name
        self.namespace = kubeflow.namespace
        self.applied, self.volumes = [], Path("/tmp") / name
        self.address = os.environ.get("POD_ADDRESS") or address_towards(os.environ["KFP_HOST"])
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "SIGHTLINE_HOME": str(folder / "home"),
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
            "KFP_SERVICE_ACCOUNT": "sightline",
            "SIGHTLINE_GIT_TOKEN": GIT_TOKEN,
            "COLUMNS": "110",
            PASSWORD_VARIABLE: DATABASE_PASSWORD,
        }
        self.environment.pop("SIGHTLINE_RUN_ID", None)

    def python(self, *arguments, root=ROOT, expect=0):
        """Run ``python ARGUMENTS`` of a checkout, show it, and return what it prints."""
        print(f"\n$ python {' '.join(arguments)}", flush=True)
        began = time.perf_counter()
        environment = self.environment | {"PYTHONPATH": f"{root / 'shared'}{os.pathsep}{root}"}
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, cwd=root, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        print(f"{output.rstrip()}\n[{time.perf_counter() - began:.1f} s]", flush=True)
        assert done.returncode == expect, f"ended with {done.returncode}"
        return done.stdout

    def kubectl(self, *arguments, expect=0):
        done = subprocess.run(
            ["kubectl", "--namespace", self.namespace, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == expect or expect is None, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def objects(self):
        """What there is of Sightline in the namespace, and its volumes."""
        kinds = "pods,jobs,configmaps,secrets,persistentvolumeclaims,serviceaccounts,roles,rolebindings,networkpolicies"
        found = self.kubectl("get", kinds, "-l", PART, "-o", "name").split()
        return found + [line for line in self.kubectl("get", "pv", "-o", "name").split() if "/sightline-" in line]

    def build_images(self):
        """The images of this checkout, where the cluster finds them; their names by parameter."""
        registry = os.environ.get("REGISTRY", "sightline")
        tag = os.environ.get("IMAGE_TAG") or _revision()
        if "IMAGE_TAG" not in os.environ:
            push = {} if os.environ.get("IMAGE_LOADER") else {"PUSH": "yes"}
            command = [str(ROOT / "dockerfiles/build.sh"), registry, tag, "base", "train-cpu"]
            subprocess.run(command, env={**os.environ, **push}, check=True)
        self.images = {
            "base_image": f"{registry}/base-python3.11:{tag}",
            "train_image": f"{registry}/train-cpu-python3.11:{tag}",
        }

    def apply(self, bucket, database, repository, endpoint, webhook):
        """Volumes, settings, accounts and secrets, by the manifests as anybody would use them."""
        shutil.copytree(ROOT / "manifests", self.folder / "manifests", dirs_exist_ok=True)
        manifests = self.folder / "manifests"
        for name, value in (
            ("database", f"password={DATABASE_PASSWORD}"),
            ("git", f"token={GIT_TOKEN}"),
            ("notify", f"url={webhook}"),
        ):
            (manifests / "secrets" / f"{name}.env").write_text(value + "\n")
        with _edited(manifests / "secrets/kustomization.yaml") as document:
            document["namespace"] = self.namespace
            document["secretGenerator"] = [entry for entry in document["secretGenerator"] if "envs" in entry]
        overlay = manifests / "overlays/single-node"
        settings = {"storage": {"uri": bucket}, "database": {"url": database}, "data": {"repository": repository}}
        (overlay / "settings.yaml").write_text(yaml.safe_dump(settings))
        (manifests / "base/environment.env").write_text(f"STORAGE_EMULATOR_HOST={endpoint}\n")
        image, _, tag = self.images["base_image"].rpartition(":")
        with _edited(overlay / "kustomization.yaml") as document:
            document["namespace"] = self.namespace
            document["images"] = [{"name": "sightline/base-python3.11", "newName": image, "newTag": tag}]
            if not self.kubectl("get", "storageclasses", "-o", "name").split():
                document["components"] = ["../../components/host-path"]
        volumes = manifests / "components/host-path/volumes.yaml"
        volumes.write_text(volumes.read_text().replace("/var/lib/sightline-volumes", str(self.volumes)))
        self.applied = [manifests / "secrets", overlay]
        for folder in self.applied:
            self.kubectl("apply", "-k", str(folder))
        for job in ("sightline-volume-owner", "sightline-database-upgrade"):
            self.kubectl("wait", "--for=condition=complete", "--timeout=5m", f"job/{job}")
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / "settings.yaml").write_text(yaml.safe_dump(settings))

    def add_version(self, version):
        """What lies in ``photos`` becomes a version of the dataset, on the git server and in the bucket."""
        named = ["--dataset", "plates", "--version", version, "--repository", str(self.folder / "data")]
        self.python("-m", "sightline", "data", "add", str(self.folder / "photos"), *named)

    def clear(self):
        """Remove all of it, and see that nothing of it is left."""
        api = self.kubeflow.api
        experiment_id = api.experiment_id(self.name)
        runs = [run["run_id"] for run in api.runs(100) if run.get("experiment_id") == experiment_id]
        remove(
            api, self.name, runs, [self.name, *(f"{self.name}-{end}" for end in ("record", "record-train", "hello"))]
        )
        for folder in self.applied:
            self.kubectl("delete", "--ignore-not-found", "--timeout=3m", "-k", str(folder))
        shutil.rmtree(self.volumes, ignore_errors=True)
        left = self.objects()
        assert left == [], f"left behind: {left}"


def address_towards(url):
    """The address of this machine as whoever is behind a URL sees it."""
    parts = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname, parts.port or 80))
        return probe.getsockname()[0]


def _revision():
    """A tag that no other build has, unless it is of the same commit."""
    revision = subprocess.check_output(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, text=True).strip()
    changed = subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT, text=True)
    return f"{revision}-{int(time.time())}" if changed else revision


@contextmanager
def _edited(path):
    document = yaml.safe_load(path.read_text())
    yield document
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@contextmanager
def installation(folder, name):
    """Sightline on the Kubeflow of KFP_HOST; gone again afterwards."""
    with ExitStack() as stack:
        kubeflow = stack.enter_context(connect_to_kubeflow(find_profile({})))
        assert kubeflow.cluster is not None, "KUBECONFIG names no cluster"
        it = Installation(folder, kubeflow, name)
        there = it.objects()
        if there:
            pytest.fail(
                f"namespace {it.namespace} has a Sightline already: {', '.join(there)}; use another (KFP_NAMESPACE)"
            )
        it.build_images()
        it.storage = stack.enter_context(google_storage(it.address))
        it.environment |= it.storage.environment
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for variable in (PASSWORD_VARIABLE, *it.storage.environment):
            patch.setenv(variable, it.environment[variable])
        (folder / "mariadb").mkdir()
        server_url = stack.enter_context(own_server(folder / "mariadb", address=it.address))
        wait_for(server_url)
        it.database_url = stack.enter_context(new_database(server_url))
        it.bucket = f"gs://{it.storage.new_bucket('sightline')}"
        (folder / "repositories").mkdir()
        it.git = stack.enter_context(GitServer(folder / "repositories", "", it.address).running())
        it.webhook = stack.enter_context(_listening(it.address))
        _make_data(it)
        stack.callback(it.clear)
        port = it.webhook.server_port
        webhook = f"http://{it.address}:{port}/{NOTIFY_PATH}"
        it.apply(f"{it.bucket}/results", it.database_url, it.repository, it.storage.endpoint, webhook)
        yield it


@contextmanager
def _listening(address):
    server = ThreadingHTTPServer((address, 0), Listener)
    server.told, server.asked, server.answers = [], [], threading.Event()
    server.answers.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _make_data(it):
    """A data repository behind git's own server, its files on the bucket, with the version v1."""
    photos, source = it.folder / "photos", it.folder / "data"
    it.python("-m", "sightline", "demo", "draw", str(photos), "--images", "24", "--seed", "1")
    it.python("-m", "sightline", "data", "init", str(source), "--remote", f"{it.bucket}/dvc")
    it.repository = it.git.add("plates.git", source)
    subprocess.run(["git", "-C", str(source), "remote", "add", "origin", it.repository], check=True)
    it.add_version("v1")


def rows(url, query):
    """What a query finds."""
    from sqlalchemy import text

    engine = connect(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found
