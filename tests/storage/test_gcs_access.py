"""Ways to the wrong place, or without the right to be there: one error that says what to do, within a bounded time."""

from __future__ import annotations

import json
import time

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sightline.errors import ConfigurationError, StorageError
from sightline.storage import open_storage
from sightline.storage.gcs_settings import Settings
from tests.servers.google_storage import fault


@pytest.fixture
def key_file(google_storage_rig, tmp_path):
    """A key file of a service account whose tokens come from the rig; and the key, which nobody may ever see."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pem = private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain).decode()
    document = {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "tester@test.iam.gserviceaccount.com",
        "token_uri": f"{google_storage_rig.endpoint}/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(document))
    return tmp_path / "key.json"


@pytest.fixture
def with_credentials(google_storage_rig, monkeypatch):
    """As in a cluster: an own address of the service, but credentials are asked for."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", google_storage_rig.endpoint)
    monkeypatch.setenv("SIGHTLINE_GCS_TIMEOUT_SECONDS", "1")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


CALLS = {
    "stat": lambda storage, path: storage.stat("a"),
    "read": lambda storage, path: storage.read_bytes("a"),
    "list": lambda storage, path: list(storage.list()),
    "write": lambda storage, path: storage.write_bytes("a", b"1"),
    "write new": lambda storage, path: storage.write_bytes("a", b"1", if_generation=0),
    "upload": lambda storage, path: storage.upload(path, "a", if_generation=0),
    "delete": lambda storage, path: storage.delete("a"),
}


@pytest.mark.usefixtures("google_storage_rig")
@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_bucket_is_named(tmp_path, call):
    path = tmp_path / "big"
    path.write_bytes(b"1" * (9 << 20))
    with pytest.raises(StorageError, match=r"gs://no-such-bucket.*404.*bucket does not exist.*check storage\.uri"):
        CALLS[call](open_storage("gs://no-such-bucket/team"), path)


@pytest.mark.parametrize("call", CALLS)
def test_no_permission_is_named(google_storage_rig, tmp_path, call):
    path = tmp_path / "small"
    path.write_bytes(b"1")
    storage = open_storage(f"gs://{google_storage_rig.new_bucket()}")
    google_storage_rig.fail(fault("status", times=99, status=403))
    with pytest.raises(StorageError, match=r"403, the account does not have access.*role Storage Object User"):
        CALLS[call](storage, path)


def test_an_unknown_host_is_told_within_a_bounded_time(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://no-such-host.invalid:4443")
    monkeypatch.setenv("SIGHTLINE_GCS_TIMEOUT_SECONDS", "0.5")
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"cannot be reached \(.*check the network.*run the same command again"):
        open_storage("gs://bucket").stat("a")
    assert time.monotonic() - began < 30


def test_a_network_that_comes_back_in_time_is_waited_for(google_storage_rig, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_GCS_TIMEOUT_SECONDS", "5")
    storage = open_storage(f"gs://{google_storage_rig.new_bucket()}")
    google_storage_rig.fail(fault("reset", times=4))
    written = storage.write_bytes("a", b"1", if_generation=0)
    assert storage.stat("a") == written


def test_without_credentials_it_says_where_they_come_from(with_credentials, tmp_path):
    with_credentials.setenv("HOME", str(tmp_path))
    with_credentials.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(StorageError, match=r"no usable Google credentials.*gcloud auth.*workload identity.*key file"):
        open_storage("gs://bucket")


@pytest.mark.parametrize("text", [None, "", "{", '{"type": "service_account", "private_key": "canary-7d1"}'])
def test_a_key_file_that_is_none_is_named(with_credentials, tmp_path, text):
    with_credentials.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    if text is not None:
        (tmp_path / "key.json").write_text(text)
    with pytest.raises(StorageError, match=r"no usable Google credentials|refuses the credentials") as told:
        open_storage("gs://bucket")
    assert "canary" not in str(told.value)


def test_credentials_that_are_not_valid_any_more_are_told(with_credentials, google_storage_rig, key_file):
    with_credentials.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    storage = open_storage("gs://bucket")
    google_storage_rig.fail(fault("status", "POST", "/token", times=99, status=400))
    with pytest.raises(StorageError, match=r"Google refuses the credentials.*wrong or expired.*gcloud auth") as told:
        storage.stat("a")
    assert "PRIVATE KEY" not in repr(told.value) + str(told.value.__cause__)


def test_a_key_file_opens_the_bucket(with_credentials, google_storage_rig, key_file):
    with_credentials.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    storage = open_storage(f"gs://{google_storage_rig.new_bucket()}")
    tokens = fault("token", "POST", "/token", times=99, token="canary-token-5e0")
    google_storage_rig.fail(tokens)
    written = storage.write_bytes("a", b"1", if_generation=0)
    assert storage.stat("a") == written
    google_storage_rig.fail(tokens, fault("status", "GET", times=99, status=401))
    with pytest.raises(StorageError, match="401, Invalid Credentials; the credentials are wrong or expired") as told:
        storage.stat("a")
    assert "canary" not in str(told.value)


def test_who_pays_and_which_key_go_with_every_request(google_storage_rig, monkeypatch, tmp_path):
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    monkeypatch.setenv("SIGHTLINE_GCS_USER_PROJECT", "payer-1")
    monkeypatch.setenv("SIGHTLINE_GCS_KMS_KEY", key)
    storage = open_storage(f"gs://{google_storage_rig.new_bucket()}")
    (tmp_path / "big").write_bytes(b"1" * (9 << 20))
    google_storage_rig.requests()
    for call in ("write new", "upload", "stat", "read", "list", "delete"):
        storage.delete("a") if call == "upload" else None
        CALLS[call](storage, tmp_path / "big")
    requests = google_storage_rig.requests()
    assert all("userProject=payer-1" in path for _, path, _ in requests)
    sent = [path for method, path, _ in requests if method == "POST"]
    assert len(sent) == 2
    assert all(f"kmsKeyName={key}" in path for path in sent)


def test_a_bucket_whose_readers_pay_says_what_to_set(google_storage_rig):
    storage = open_storage(f"gs://{google_storage_rig.new_bucket()}")
    message = "Bucket is a requester pays bucket but no user project provided."
    google_storage_rig.fail(fault("status", "GET", status=400, message=message))
    with pytest.raises(StorageError, match=r"400, .*requester pays.*SIGHTLINE_GCS_USER_PROJECT"):
        storage.stat("a")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("JOBS", "0"), ("JOBS", "many"), ("JOBS", "65"), ("TIMEOUT_SECONDS", "0"), ("TIMEOUT_SECONDS", "nan")],
)
def test_settings_that_do_not_fit_are_named(monkeypatch, variable, value):
    monkeypatch.setenv(f"SIGHTLINE_GCS_{variable}", value)
    with pytest.raises(ConfigurationError, match=f"SIGHTLINE_GCS_{variable} is '{value}'; expected a number from"):
        open_storage("gs://bucket")


def test_settings_have_defaults(monkeypatch):
    assert Settings.from_environment() == Settings(None, None, 60.0, 8)
    monkeypatch.setenv("SIGHTLINE_GCS_JOBS", "3")
    assert Settings.from_environment().jobs == 3


def test_nothing_is_asked_of_the_bucket_itself(google_storage_rig):
    """It would take a right that reading and writing objects do not need."""
    bucket = google_storage_rig.new_bucket()
    storage = open_storage(f"gs://{bucket}/results")
    storage.write_bytes("a", b"1")
    storage.read_bytes("a")
    assert list(storage.names()) == ["a"]
    time.sleep(0.5)  # Google's library asks in a thread of its own
    asked = [path.partition("?")[0] for _, path, _ in google_storage_rig.requests()]
    assert asked
    assert f"/storage/v1/b/{bucket}" not in asked


def test_the_session_that_we_set_up_is_the_one_that_sends(google_storage_rig, monkeypatch):
    """It is a private attribute of Google's client: where a later version renames it, this says so."""
    monkeypatch.setenv("SIGHTLINE_GCS_JOBS", "5")
    storage = open_storage(f"gs://{google_storage_rig.new_bucket()}")
    session = storage._client._http
    assert isinstance(session, requests.Session)
    assert not session.trust_env
    assert session.get_adapter("https://storage.example")._pool_maxsize == 5
    answers = []
    session.hooks["response"].append(lambda answer, **_: answers.append(answer.status_code))
    storage.write_bytes("a", b"1")
    assert storage.read_bytes("a")[0] == b"1"
    assert answers
