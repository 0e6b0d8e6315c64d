"""Ways to the two APIs that need no kubeconfig: from a pod, and through a port that kubectl forwards."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import certifi
import pytest
from kubernetes.config import incluster_config

from sightline.errors import ConfigurationError, NotAuthorisedError, UnreachableError
from sightline.kubeflow.client import connection, profile
from sightline.kubeflow.client.connection import connect
from sightline.kubeflow.client.port_forward import forwarded_port
from sightline.kubeflow.client.profile import find_profile
from tests.golden import raises


@pytest.fixture
def pod(nobodys, monkeypatch, tmp_path):
    """What Kubernetes puts into every pod, and a PodDefault of Kubeflow into a notebook."""
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "namespace").write_text("team")
    (account / "token").write_text("canary-first")
    (account / "ca.crt").write_bytes(Path(certifi.where()).read_bytes())
    (tmp_path / "pipelines").write_text("canary-pipelines")
    for module in (profile, connection):
        monkeypatch.setattr(module, "SERVICE_ACCOUNT", account)
    monkeypatch.setattr(connection, "PIPELINES_TOKEN", tmp_path / "pipelines")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    return account


class InTwoMinutes(datetime):
    """The clock of a watch that goes on; stands for the module and the class in it."""

    minutes = 2
    timedelta = timedelta

    @classmethod
    def now(cls):
        return datetime.now() + timedelta(minutes=cls.minutes)


InTwoMinutes.datetime = InTwoMinutes


def test_a_pod_whose_account_cannot_be_used(pod):
    (pod / "ca.crt").write_text("")
    with pytest.raises(ConfigurationError, match="Cert file exists but empty"):
        connect(find_profile({})).__enter__()


def test_from_a_pod_neither_address_nor_credentials_have_to_be_said(pod, monkeypatch):
    with connect(find_profile({"namespace": "team"})) as kubeflow:
        assert kubeflow.api.server.place.url == "http://ml-pipeline.kubeflow.svc:8888"
        assert kubeflow.api.server.headers() == {"Authorization": "Bearer canary-pipelines"}
        assert kubeflow.cluster.server.place.url == "https://[fd00::1]:6443"
        assert kubeflow.cluster.server.headers() == {"authorization": "bearer canary-first"}
        (pod / "token").write_text("canary-renewed")
        monkeypatch.setattr(incluster_config, "datetime", InTwoMinutes)
        assert kubeflow.cluster.server.headers() == {"authorization": "bearer canary-renewed"}
        (pod / "token").unlink()
        monkeypatch.setattr(InTwoMinutes, "minutes", 4)
        with raises(NotAuthorisedError, "service account"):
            kubeflow.cluster.server.headers()
        assert "canary" not in repr(kubeflow)


def test_in_a_kubeflow_of_many_the_namespace_is_that_of_the_pod(pod, server):
    server.say("GET /apis/v2beta1/healthz", {"tag_name": "2.17.0", "multi_user": True})
    with connect(find_profile({"host": server.url})) as kubeflow:
        assert (kubeflow.namespace, kubeflow.api.scope, kubeflow.cluster.namespace) == ("team", "team", "team")


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Puts a kubectl on PATH that runs a script of Python."""

    def put(script):
        path = tmp_path / "bin" / "kubectl"
        path.parent.mkdir()
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return put


FORWARDING = """
import os, pathlib, sys, time
told = [str(os.getpid()), os.environ["KUBECONFIG"], *sys.argv[1:]]
pathlib.Path(__file__).with_name("asked").write_text(" ".join(told))
print("Forwarding from 127.0.0.1:40817 -> 8888", flush=True)
time.sleep(60)
"""


def test_a_forwarded_port_lasts_as_long_as_the_command(kubectl, tmp_path, monkeypatch):
    kubectl(FORWARDING)
    monkeypatch.setenv("HOME", "/home/me")
    with forwarded_port("kubeflow", "/k:~/l", "here") as url:
        assert url == "http://127.0.0.1:40817"
    pid, asked = (tmp_path / "bin" / "asked").read_text().split(" ", 1)
    assert asked == (
        "/k:/home/me/l --namespace kubeflow --context here port-forward --address 127.0.0.1 service/ml-pipeline :8888"
    )
    assert subprocess.run(["/bin/sh", "-c", f"kill -0 {pid}"], capture_output=True, check=False).returncode != 0


def test_a_port_that_cannot_be_forwarded(kubectl):
    kubectl("import sys; sys.exit('error: services \"ml-pipeline\" not found')")
    with raises(UnreachableError, 'error: services "ml-pipeline" not found'):
        forwarded_port("kubeflow").__enter__()


def test_no_kubectl(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with raises(UnreachableError, "kubectl", "PATH"):
        forwarded_port("kubeflow").__enter__()
