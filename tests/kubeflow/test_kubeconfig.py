"""A kubeconfig, read as kubectl reads it."""

import base64
import json
import os
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from sightline.errors import ConfigurationError, NotAuthorisedError
from sightline.kubeflow.client import plugin as plugin_module
from sightline.kubeflow.client.connection import connect
from sightline.kubeflow.client.kubeconfig import read_kubeconfig
from sightline.kubeflow.client.profile import Profile
from tests.golden import raises


def kubeconfig(path, user, /, *, name="lab", server="http://127.0.0.1:1", cluster=None, **context):
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [
            {"name": "c", "cluster": cluster if isinstance(cluster, list) else {"server": server, **(cluster or {})}}
        ],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ({"token": "canary-1"}, {"authorization": "Bearer canary-1"}),
        ({"username": "me", "password": "canary-2"},
         {"authorization": "Basic " + base64.b64encode(b"me:canary-2").decode()}),
        ({"tokenFile": "token"}, {"authorization": "Bearer canary-3"}),
        # As kubectl does: the file is renewed, the token is not.
        ({"tokenFile": "token", "token": "canary-4"}, {"authorization": "Bearer canary-3"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_who_asks(tmp_path, user, headers):
    (tmp_path / "token").write_text("canary-3\n")
    access = read_kubeconfig(kubeconfig(tmp_path / "config", user, namespace="team"))
    assert (access.url, access.namespace) == ("http://127.0.0.1:1", "team")
    assert access.headers() == headers
    assert "canary" not in repr(access)


def test_a_context_without_a_user_asks_as_nobody(tmp_path):
    assert read_kubeconfig(kubeconfig(tmp_path / "config", {}, user="")).headers() == {}


def test_a_token_file_is_read_for_each_request(tmp_path):
    access = read_kubeconfig(kubeconfig(tmp_path / "config", {"tokenFile": "token"}))
    for token in ("canary-1", "canary-2"):
        (tmp_path / "token").write_text(token)
        assert access.headers() == {"authorization": f"Bearer {token}"}
    (tmp_path / "token").unlink()
    with raises(NotAuthorisedError, "token"):
        access.headers()


PLUGIN = """
import json, os, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text() or 0) + 1 if count.exists() else 1
count.write_text(str(number))
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": f"{os.environ['PREFIX']}-{number}", "expirationTimestamp": sys.argv[2]}
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": asked["kind"], "status": status}))
"""


def plugin(*command, **asked):
    given = {"apiVersion": "client.authentication.k8s.io/v1", "command": command[0], "args": list(command[1:])}
    return {"exec": {**given, **asked}}


@pytest.mark.parametrize(("lasts", "tokens"), [(3600, ["canary-1", "canary-1"]), (30, ["canary-1", "canary-2"])])
def test_a_plugin_gives_the_token_and_is_asked_again_when_it_expires(tmp_path, lasts, tokens):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    until = (datetime.now(UTC) + timedelta(seconds=lasts)).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = (sys.executable, str(tmp_path / "plugin.py"), str(tmp_path / "count"), until)
    user = plugin(*command, env=[{"name": "PREFIX", "value": "canary"}])
    access = read_kubeconfig(kubeconfig(tmp_path / "config", user))
    assert not (tmp_path / "count").exists()  # whoever asks the API alone needs no credentials of the cluster
    assert [access.headers()["authorization"] for _ in range(2)] == [f"Bearer {token}" for token in tokens]
    assert "canary" not in repr(access)


def status(**status):
    said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return (sys.executable, "-c", f"print({json.dumps(json.dumps(said))})")


PEM = "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("user", "kind", "says"),
    [
        (plugin("no-such-plugin"), NotAuthorisedError, "no-such-plugin, which the kubeconfig runs for"),
        (plugin("no-such-plugin", installHint="apt-get install\n  it"), NotAuthorisedError, "; apt-get install it"),
        (plugin("./config"), NotAuthorisedError, "cannot be run (Permission denied)"),
        (plugin(sys.executable, "-c", "import sys; sys.exit('canary\\nlog in first')"), NotAuthorisedError,
         "(log in first)"),
        (plugin(sys.executable, "-c", "print('canary')"), NotAuthorisedError, "not JSON"),
        (plugin(sys.executable, "-c", "print('[]')"), NotAuthorisedError, "neither token nor certificate"),
        (plugin(sys.executable, "-c", "print(7)"), NotAuthorisedError, "run it by hand"),
        (plugin(*status(), apiVersion="client.authentication.k8s.io/v1beta1"), NotAuthorisedError, "v1beta1"),
        (plugin(*status(token="canary"), env=[{"name": 1}]), NotAuthorisedError, "section exec"),
        (plugin(*status()), NotAuthorisedError, "neither token nor certificate"),
        (plugin(*status(token="")), NotAuthorisedError, "neither token nor certificate"),
        (plugin(*status(clientCertificateData=PEM)), NotAuthorisedError, "cannot be used"),
        (plugin(*status(clientCertificateData=PEM, clientKeyData=PEM)), NotAuthorisedError, "cannot be used"),
        (plugin(*status(clientCertificateData=7, clientKeyData=7)), NotAuthorisedError, "cannot be used"),
        (plugin(*status(token="canary", expirationTimestamp="soon")), NotAuthorisedError, "cannot be used"),
        (plugin(*status(token="canary\nx")), NotAuthorisedError, "not one line of ASCII"),
        ({"exec": "canary"}, ConfigurationError, "wrong type"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, NotAuthorisedError, "missing key 'command'"),
    ],
)  # fmt: skip
def test_a_plugin_that_gives_nothing(tmp_path, user, kind, says):
    path = kubeconfig(tmp_path / "config", user, server="https://127.0.0.1:1")
    with pytest.raises(kind) as caught:
        read_kubeconfig(path).headers()
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "cannot renew" not in str(caught.value)  # said once, and by whoever knows


def test_a_plugin_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin_module, "SECONDS", 0.5)
    user = plugin(sys.executable, "-c", "import time; time.sleep(60)")
    access = read_kubeconfig(kubeconfig(tmp_path / "config", user, server="https://127.0.0.1:1"))
    with raises(NotAuthorisedError, sys.executable, "0.5 s"):
        access.headers()


def test_numbers_among_a_plugins_variables_are_text(tmp_path):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    command = (sys.executable, str(tmp_path / "plugin.py"), str(tmp_path / "count"), "2099-01-01T00:00:00Z")
    user = plugin(*command, env=[{"name": "PREFIX", "value": 7}])
    assert read_kubeconfig(kubeconfig(tmp_path / "config", user)).headers() == {"authorization": "Bearer 7-1"}


@pytest.mark.parametrize(
    ("user", "cluster", "says"),
    [
        ({"auth-provider": {"name": "gcp"}}, {}, "'gcp'"),
        ({}, {"certificate-authority-data": "canary?"}, "certificate-authority-data is not base64"),
        ({}, {"certificate-authority-data": base64.b64encode(b"canary").decode()}, "context lab"),
        ({}, {"certificate-authority": "no.crt"}, "File does not exist"),
        ({"client-certificate": "config"}, {}, "context lab"),
        ({}, {"server": "10.0.0.1:6443"}, "is not a URL"),
        ({}, {"server": ""}, "is not a URL"),
        ({}, {"proxy-url": "socks5://127.0.0.1:1"}, "is not supported"),
        ({"token": "canary\nx"}, {}, "one line of ASCII"),
        ({"username": "me", "password": 7}, {}, "wrong type"),
        ("canary", {}, "wrong type"),
        ([], ["canary"], "wrong type"),
        ({"auth-provider": {"name": "oidc", "config": {}}}, {}, "id-token"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path, user, cluster, says):
    path = kubeconfig(tmp_path / "config", user, server="https://127.0.0.1:1", cluster=cluster)
    with (
        pytest.raises((ConfigurationError, NotAuthorisedError)) as caught,
        connect(Profile(kubeconfig=path)) as kubeflow,
    ):
        kubeflow.cluster.version()
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


def test_an_expired_id_token(tmp_path):
    payload = base64.urlsafe_b64encode(json.dumps({"exp": 1}).encode()).decode().rstrip("=")
    provider = {"name": "oidc", "config": {"id-token": f"canary.{payload}.x", "idp-issuer-url": "https://i.invalid"}}
    with raises(NotAuthorisedError, "id-token", "kubectl") as caught:
        read_kubeconfig(kubeconfig(tmp_path / "config", {"auth-provider": provider}))
    assert "canary" not in str(caught.value)


def test_the_first_of_several_files_wins(tmp_path):
    paths = [kubeconfig(tmp_path / name, {"token": name}, name=name) for name in ("one", "two")]
    access = read_kubeconfig(os.pathsep.join(paths))
    assert access.source == f"context one of {paths[0]}"
    assert access.headers() == {"authorization": "Bearer one"}
    with raises(ConfigurationError, "'three'", "one, two"):
        read_kubeconfig(os.pathsep.join(paths), "three")


def test_a_kubeconfig_that_does_not_exist(tmp_path, nobodys):
    with raises(ConfigurationError, tmp_path / "none"):
        read_kubeconfig(str(tmp_path / "none"))
    assert read_kubeconfig("") is None


def test_without_a_host_the_way_leads_through_the_cluster(server, tmp_path, nobodys):
    service = "/api/v1/namespaces/kubeflow/services/ml-pipeline:8888/proxy"
    server.say(f"GET {service}/apis/v2beta1/healthz", {"tag_name": "2.17.0"})
    server.say("GET /version/", {"gitVersion": "v1.33.0"})
    (tmp_path / "token").write_text("t")
    path = kubeconfig(tmp_path / "config", {"tokenFile": "token"}, server=server.url)
    with connect(Profile(kubeconfig=path)) as kubeflow:
        assert kubeflow.api.health.version == "2.17.0"
        assert kubeflow.cluster.version() == "v1.33.0"
        assert kubeflow.api.health.version == "2.17.0"
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer t"}
