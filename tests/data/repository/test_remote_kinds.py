"""Remotes that are made, pushed to and read: Google Storage, what is refused there, and what only DVC can reach."""

import contextlib
import os
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sightline.config.decode import decode
from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import file_md5, object_key
from sightline.data.dvc.remote import open_remote
from sightline.data.git import commands
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError
from sightline.registry.results import RecordResult
from sightline.registry.store import find_result
from sightline.steps import record
from sightline.storage import open_storage
from tests.golden import raises
from tests.labelled_folder import CLASSES, names, write_images
from tests.servers.google_storage import fault

V1 = DatasetTag("pets", "ann", "v1")


@pytest.fixture(scope="module")
def pattern(google_storage_server, tmp_path_factory):
    """A folder with images, and a data repository on Google Storage that has them as v1; no test changes it."""
    folder, uri = tmp_path_factory.mktemp("pattern"), f"gs://{google_storage_server.new_bucket()}"
    write_images(folder / "photos", names(16))
    init_repository(folder / "data", f"{uri}/team/")
    add_annotations(folder / "data", folder / "photos", V1)
    return folder, uri


@pytest.fixture
def photos(pattern, tmp_path):
    return Path(shutil.copytree(pattern[0] / "photos", tmp_path / "photos"))


@pytest.fixture
def gs_data(pattern, bucket_uri, tmp_path):
    """The same on a bucket of its own, which a test may spoil."""
    folder, uri = pattern
    bucket = open_storage(uri)
    for name in bucket.names():
        open_storage(bucket_uri).write_bytes(name, bucket.read_bytes(name)[0])
    return moved(folder / "data", tmp_path / "data", uri, bucket_uri)


def moved(source, target, before, after):
    """A copy of a data repository whose remotes lie elsewhere; v1 follows."""
    shutil.copytree(source, target, symlinks=True)
    config = target / ".dvc" / "config"
    config.write_text(config.read_text().replace(before, after))
    git = partial(commands.git, cwd=target, timeout_seconds=60)
    git("commit", "--quiet", "--all", "--message", "Move the remotes")
    git("tag", "--force", str(V1))
    return target


def manifest_of(repository, tag=V1):
    with open_history(str(repository), [tag], 60) as history:
        return history.manifest(tag), history.tracked(tag).md5


def test_a_repository_on_google_storage_names_both_remotes(gs_data, bucket_uri):
    config = (gs_data / ".dvc" / "config").read_text()
    assert f"url = {bucket_uri}/team/annotations\n    verify = true" in config
    assert f"url = {bucket_uri}/team/training\n    verify = true" in config
    assert "endpoint" not in config
    manifest, listed = manifest_of(gs_data)
    assert set(open_storage(bucket_uri).names()) == {
        f"team/annotations/{object_key(md5)}" for md5 in {*manifest.values(), listed}
    }
    assert init_repository(gs_data, f"{bucket_uri}/team") is False
    with raises(RepositoryError, f"{bucket_uri}/team", f"{bucket_uri}/other"):
        init_repository(gs_data, f"{bucket_uri}/other")


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (fault("status", "POST", status=403, times=9), "403"),
        (fault("status", "GET", status=403, times=9), "403"),
        (fault("status", status=401, times=9), "credentials"),
    ],
    ids=["no writing", "no reading", "no credentials"],
)
def test_a_bucket_that_cannot_be_used_is_refused_before_anything_is_made(
    google_storage_rig, bucket_uri, tmp_path, break_it, expected
):
    google_storage_rig.fail(break_it)
    with raises(RepositoryError, expected):
        init_repository(tmp_path / "data", bucket_uri)
    assert not (tmp_path / "data").exists()
    google_storage_rig.fail()
    assert init_repository(tmp_path / "data", bucket_uri) is True


def test_a_bucket_that_is_not_there_is_refused(google_storage_rig, tmp_path):
    with raises(RepositoryError, "no-such-bucket-77"):
        init_repository(tmp_path / "data", "gs://no-such-bucket-77/data")
    assert not (tmp_path / "data").exists()


def test_objects_that_were_lost_or_changed_on_the_way_are_pushed_again(gs_data, bucket_uri, photos):
    """DVC says that everything is up to date; the list of the remote says otherwise."""
    remote = open_storage(f"{bucket_uri}/team/annotations")
    manifest, _ = manifest_of(gs_data)
    remote.delete(object_key(manifest["001.jpg"]))
    remote.write_bytes(object_key(manifest["002.jpg"]), b"half of i")
    write_images(photos, ["new"])
    tag = DatasetTag("pets", "ann", "v2")
    add_annotations(gs_data, photos, tag)
    done = checkout(Workspace(str(gs_data), gs_data.parent / "work"), str(tag))
    manifest, _ = manifest_of(gs_data, tag)
    folder = done.path / tag.folder
    assert {name: file_md5(folder / name) for name in manifest} == manifest


def test_a_push_that_cannot_be_made_good_sets_no_tag(gs_data, photos, google_storage_rig):
    write_images(photos, ["new"])
    tag = DatasetTag("pets", "ann", "v2")
    google_storage_rig.fail(fault("flip upload", "POST", "uploadType", times=1000, at=-100))
    with raises(RepositoryError):
        add_annotations(gs_data, photos, tag)
    assert str(tag) not in list_tags(str(gs_data), 60)
    google_storage_rig.fail()
    add_annotations(gs_data, photos, tag)
    assert checkout(Workspace(str(gs_data), gs_data.parent / "work"), str(tag)).path.is_dir()


def test_a_push_is_checked_by_pages_not_by_objects(gs_data, photos, google_storage_rig):
    write_images(photos, names(20, start=50))
    google_storage_rig.requests()
    add_annotations(gs_data, photos, DatasetTag("pets", "ann", "v2"))
    requests = google_storage_rig.requests()
    manifest, _ = manifest_of(gs_data, DatasetTag("pets", "ann", "v2"))
    folders = {object_key(md5).rpartition("/")[0] for md5 in manifest.values()}
    listings = [path for method, path, _ in requests if method == "GET" and "crc32c" in path and "prefix=" in path]
    assert 0 < len(listings) <= len(folders) + 1


class Books:
    """What records need: a repository, a bucket, a database, a work volume."""

    def __init__(self, repository, bucket_uri):
        self.folder, self.repository, self.bucket_uri = repository.parent, repository, bucket_uri

    def overrides(self, name):
        return [
            f"data.tag={V1}",
            f"data.classes=[{', '.join(CLASSES)}]",
            "data.jobs=1",
            f"data.repository={self.repository}",
            f"storage.uri={self.bucket_uri}/results",
            f"database.url=sqlite:///{self.folder / 'db.sqlite'}",
            f"work.dir={self.folder / name}",
        ]


RECORD = (
    "import sys; from sightline.config.decode import decode; from sightline.steps import record;"
    "print(record.run(decode('instance_segmentation', sys.argv[1:]), 'test').training_commit)"
)


@pytest.fixture
def books(gs_data, bucket_uri):
    return Books(gs_data, bucket_uri)


def test_record_from_and_to_google_storage(books, tmp_path):
    result = record.run(decode("instance_segmentation", books.overrides("work")), "test")
    storage = open_storage(f"{books.bucket_uri}/results")
    (key,) = [name for name in storage.names() if name.endswith("/result.json")]
    assert find_result(storage, RecordResult, "pets_train_v1", key.split("/")[3]) == result
    done = checkout(Workspace(str(books.repository), tmp_path / "elsewhere"), "pets_train_v1")
    assert done.commit == result.training_commit
    assert (done.path / "training" / "pets" / "train.json").is_file()
    assert len(list((done.path / "annotations" / "pets").glob("*.jpg"))) == 16
    assert "up to date" in commands.dvc("status", cwd=done.path, timeout_seconds=60)
    again = record.run(decode("instance_segmentation", books.overrides("another")), "test")
    assert (again.training_commit, again.digest) == (result.training_commit, result.digest)


def test_two_records_of_one_tag_at_once_make_one(books):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RECORD, *books.overrides(work)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for work in ("one", "one", "two")
    ]  # fmt: skip
    commits = set()
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        commits.add(output.split()[-1])
    assert commits == {list_tags(str(books.repository), 60)["pets_train_v1"]}
    checkout(Workspace(str(books.repository), books.folder / "check"), "pets_train_v1")


@contextlib.contextmanager
def served(folder):
    """A folder behind HTTP, which DVC knows as a remote and no storage back end does."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def foreign(pattern, tmp_path):
    """The same with its remotes behind HTTP."""
    folder, uri = pattern
    bucket, remote = open_storage(uri), tmp_path / "remote"
    for name in bucket.names():
        bucket.download(name, remote / name)
    with served(remote) as url:
        yield moved(folder / "data", tmp_path / "data", uri, url), Cache(remote / "team" / "annotations")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of DVC's own HTTP client, which is never closed
def test_dvc_fetches_what_no_back_end_serves(foreign, tmp_path, caplog):
    caplog.set_level("INFO", logger="sightline")
    data, _ = foreign
    done = checkout(Workspace(str(data), tmp_path / "work"), str(V1))
    assert f"fetching {V1} with DVC: no storage back end supports http://" in caplog.text
    manifest, _ = manifest_of(data)
    folder = done.path / V1.folder
    assert {name: file_md5(folder / name) for name in manifest} == manifest
    shutil.rmtree(done.path)
    caplog.clear()
    assert checkout(Workspace(str(data), tmp_path / "work"), str(V1)) == done
    assert "with DVC" not in caplog.text


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_a_foreign_remote_lost_is_named(foreign, tmp_path):
    data, remote = foreign
    manifest, _ = manifest_of(data)
    remote.path_of(manifest["001.jpg"]).unlink()
    with raises(RepositoryError, V1, "001.jpg"):
        checkout(Workspace(str(data), tmp_path / "work"), str(V1))


def test_a_remote_of_files_under_their_own_names_is_refused():
    config = "['remote \"training\"']\n    url = gs://bucket/x\n    version_aware = true\n"
    with raises(RepositoryError, "version_aware"):
        open_remote(config, "training", "/data")
