"""A kubeconfig, read as kubectl reads it."""

import base64
import os
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from sightline.errors import ConfigurationError, NotAuthorisedError
from sightline.kubeflow.client.connection import connect
from sightline.kubeflow.client.kubeconfig import read_kubeconfig
from sightline.kubeflow.client.profile import Profile


def kubeconfig(path, user, *, name="lab", server="http://127.0.0.1:1", **context):
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "canary-1"}, "Bearer canary-1"),
        ({"username": "me", "password": "canary-2"}, "Basic " + base64.b64encode(b"me:canary-2").decode()),
        ({"tokenFile": "token"}, "Bearer canary-3"),
    ],
)
def test_who_asks(tmp_path, user, header):
    (tmp_path / "token").write_text("canary-3\n")
    access = read_kubeconfig(kubeconfig(tmp_path / "config", user, namespace="team"))
    assert (access.url, access.namespace) == ("http://127.0.0.1:1", "team")
    assert access.headers() == {"Authorization": header}
    assert "canary" not in repr(access)


PLUGIN = """
import json, os, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text() or 0) + 1 if count.exists() else 1
count.write_text(str(number))
assert json.loads(os.environ["KUBERNETES_EXEC_INFO"])["kind"] == "ExecCredential"
print(json.dumps({"status": {"token": f"{os.environ['PREFIX']}-{number}", "expirationTimestamp": sys.argv[2]}}))
"""


@pytest.mark.parametrize(("lasts", "tokens"), [(3600, ["canary-1", "canary-1"]), (30, ["canary-1", "canary-2"])])
def test_a_program_gives_the_token_and_is_asked_again_when_it_expires(tmp_path, lasts, tokens):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    until = (datetime.now(UTC) + timedelta(seconds=lasts)).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": sys.executable,
        "args": [str(tmp_path / "plugin.py"), str(tmp_path / "count"), until],
        "env": [{"name": "PREFIX", "value": "canary"}],
    }
    headers = read_kubeconfig(kubeconfig(tmp_path / "config", {"exec": command})).headers
    assert [headers()["Authorization"] for _ in range(2)] == [f"Bearer {token}" for token in tokens]
    assert "canary-1" not in repr(headers)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-plugin"], "there is no such program; install it"),
        ([sys.executable, "-c", "import sys; sys.exit('log in first')"], "failed: log in first"),
        ([sys.executable, "-c", "print('{}')"], "gave no token"),
    ],
)
def test_a_program_that_gives_no_token(tmp_path, command, says):
    user = {"exec": {"command": command[0], "args": command[1:]}}
    with pytest.raises(NotAuthorisedError, match=says):
        read_kubeconfig(kubeconfig(tmp_path / "config", user)).headers()


def test_the_first_of_several_files_wins(tmp_path):
    paths = [kubeconfig(tmp_path / name, {"token": name}, name=name) for name in ("one", "two")]
    assert read_kubeconfig(os.pathsep.join(paths)).source == f"context one of {paths[0]}"
    with pytest.raises(ConfigurationError, match="has no context 'three'; there are: one, two"):
        read_kubeconfig(os.pathsep.join(paths), "three")


def test_a_kubeconfig_that_is_not_there(tmp_path, nobodys):
    with pytest.raises(ConfigurationError, match="there is no kubeconfig"):
        read_kubeconfig(str(tmp_path / "none"))
    assert read_kubeconfig("") is None


def test_a_way_of_login_that_kubectl_gave_up(tmp_path):
    path = kubeconfig(tmp_path / "config", {"auth-provider": {"name": "gcp"}})
    with pytest.raises(ConfigurationError, match="'gcp' is of a kind that kubectl gave up"):
        read_kubeconfig(path)


def test_without_a_host_the_way_leads_through_the_cluster(server, tmp_path, nobodys):
    service = "/api/v1/namespaces/kubeflow/services/ml-pipeline:8888/proxy"
    server.say(f"GET {service}/apis/v2beta1/healthz", {"tag_name": "2.17.0"})
    path = kubeconfig(tmp_path / "config", {"token": "t"}, server=server.url)
    with connect(Profile(kubeconfig=path)) as kubeflow:
        assert kubeflow.api.health.version == "2.17.0"
    assert server.asked[-1].headers["Authorization"] == "Bearer t"
