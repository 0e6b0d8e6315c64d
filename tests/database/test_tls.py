"""TLS to a server with a certificate of our own authority."""

from __future__ import annotations

import subprocess

import pytest
from sqlalchemy import make_url, text

from sightline.database.engine.address import shown
from sightline.database.engine.connection import connect, read
from sightline.errors import DatabaseError
from tests.golden import raises
from tests.servers.mariadb import PASSWORD, own_server, wait_for


def openssl(folder, *arguments):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *key, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with an authority, another one, and certificates by the first for 127.0.0.1 and for a client."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ca", "other"):
        openssl(folder, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    names = ["-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl(folder, *signed, *names, "-keyout", "server.key", "-out", "server.pem")
    openssl(folder, *signed, "-subj", "/CN=client", "-keyout", "client.key", "-out", "client.pem")
    locked = ["openssl", "ec", "-aes256", "-passout", "pass:canary", "-in", "client.key", "-out", "locked.key"]
    subprocess.run(locked, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def tls_server(certificates, tmp_path_factory):
    files = [f"--ssl-ca={certificates}/ca.pem", f"--ssl-cert={certificates}/server.pem"]
    files.append(f"--ssl-key={certificates}/server.key")
    with own_server(tmp_path_factory.mktemp("tls"), *files) as url:
        wait_for(url)
        engine = connect(url)
        with engine.begin() as connection:
            for need in ("X509", "SSL"):
                connection.execute(text(f"CREATE USER needs_{need}@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE {need}"))
                connection.execute(text(f"GRANT ALL ON *.* TO needs_{need}@'%'"))
        engine.dispose()
        yield url


def cipher(url):
    engine = connect(url)
    try:
        return read(
            engine, "ask", lambda connection: connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
        )
    finally:
        engine.dispose()


def asking(url, certificates, host=None, user=None, **options):
    """The URL with these options; a file is named as in the folder of certificates."""
    query = {name: str(certificates / value) if "." in value else value for name, value in options.items()}
    url = make_url(url).set(query=query)
    return shown(url.set(host=host or url.host, username=user or url.username))


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ("tester", {"ssl_ca": "ca.pem"}),
        ("tester", {"ssl_ca": "ca.pem", "ssl_mode": "verify_ca"}),
        ("tester", {"ssl_ca": "ca.pem", "ssl_mode": "VERIFY_IDENTITY"}),
        ("tester", {"ssl_mode": "required"}),
        ("tester", {}),  # as MySQL's own clients: encrypted where the server can
        ("needs_SSL", {}),
        ("needs_X509", {"ssl_ca": "ca.pem", "ssl_cert": "client.pem", "ssl_key": "client.key"}),
        ("needs_X509", {"ssl_cert": "client.pem", "ssl_key": "client.key"}),
    ],
)
def test_connections_that_are_encrypted(tls_server, certificates, user, options):
    assert cipher(asking(tls_server, certificates, user=user, **options)) != ""


def test_no_encryption_when_it_is_not_wanted(tls_server, certificates):
    assert cipher(asking(tls_server, certificates, ssl_mode="disabled")) == ""


@pytest.mark.parametrize(
    ("host", "user", "options", "message"),
    [
        (None, None, {"ssl_ca": "other.pem"}, "ssl_cert"),
        (None, None, {"ssl_mode": "verify_ca"}, "certificate"),  # the authorities of this machine
        ("localhost", None, {"ssl_ca": "ca.pem"}, "localhost"),
        (None, "needs_SSL", {"ssl_mode": "disabled"}, "needs_SSL"),
        (None, "needs_X509", {"ssl_mode": "required"}, "needs_X509"),
    ],
)
def test_connections_that_are_refused(tls_server, certificates, caplog, host, user, options, message):
    with raises(DatabaseError, message) as caught:
        cipher(asking(tls_server, certificates, host=host, user=user, **options))
    assert caplog.text == ""  # at once
    assert PASSWORD not in str(caught.value)


def test_the_host_name_counts_with_verify_identity_only(tls_server, certificates):
    assert cipher(asking(tls_server, certificates, host="localhost", ssl_ca="ca.pem", ssl_mode="verify_ca")) != ""


@pytest.mark.parametrize("options", [{"ssl_mode": "required"}, {"ssl_ca": "ca.pem"}])
def test_a_server_without_tls_is_refused(mariadb_server, certificates, caplog, options):
    if cipher(asking(mariadb_server, certificates)) != "":
        pytest.skip("this server offers TLS by itself, as MySQL does")
    with raises(DatabaseError, "SSL", "TLS"):
        cipher(asking(mariadb_server, certificates, **options))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ssl_ca": "none.pem"}, "mysql+pymysql://tester@127"),
        ({"ssl_ca": "ca.key"}, "ssl_ca"),
        ({"ssl_cert": "client.pem", "ssl_key": "server.key"}, "PEM"),
        ({"ssl_cert": "client.pem"}, "ssl_cert"),
        ({"ssl_cert": "client.pem", "ssl_key": "locked.key"}, "locked.key"),
        ({"ssl_key": "client.key"}, "ssl_cert"),
        ({"ssl_ca": "ca.pem", "ssl_mode": "required"}, "ssl_mode=required"),
        ({"ssl_cert": "client.pem", "ssl_mode": "preferred"}, "ssl_mode=preferred"),
        ({"ssl_mode": "yes"}, "verify_ca"),
    ],
)
def test_options_that_do_not_fit(certificates, options, message):
    with raises(DatabaseError, message):
        connect(asking("mysql+pymysql://tester@127.0.0.1/mysql", certificates, **options))
