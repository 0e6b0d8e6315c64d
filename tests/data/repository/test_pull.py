"""Pulls of a dataset version from a folder and from Google Storage: whole, verified, shared, broken and completed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import file_md5, object_key
from sightline.data.git import commands
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError
from sightline.storage import open_storage
from tests.labelled_folder import names, write_images
from tests.servers.google_storage import fault

V1, V2 = DatasetTag("pets", "ann", "v1"), DatasetTag("pets", "ann", "v2")
IMAGES = 12
PULL = (
    "import sys; from pathlib import Path; from sightline.data.repository.checkout import checkout;"
    "from sightline.data.workspace import Workspace;"
    "print(checkout(Workspace(sys.argv[1], Path(sys.argv[3])), sys.argv[2]).path)"
)


class World:
    """A data repository with two versions, its remote, and the rig where that is Google Storage."""

    def __init__(self, folder: Path, remote: str, rig=None) -> None:
        self.path, self.remote, self.rig = folder / "data", remote, rig
        self.photos = folder / "photos"
        init_repository(self.path, remote)
        write_images(self.photos, names(IMAGES))
        (self.photos / "sub").mkdir()
        (self.photos / "sub" / "empty.txt").touch()
        (self.photos / "sub" / "twice.jpg").write_bytes((self.photos / "000.jpg").read_bytes())
        self.add(V1)
        write_images(self.photos, ["new"])
        self.add(V2)

    def add(self, tag):
        return add_annotations(self.path, self.photos, tag)

    @property
    def bucket(self):
        return open_storage(f"{self.remote}/annotations")

    def manifest(self, tag=V1):
        with open_history(str(self.path), [tag], 60) as history:
            return history.manifest(tag)

    def md5_of_list(self, tag=V1):
        with open_history(str(self.path), [tag], 60) as history:
            return history.tracked(tag).md5

    def pull(self, work, tag=V1, **more):
        return checkout(Workspace(str(self.path), work), str(tag), **more)


@pytest.fixture(scope="module", params=["folder", "gs"])
def shared_world(request, tmp_path_factory):
    """No test changes it."""
    folder = tmp_path_factory.mktemp("world")
    if request.param == "folder":
        return World(folder, str(folder / "remote"))
    rig = request.getfixturevalue("google_storage_server")
    return World(folder, f"gs://{rig.new_bucket()}/team/data", rig)


@pytest.fixture
def world(shared_world):
    """What a test spoils on the remote is mended after it."""
    bucket = shared_world.bucket
    before = {name: bucket.read_bytes(name)[0] for name in bucket.names()}
    tags = list_tags(str(shared_world.path), 60)
    if shared_world.rig:
        shared_world.rig.requests()
    yield shared_world
    if shared_world.rig:
        shared_world.rig.fail()
    for name in set(bucket.names()) - before.keys():
        bucket.delete(name)
    for name, data in before.items():
        bucket.write_bytes(name, data)
    for tag, commit in tags.items():
        git(shared_world.path, "tag", "--force", tag, commit)


@pytest.fixture
def google_world(world):
    if world.rig is None:
        pytest.skip("needs faults of Google Storage")
    return world


def git(repository, *arguments):
    return commands.git(*arguments, cwd=repository, timeout_seconds=60)


def dvc(repository, *arguments):
    return commands.dvc(*arguments, cwd=repository, timeout_seconds=60)


def files_of(done):
    folder = done.path / "annotations" / "pets"
    return {path.relative_to(folder).as_posix(): file_md5(path) for path in folder.rglob("*") if path.is_file()}


def objects_of(work):
    cache = Cache(work / "dvc-cache")
    return {"".join(path.parts[-2:]): path for path in (cache.root / "files" / "md5").rglob("*") if path.is_file()}


def downloads(rig):
    return [path for method, path, _ in rig.requests() if method == "GET" and "alt=media" in path]


def change(world, md5):
    """Flip one bit of an object of the remote."""
    data = bytearray(world.bucket.read_bytes(object_key(md5))[0])
    data[len(data) // 2] ^= 4
    world.bucket.write_bytes(object_key(md5), bytes(data))


def spoil(path, data=None):
    """Change a file that is read-only, and leave it read-only."""
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?" if data is None else data)
    path.chmod(0o444)


def test_a_pull_is_what_the_manifest_says_and_dvc_agrees(world, tmp_path):
    done = world.pull(tmp_path)
    assert files_of(done) == world.manifest()
    objects = objects_of(tmp_path)
    assert set(objects) == {*world.manifest().values(), world.md5_of_list()}
    assert {oct(path.stat().st_mode & 0o777) for path in objects.values()} == {"0o444"}
    assert os.access(done.path / "annotations" / "pets" / "000.jpg", os.W_OK)
    assert list((tmp_path / "dvc-cache" / "tmp").rglob("*")) == [tmp_path / "dvc-cache" / "tmp" / ".locks"]
    assert "up to date" in dvc(done.path, "status")
    before = {path: path.stat().st_mtime_ns for path in done.path.rglob("*.jpg")}
    dvc(done.path, "checkout", V1.dvc_file)
    assert {path: path.stat().st_mtime_ns for path in done.path.rglob("*.jpg")} == before
    (done.path / "annotations" / "pets" / "000.jpg").unlink()
    dvc(done.path, "checkout", V1.dvc_file)
    assert files_of(done) == world.manifest()


def test_a_checkout_shares_no_file_with_the_cache(world, tmp_path):
    done = world.pull(tmp_path)
    (done.path / "annotations" / "pets" / "000.jpg").write_bytes(b"written over")
    assert all(file_md5(path) == md5.removesuffix(".dir") for md5, path in objects_of(tmp_path).items())


def test_a_full_cache_needs_no_remote(world, tmp_path):
    done = world.pull(tmp_path)
    shutil.rmtree(done.path)
    bucket = world.bucket
    for name in list(bucket.names()):
        bucket.delete(name)
    assert files_of(world.pull(tmp_path)) == files_of(done)


def test_only_what_the_cache_lacks_is_fetched(google_world, tmp_path):
    google_world.pull(tmp_path)
    google_world.rig.requests()
    done = google_world.pull(tmp_path, V2)
    assert len(downloads(google_world.rig)) == 3  # the list of files, and one image with its annotation
    assert files_of(done) == google_world.manifest(V2)


@pytest.mark.parametrize("data", [None, b"", b"torn"], ids=["flipped", "empty", "short"])
def test_damaged_objects_of_the_cache_are_fetched_again(world, tmp_path, data, caplog):
    done = world.pull(tmp_path)
    shutil.rmtree(done.path)
    md5 = world.manifest()["003.jpg"]
    objects = objects_of(tmp_path)
    spoil(objects[md5], data)
    spoil(objects[world.md5_of_list()], data)
    assert files_of(world.pull(tmp_path)) == world.manifest()
    assert "are damaged in the DVC cache" in caplog.text
    assert all(file_md5(path) == name.removesuffix(".dir") for name, path in objects_of(tmp_path).items())
    assert "up to date" in dvc(done.path, "status")


def test_missing_and_altered_objects_are_named_and_the_rest_is_kept(world, tmp_path):
    manifest = world.manifest()
    world.bucket.delete(object_key(manifest["003.jpg"]))
    change(world, manifest["004.json"])
    with pytest.raises(RepositoryError) as caught:
        world.pull(tmp_path)
    assert f"2 of {len(manifest)} files of {V1} are missing or damaged on the DVC remote" in str(caught.value)
    assert ": 003.jpg (missing), 004.json (damaged); remove the damaged objects there" in str(caught.value)
    assert list((tmp_path / "checkouts").glob("pets*")) == []
    kept = objects_of(tmp_path)
    assert set(kept) == {*manifest.values(), world.md5_of_list()} - {manifest["003.jpg"], manifest["004.json"]}
    assert all(file_md5(path) == md5.removesuffix(".dir") for md5, path in kept.items())


def test_many_files_at_fault_are_all_listed(world, tmp_path):
    lost = sorted(world.manifest())
    for md5 in world.manifest().values():
        world.bucket.delete(object_key(md5))
    with pytest.raises(RepositoryError, match=rf"and {len(lost) - 20} more, all of them in .*{V1}\.remote\.txt;"):
        world.pull(tmp_path)
    listed = (tmp_path / "faults" / f"{V1}.remote.txt").read_text().splitlines()
    assert listed == [f"{name} (missing)" for name in lost]


def test_both_names_of_one_lost_object_are_told(world, tmp_path):
    world.bucket.delete(object_key(world.manifest()["000.jpg"]))
    with pytest.raises(RepositoryError, match=r": 000\.jpg \(missing\), sub/twice\.jpg \(missing\);"):
        world.pull(tmp_path)


def test_a_lost_or_altered_list_of_files_is_told(world, tmp_path):
    change(world, world.md5_of_list())
    with pytest.raises(RepositoryError, match=f"list of the files of {V1} is damaged on the DVC remote"):
        world.pull(tmp_path)
    world.bucket.delete(object_key(world.md5_of_list()))
    with pytest.raises(RepositoryError, match=f"list of the files of {V1} is missing on the DVC remote"):
        world.pull(tmp_path)


def test_a_tag_that_moved_is_refused_with_both_commits(world, tmp_path):
    done = world.pull(tmp_path)
    other = list_tags(str(world.path), 60)[str(V2)]
    git(world.path, "tag", "--force", str(V1), other)
    with pytest.raises(RepositoryError, match=f"names commit {other}, but it named {done.commit[:12]}"):
        world.pull(tmp_path)
    with pytest.raises(RepositoryError, match=f"names commit {other}, but {done.commit} was recorded"):
        world.pull(tmp_path / "fresh", expected_commit=done.commit)


def start_pull(world, work, tag=V1):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    arguments = [sys.executable, "-c", PULL, str(world.path), str(tag), str(work)]
    return subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_processes_that_share_a_cache_all_get_their_version(world, tmp_path):
    pulls = [(tag, start_pull(world, tmp_path, tag)) for tag in (V1, V2, V1, V2)]
    for tag, process in pulls:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        folder = Path(output.strip()) / "annotations" / "pets"
        assert {name: file_md5(folder / name) for name in world.manifest(tag)} == world.manifest(tag)
    assert all(file_md5(path) == md5.removesuffix(".dir") for md5, path in objects_of(tmp_path).items())
    assert list((tmp_path / "dvc-cache" / "tmp").rglob("*")) == [tmp_path / "dvc-cache" / "tmp" / ".locks"]


def test_two_volumes_may_share_one_cache(world, tmp_path):
    """As pods do that mount a cache of their own beside it: nothing but the cache is shared."""
    (tmp_path / "cache").mkdir()
    works = [tmp_path / name for name in ("a", "b")]
    for work in works:
        work.mkdir()
        (work / "dvc-cache").symlink_to(tmp_path / "cache")
    for process in [start_pull(world, work, tag) for work in works for tag in (V1, V2)]:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors


def test_killed_pulls_leave_no_half_object_and_are_completed(world, tmp_path):
    began = time.monotonic()
    start_pull(world, tmp_path / "undisturbed").communicate(timeout=120)
    duration = time.monotonic() - began
    seed = random.randrange(1 << 30)
    moments, killed = random.Random(seed), 0
    for _ in range(8):
        process = start_pull(world, tmp_path)
        time.sleep(moments.uniform(0.3, 1.0) * duration)
        killed += process.poll() is None
        kill(process)
        assert all(file_md5(path) == md5.removesuffix(".dir") for md5, path in objects_of(tmp_path).items()), seed
        for path in (tmp_path / "checkouts").glob("pets*[0-9a-f]"):
            assert len(list(path.rglob("*.jpg"))) == IMAGES + 1, seed
            shutil.rmtree(path)
            shutil.rmtree(tmp_path / "dvc-cache")
    assert killed, seed
    assert files_of(world.pull(tmp_path)) == world.manifest()
    assert list((tmp_path / "checkouts").glob("*.part")) == []
    assert list((tmp_path / "dvc-cache" / "tmp").glob("*.part")) == []


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, and a way to make it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(size, *options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "none", str(disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if os.geteuid() != 0 or not mount("200k"):
        pytest.skip("this user may not mount a file system")
    yield disk, partial(mount, "16m", "remount")
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_is_told_and_the_same_call_completes(world, small_disk):
    disk, enlarge = small_disk
    with pytest.raises(RepositoryError, match=r"No space left on device.*; make room|the disk is full; make room"):
        world.pull(disk)
    assert list((disk / "checkouts").glob("pets*")) == []
    assert all(file_md5(path) == md5.removesuffix(".dir") for md5, path in objects_of(disk).items())
    assert enlarge()
    assert files_of(world.pull(disk)) == world.manifest()


def test_a_network_that_comes_back_is_waited_for(google_world, tmp_path):
    google_world.rig.fail(fault("reset", "GET", "alt=media", skip=5, times=8), fault("status", status=503, times=3))
    assert files_of(google_world.pull(tmp_path)) == google_world.manifest()


def test_clocks_do_not_matter(world, tmp_path, monkeypatch):
    """Files from a camera with a wrong date, commits from a machine with a wrong date."""
    photos = tmp_path / "photos"
    shutil.copytree(world.photos, photos)
    ahead = time.time() + 20 * 365 * 86400
    for path in photos.rglob("*.jpg"):
        os.utime(path, (ahead, ahead))
    write_images(photos, ["later"])
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2070-01-01T00:00:00Z")
    tag = DatasetTag("pets", "ann", "v9")
    added = add_annotations(world.path, photos, tag)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1999-01-01T00:00:00Z")
    done = world.pull(tmp_path / "work", tag)
    assert done.commit == added.commit
    for path in objects_of(tmp_path / "work").values():
        os.utime(path, (ahead, ahead))
    shutil.rmtree(done.path)
    assert files_of(world.pull(tmp_path / "work", tag)) == world.manifest(tag)
    git(world.path, "tag", "--delete", str(tag))
    git(world.path, "reset", "--quiet", "--hard", "HEAD~1")
