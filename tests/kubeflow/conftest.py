"""What the tests of the room share: a server that answers as told, and an environment without anybody's Kubeflow."""

import pytest

from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.client.pipelines_api import PipelinesApi
from sightline.kubeflow.client.profile import VARIABLES
from tests.kubeflow.recorded import server_at
from tests.servers.answering import answering_server

HEALTH = {"commit_sha": "abc", "tag_name": "2.17.0", "multi_user": False}


@pytest.fixture
def server():
    with answering_server() as server:
        server.say("GET /apis/v2beta1/healthz", HEALTH)
        yield server


@pytest.fixture
def api(server):
    return PipelinesApi(server_at(server.url), "team")


@pytest.fixture
def kubeflow(api):
    return Kubeflow(api, None, "http://dash", "team")


@pytest.fixture
def nobodys(monkeypatch, tmp_path):
    """No variable, kubeconfig or profile of the person who runs the tests."""
    for variable in [*VARIABLES.values(), "KF_PIPELINES_SA_TOKEN_PATH", "SIGHTLINE_KUBEFLOW_PROFILE"]:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
