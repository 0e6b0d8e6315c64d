"""TLS with authorities of one's own, names that differ, certificates of clients; and proxies in between."""

import json
import shutil
import sys

import pytest

from sightline.errors import ConfigurationError, NotAuthorisedError, UnreachableError
from sightline.kubeflow.client.connection import connect
from sightline.kubeflow.client.profile import Profile, find_profile
from tests.golden import raises
from tests.kubeflow.conftest import HEALTH
from tests.kubeflow.test_kubeconfig import kubeconfig, plugin
from tests.servers.answering import answering_server
from tests.servers.certificates import Authority, as_data
from tests.servers.proxy import proxy_server

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(nobodys, monkeypatch):
    for variable in PROXY_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def encrypted(authority):
    """A cluster and Kubeflow that speak https as ``localhost``."""
    yield from serving(authority.server("localhost"))


@pytest.fixture
def strict(authority):
    """The same, but it wants a certificate of its clients."""
    yield from serving(authority.server("localhost", wants_certificate=True))


def serving(tls):
    with answering_server(tls) as server:
        server.say("GET /apis/v2beta1/healthz", HEALTH)
        server.say("GET /version/", {"gitVersion": "v1.33.0"})
        yield server


def version(path):
    with connect(Profile(kubeconfig=str(path))) as kubeflow:
        return kubeflow.cluster.version()


def health(**options):
    with connect(find_profile({name: str(value) for name, value in options.items()})) as kubeflow:
        return kubeflow.api.health.version


def test_an_authority_of_the_kubeconfig_as_file_and_as_data(tmp_path, encrypted, authority):
    shutil.copy(authority.file, tmp_path / "its.crt")
    for cluster in ({"certificate-authority": "its.crt"}, {"certificate-authority-data": as_data(authority.file)}):
        path = kubeconfig(tmp_path / "config", {"token": "t"}, server=encrypted.url, cluster=cluster)
        assert version(path) == "v1.33.0"


def test_an_authority_of_the_profile(encrypted, authority):
    assert health(host=encrypted.url, ca_file=authority.file) == "2.17.0"


def test_an_authority_of_the_system(encrypted, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert health(host=encrypted.url) == "2.17.0"


def test_another_authority(tmp_path, encrypted):
    with pytest.raises(UnreachableError) as caught:
        health(host=encrypted.url)
    assert "unable to get local issuer certificate" in str(caught.value)
    assert "certificates in --ca-file or KFP_CA_FILE" in str(caught.value)
    Authority(tmp_path)
    path = kubeconfig(tmp_path / "config", {}, server=encrypted.url, cluster={"certificate-authority": "ca.crt"})
    with pytest.raises(UnreachableError, match=r"certificate signature failure|unable to get") as caught:
        version(path)
    assert f"certificates in context lab of {path}" in str(caught.value)


def test_an_authority_that_is_none(tmp_path, encrypted):
    for content in (None, "canary"):
        if content:
            (tmp_path / "ca").write_text(content)
        with pytest.raises(ConfigurationError, match="--ca-file or KFP_CA_FILE") as caught:
            health(host=encrypted.url, ca_file=tmp_path / "ca")
        assert "canary" not in str(caught.value)


def test_a_certificate_that_has_expired(authority):
    for server in serving(authority.server("localhost", days=-1)):
        with pytest.raises(UnreachableError, match="certificate has expired"):
            health(host=server.url, ca_file=authority.file)


def test_a_name_that_is_not_that_of_the_certificate(tmp_path, authority):
    for server in serving(authority.server("kubernetes.default")):
        cluster = {"certificate-authority": str(authority.file)}
        with pytest.raises(UnreachableError, match="Hostname mismatch"):
            version(kubeconfig(tmp_path / "config", {}, server=server.url, cluster=cluster))
        cluster["tls-server-name"] = "kubernetes.default"
        assert version(kubeconfig(tmp_path / "config", {}, server=server.url, cluster=cluster)) == "v1.33.0"


def test_a_cluster_whose_certificate_is_not_to_be_verified(tmp_path, encrypted):
    cluster = {"insecure-skip-tls-verify": True}
    assert version(kubeconfig(tmp_path / "config", {}, server=encrypted.url, cluster=cluster)) == "v1.33.0"


def test_https_where_http_is_spoken(server):
    with pytest.raises(UnreachableError, match="https://"):
        health(host=server.url.replace("http:", "https:"))


def test_a_certificate_of_the_client_as_file_and_as_data(tmp_path, strict, authority):
    certificate, key = authority.sign("me")
    cluster = {"certificate-authority": str(authority.file)}
    users = [
        {"client-certificate": str(certificate), "client-key": str(key)},
        {"client-certificate-data": as_data(certificate), "client-key-data": as_data(key)},
    ]
    for user in users:
        assert version(kubeconfig(tmp_path / "config", user, server=strict.url, cluster=cluster)) == "v1.33.0"
    with pytest.raises(UnreachableError, match="context lab"):
        version(kubeconfig(tmp_path / "config", {}, server=strict.url, cluster=cluster))


def test_a_key_that_is_not_that_of_the_certificate(tmp_path, strict, authority):
    certificate, _ = authority.sign("me")
    _, key = authority.sign("you")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    with pytest.raises(ConfigurationError, match="key values mismatch"):
        version(kubeconfig(tmp_path / "config", user, server=strict.url))


def test_relative_paths_lead_from_the_file_that_names_them(tmp_path, strict, authority):
    """As kubectl reads them: cluster and user may be in files of different folders."""
    mine = tmp_path / "mine"
    mine.mkdir()
    certificate, key = authority.sign("me")
    shutil.copy(certificate, mine / "me.crt")
    shutil.copy(key, mine / "me.key")
    shutil.copy(authority.file, tmp_path / "its.crt")
    cluster = {"certificate-authority": "its.crt"}
    first = kubeconfig(tmp_path / "config", {}, server=strict.url, cluster=cluster, user="me")
    users = [{"name": "me", "user": {"client-certificate": "me.crt", "client-key": "me.key"}}]
    (mine / "config").write_text(json.dumps({"users": users}))
    assert version(f"{first}:{mine / 'config'}") == "v1.33.0"


def test_a_plugin_that_gives_a_certificate(tmp_path, strict, authority):
    certificate, key = authority.sign("me")
    (tmp_path / "plugin.py").write_text(
        "import json, pathlib, sys\n"
        "content = [pathlib.Path(name).read_text() for name in sys.argv[1:]]\n"
        "status = {'clientCertificateData': content[0], 'clientKeyData': content[1]}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', "
        "'status': status}))\n"
    )
    user = plugin(sys.executable, "plugin.py", str(certificate), str(key))
    cluster = {"certificate-authority": str(authority.file)}
    assert version(kubeconfig(tmp_path / "config", user, server=strict.url, cluster=cluster)) == "v1.33.0"


def through(monkeypatch, proxy, login=""):
    for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, f"http://{login and login + '@'}{proxy.address}")


def far(server):
    """The address of a server under a name that only the proxy knows; its certificate is for it."""
    return server.url.replace("localhost", "far.invalid").replace("127.0.0.1", "far.invalid")


@pytest.fixture
def far_away(authority):
    yield from serving(authority.server("far.invalid"))


def test_both_ways_through_a_proxy_of_the_environment(server, far_away, authority, tmp_path, monkeypatch):
    server.say("GET /apis/v2beta1/runs", {})
    with proxy_server("me:canary p@ss") as proxy:
        through(monkeypatch, proxy, "me:canary%20p%40ss")
        assert health(host=far(server)) == "2.17.0"
        assert health(host=far(far_away), ca_file=authority.file) == "2.17.0"
        cluster = {"certificate-authority": str(authority.file)}
        assert version(kubeconfig(tmp_path / "config", {}, server=far(far_away), cluster=cluster)) == "v1.33.0"
        assert {asked.split()[0] for asked in proxy.asked} == {"GET", "CONNECT"}


def test_what_the_environment_excepts_and_this_machine_are_reached_without_the_proxy(server, monkeypatch):
    with proxy_server() as proxy:
        through(monkeypatch, proxy)
        assert health(host=server.url) == "2.17.0"
        assert proxy.asked == []
        monkeypatch.setenv("NO_PROXY", "example.com,far.invalid")
        with raises(UnreachableError, "far.invalid"):
            health(host=far(server))
        assert proxy.asked == []


def test_a_proxy_of_the_kubeconfig_wins_over_the_environment(far_away, authority, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "far.invalid")
    with proxy_server("me:canary") as proxy:
        cluster = {"certificate-authority": str(authority.file), "proxy-url": f"http://me:canary@{proxy.address}"}
        assert version(kubeconfig(tmp_path / "config", {}, server=far(far_away), cluster=cluster)) == "v1.33.0"
        assert proxy.asked


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_that_refuses(server, far_away, authority, monkeypatch, secure):
    with proxy_server("me:right") as proxy:
        through(monkeypatch, proxy, "me:canary")
        with pytest.raises(UnreachableError) as caught:
            health(host=far(far_away if secure else server), ca_file=authority.file)
    said = str(caught.value)
    assert f"proxy http://{proxy.address}" in said
    assert "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY" in said
    assert "407" in said or "requires a user name and a password" in said
    assert "canary" not in said


def test_a_proxy_that_does_not_answer(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:canary@127.0.0.1:1")
    with raises(UnreachableError, "proxy http://127.0.0.1:1", "connection refused") as caught:
        health(host=far(server))
    assert "canary" not in str(caught.value)


def test_all_proxy_is_not_for_us(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with raises(UnreachableError, "no such host"):
        health(host="https://far.invalid:1")


def test_a_proxy_of_a_kind_that_is_not_known(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://me:canary@127.0.0.1:1")
    with raises(ConfigurationError, "socks5://127.0.0.1:1") as caught:
        health(host=far(server))
    assert "canary" not in str(caught.value)


def test_expired_credentials(tmp_path, encrypted, authority):
    encrypted.say("GET /version/", {"kind": "Status", "message": "Unauthorized", "code": 401}, 401)
    path = kubeconfig(
        tmp_path / "config", {"token": "canary"}, server=encrypted.url,
        cluster={"certificate-authority": str(authority.file)},
    )  # fmt: skip
    with raises(NotAuthorisedError, "context lab") as caught:
        version(path)
    assert "canary" not in str(caught.value)
