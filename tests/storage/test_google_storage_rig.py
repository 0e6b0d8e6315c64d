"""The test rig itself: what it promises beyond the emulator, seen by gcsfs and by google-cloud-storage."""

import gcsfs
import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud.storage import Client
from google.cloud.storage.exceptions import InvalidResponse

from tests.servers.google_storage import fault


@pytest.fixture
def bucket(google_storage_rig):
    return Client(project="test").bucket(google_storage_rig.new_bucket())


def test_gcsfs_and_the_library_see_the_same_objects(bucket, google_storage_rig):
    files = gcsfs.GCSFileSystem(token="anon", endpoint_url=google_storage_rig.endpoint, skip_instance_cache=True)
    files.pipe(f"{bucket.name}/folder/a", b"ends in CR\r")
    assert bucket.blob("folder/a").download_as_bytes() == b"ends in CR\r"
    bucket.blob("folder/b").upload_from_string(b"1\r\n2\n--boundary")
    assert files.cat(f"{bucket.name}/folder/b") == b"1\r\n2\n--boundary"
    assert files.find(bucket.name) == [f"{bucket.name}/folder/a", f"{bucket.name}/folder/b"]
    files.rm(f"{bucket.name}/folder", recursive=True)
    assert list(bucket.list_blobs()) == []


def test_preconditions_hold_in_a_batch_too(bucket):
    first, second = bucket.blob("a"), bucket.blob("b")
    first.upload_from_string(b"1", if_generation_match=0)
    second.upload_from_string(b"2", if_generation_match=0)
    batch = bucket.client.batch()
    with batch:
        bucket.blob("a").delete(if_generation_match=first.generation)
    with pytest.raises(PreconditionFailed), batch:
        bucket.blob("b").delete(if_generation_match=first.generation)
    assert [blob.name for blob in bucket.list_blobs()] == ["b"]


def test_a_resumable_upload_is_checked_at_its_end_too(bucket):
    stream = bucket.blob("a").open("wb", chunk_size=1 << 18, if_generation_match=0)
    stream.write(b"x" * (1 << 19))
    bucket.blob("a").upload_from_string(b"first", if_generation_match=0)
    with pytest.raises(InvalidResponse, match="412"):
        stream.close()
    assert bucket.blob("a").download_as_bytes() == b"first"


def test_pages_and_names_are_those_of_the_service(bucket, google_storage_rig):
    names = ["../a", "/b", "c//d", "e\\f"]
    for name in names:
        bucket.blob(name).upload_from_string(name)
    google_storage_rig.requests()
    assert [blob.name for blob in bucket.list_blobs(page_size=1)] == names
    assert len(google_storage_rig.requests()) == 4
    assert [bucket.blob(name).download_as_text() for name in names] == names
    generation = bucket.get_blob("/b").generation
    with pytest.raises(NotFound):
        bucket.blob("/b", generation=generation - 1).download_as_bytes()


def test_a_fault_hits_what_it_names_and_nothing_else(bucket, google_storage_rig):
    google_storage_rig.fail(fault("status", "GET", "/o/b", status=403, skip=1))
    for name in ("a", "b"):
        bucket.blob(name).upload_from_string(b"1")
    assert bucket.get_blob("a").exists()
    assert bucket.get_blob("b") is not None
    with pytest.raises(Exception, match="403"):
        bucket.get_blob("b")
    assert bucket.get_blob("b") is not None
