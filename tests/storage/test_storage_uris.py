"""From URIs to back ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sightline.errors import ObjectNotFoundError, StorageError
from sightline.storage import fetch, open_storage, open_uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("{root}/b", "b"),  # a plain path
        ("file://{root}/b", "b"),  # as Path.as_uri() writes it
        ("FILE://localhost{root}/b", "b"),  # the scheme has no case, and localhost is here
        ("file://{root}/a%20b", "a b"),  # quoted
        ("{root}/a%20b", "a%20b"),  # a plain path is not quoted
        ("{root}/b/", "b"),  # a slash at the end
    ],
)
def test_local_uris(tmp_path, uri, path):
    storage = open_storage(uri.format(root=tmp_path))
    assert storage.uri == (tmp_path / path).as_uri()
    assert not storage.uri.endswith("/")


def test_relative_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_storage("b").uri == (tmp_path / "b").as_uri()


@pytest.mark.parametrize("uri", ["s3://bucket/x", "http://bucket"])
def test_an_unknown_scheme_lists_what_there_is(uri):
    with pytest.raises(StorageError, match=r"no storage scheme called .* There are: file://, gs:// and plain paths"):
        open_storage(uri)


@pytest.mark.parametrize("uri", ["gs://", "gs:///x", "gs://B", "gs://a", "gs://bucket?x", "gs://bu cket/x"])
def test_gs_uris_that_name_no_bucket(uri):
    with pytest.raises(StorageError, match=r"names no bucket; expected gs://bucket/prefix"):
        open_storage(uri)


@pytest.mark.parametrize("uri", ["gs://bucket/../x", "gs://bucket//x", "gs://bucket/a\\b"])
def test_gs_prefixes_keep_the_rules_of_keys(uri):
    with pytest.raises(StorageError, match="cannot be used"):
        open_storage(uri)


@pytest.mark.usefixtures("google_storage_server")
def test_gs_uris_have_no_slash_at_the_end():
    assert open_storage("gs://bucket/team/x/").uri == "gs://bucket/team/x"
    assert open_storage("GS://bucket/").uri == "gs://bucket"
    storage, key = open_uri("gs://bucket/model #1.bin")
    assert (storage.uri, key) == ("gs://bucket", "model #1.bin")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "sightline.storage.gcs", raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    with pytest.raises(StorageError, match=r"google\.cloud\.storage.*pip install .*'\.\[gcs\]'"):
        open_storage("gs://bucket")


@pytest.mark.parametrize("uri", ["file://server/share", "file:///a?b", "file:///a#b", "", " "])
def test_uris_that_are_no_local_place(uri):
    with pytest.raises(StorageError, match=r"not a local path|is empty"):
        open_storage(uri)


def test_open_uri_splits_a_path(tmp_path):
    storage, key = open_uri(str(tmp_path / "model.safetensors"))
    assert (storage.uri, key) == (tmp_path.as_uri(), "model.safetensors")


@pytest.mark.parametrize("uri", ["s3://bucket/model", "gs://bucket", "/"])
def test_open_uri_refuses_what_is_no_object(uri):
    with pytest.raises(StorageError, match=r"no storage scheme|names no object"):
        open_uri(uri)


def test_fetch_of_what_is_not_there(tmp_path):
    with pytest.raises(ObjectNotFoundError, match=r"none\.bin"):
        fetch(str(tmp_path / "none.bin"), tmp_path / "here")


def test_reading_beside_a_file_leaves_no_trace(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"m")
    storage, key = open_uri(str(tmp_path / "model.bin"))
    storage.read_bytes(key)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["model.bin"]
