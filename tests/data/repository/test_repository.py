"""The data repository on real git and DVC: made, added to, checked out, compared."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import read_dvc_file
from sightline.data.dvc.remote import open_remote
from sightline.data.git import commands
from sightline.data.git.origin import find_places, require_same_tags
from sightline.data.recording.difference import compare
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import git_url, list_tags, open_history
from sightline.data.repository.removal import remove_version
from sightline.data.tags import DatasetTag, dataset_tags
from sightline.data.workspace import Workspace
from sightline.errors import ConfigurationError, DataError, RepositoryError, UnknownTagError
from sightline.lock import exclusive_lock
from tests.labelled_folder import names, write_images, write_labels, write_picture

V1, V2 = DatasetTag("pets", "ann", "v1"), DatasetTag("pets", "ann", "v2")


def git(repository: Path, *arguments: str) -> str:
    return commands.git(*arguments, cwd=repository, timeout_seconds=60)


class Yard:
    """A data repository with its remote and a folder of photos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path, self.remote, self.photos = folder / "data", folder / "remote", folder / "photos"

    def add(self, tag: DatasetTag, photos: Path | None = None):
        return add_annotations(self.path, photos or self.photos, tag)

    def objects(self, kind: str = "annotations") -> Cache:
        return Cache(self.remote / kind)  # a remote that is a folder looks like a cache


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    """Versions v1 (six images) and v2 (one removed, one relabelled, one replaced, two added); no test changes it."""
    yard = Yard(tmp_path_factory.mktemp("yard"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("empty")))
        init_repository(yard.path, yard.remote.as_uri())
        write_images(yard.photos, names(6))
        (yard.photos / ".DS_Store").write_text("junk")
        (yard.photos / "Thumbs.db").write_text("junk")
        (yard.photos / "sub").mkdir()
        (yard.photos / "sub" / "note.txt").write_text("kept")
        yard.add(V1)
        (yard.photos / "000.jpg").unlink()
        (yard.photos / "000.json").unlink()
        write_labels(yard.photos, "001", ["dog"])
        write_picture(yard.photos / "002.jpg", seed="another")
        write_images(yard.photos, names(2, start=6))
        yard.add(V2)
    return yard


@pytest.fixture
def own_yard(yard, tmp_path, monkeypatch):
    """A copy of the yard that a test may spoil; its remote is a copy too."""
    own = Yard(tmp_path / "yard")
    shutil.copytree(yard.folder, own.folder, symlinks=True)
    own_config = own.path / ".dvc" / "config"
    own_config.write_text(own_config.read_text().replace(str(yard.remote), str(own.remote)))
    git(own.path, "commit", "--quiet", "--all", "--message", "Move the remote")
    for tag in (V1, V2):
        content = git(own.path, "show", f"{tag}:{tag.dvc_file}")
        (own.path / tag.dvc_file).write_text(content)
        git(own.path, "commit", "--quiet", "--all", "--allow-empty", "--message", str(tag))
        git(own.path, "tag", "--force", str(tag))
    return own


def test_a_new_repository_is_committed_under_an_own_name(yard):
    first = git(yard.path, "log", "--reverse", "--format=%an <%ae> %s").splitlines()[0]
    assert first == "sightline <sightline@localhost> Begin the data repository"
    assert git(yard.path, "rev-parse", "--abbrev-ref", "HEAD").strip() == "main"
    config = (yard.path / ".dvc" / "config").read_text()
    assert config.count("verify = true") == 2
    assert "analytics = false" in config
    assert 'type = "reflink,copy"' in config
    assert not git(yard.path, "status", "--porcelain")
    assert sorted(path.name for path in yard.folder.iterdir()) == ["data", "photos", "remote"]


def test_making_it_twice_changes_nothing(yard):
    before = git(yard.path, "rev-parse", "HEAD")
    assert init_repository(yard.path, str(yard.remote)) is False
    assert git(yard.path, "rev-parse", "HEAD") == before


def test_a_folder_that_is_not_ours_is_refused(tmp_path, yard):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RepositoryError, match="not empty and not a data repository"):
        init_repository(tmp_path, str(tmp_path / "remote"))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(RepositoryError, match="is a file"):
        init_repository(tmp_path / "thesis.tex", str(tmp_path / "remote"))
    with pytest.raises(RepositoryError, match=f"remotes below {yard.remote}, not"):
        init_repository(yard.path, str(tmp_path / "other"))


@pytest.mark.parametrize("uri", ["s3://bucket/data", "ssh://host/path", "file://host/share"])
def test_a_remote_of_another_kind_is_refused(tmp_path, uri):
    with pytest.raises(RepositoryError, match=r"cannot be used.*file:///"):
        init_repository(tmp_path / "data", uri)
    assert not (tmp_path / "data").exists()


def test_a_version_holds_everything_but_junk(yard):
    with open_history(str(yard.path), [V1], 60) as history:
        manifest = history.manifest(V1)
    assert sorted(manifest) == sorted(
        [f"{name}.{end}" for name in names(6) for end in ("jpg", "json")] + ["sub/note.txt"]
    )
    assert yard.objects().lacking(manifest) == set()


def test_removed_files_leave_the_mirror(yard):
    with open_history(str(yard.path), [V2], 60) as history:
        assert "000.jpg" not in history.manifest(V2)
    assert not (yard.path / "annotations" / "pets" / "000.jpg").exists()


def test_adding_the_same_again_changes_nothing(yard):
    before = git(yard.path, "rev-parse", "HEAD")
    again = yard.add(V2)
    assert (again.new, again.commit, again.files) == (False, before.strip(), 15)
    assert git(yard.path, "rev-parse", "HEAD") == before


def test_other_contents_under_a_known_version_are_refused(yard):
    with pytest.raises(
        RepositoryError,
        match=r"pets_ann_v1 exists .*\(4 files would be added, 2 removed, 2 changed\).*another --version",
    ):
        yard.add(V1)


def test_folders_without_annotations_are_refused(yard, tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        yard.add(V1, tmp_path / "nothing")
    with pytest.raises(DataError, match=r"is empty"):
        yard.add(V1, tmp_path)
    (tmp_path / "secret.json").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match=r"secret\.json: it is a link that leads out"):
        yard.add(V1, tmp_path)
    with pytest.raises(RepositoryError, match="not a data repository on this machine"):
        add_annotations(tmp_path, yard.photos, V1)


def test_a_clone_pushes_branch_and_tag_to_its_origin(own_yard, tmp_path):
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--bare", str(own_yard.path), str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    tag = DatasetTag("pets", "ann", "v3")
    write_images(own_yard.photos, ["new"])
    added = add_annotations(clone, own_yard.photos, tag)
    assert list_tags(str(origin), 60)[str(tag)] == added.commit
    assert git(origin, "rev-parse", "main").strip() == added.commit


def test_objects_lost_on_the_remote_are_pushed_again_before_the_tag(own_yard):
    tag = DatasetTag("pets", "ann", "v3")
    with open_history(str(own_yard.path), [V2], 60) as history:
        manifest = history.manifest(V2)
    own_yard.objects().path_of(manifest["003.jpg"]).unlink()
    own_yard.add(tag)
    assert own_yard.objects().lacking(manifest) == set()


@pytest.mark.parametrize("sign", ["part", "object", "tag"])
def test_a_killed_addition_is_completed_by_the_same_command(own_yard, sign):
    tag = DatasetTag("pets", "ann", "v3")
    write_images(own_yard.photos, names(40, start=100))
    code = (
        "import sys; from pathlib import Path; from sightline.data.repository.creation import add_annotations;"
        "from sightline.data.tags import DatasetTag;"
        "add_annotations(Path(sys.argv[1]), Path(sys.argv[2]), DatasetTag.parse(sys.argv[3]))"
    )
    objects = len(list(own_yard.remote.rglob("*")))
    signs = {
        "part": lambda: any(own_yard.path.glob(f".dvc/tmp/sightline/*/tree/{tag.folder}/105.jpg")),
        "object": lambda: len(list(own_yard.remote.rglob("*"))) > objects + 3,
        "tag": (own_yard.path / ".git" / "refs" / "tags" / str(tag)).exists,
    }
    arguments = [sys.executable, "-c", code, str(own_yard.path), str(own_yard.photos), str(tag)]
    kill_when(signs[sign], subprocess.Popen(arguments, stderr=subprocess.DEVNULL))
    if str(tag) in list_tags(str(own_yard.path), 60):
        with open_history(str(own_yard.path), [tag], 60) as history:
            assert own_yard.objects().lacking(history.manifest(tag)) == set()
    own_yard.add(tag)
    with open_history(str(own_yard.path), [tag], 60) as history:
        assert len(history.manifest(tag)) == 95
        assert own_yard.objects().lacking(history.manifest(tag)) == set()
    assert not git(own_yard.path, "status", "--porcelain")


def kill_when(sign, process) -> None:
    """SIGKILL a process and all that it started as soon as ``sign`` holds, or when it ended before that."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if sign():
                break
        except OSError:
            pass
        time.sleep(0.002)
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def test_the_lock_file_of_a_killed_git_is_removed(own_yard):
    git_dir = own_yard.path / ".git"
    (git_dir / "sightline.unfinished").touch()
    (git_dir / "index.lock").touch()
    tag = DatasetTag("pets", "ann", "v3")
    own_yard.add(tag)
    assert str(tag) in list_tags(str(own_yard.path), 60)
    assert not (git_dir / "sightline.unfinished").exists()


def test_a_checkout_holds_the_version_and_is_reused(yard, tmp_path, monkeypatch):
    done = checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v2")
    assert done.path == tmp_path / "checkouts" / f"pets_ann_v2-{done.commit[:12]}"
    assert sorted(path.name for path in (done.path / "annotations" / "pets").glob("*.jpg")) == [
        f"{name}.jpg" for name in names(7, start=1)
    ]
    assert list((tmp_path / "checkouts").glob("*.part")) == []
    marker = done.path / "marker"
    marker.touch()
    assert checkout(Workspace(yard.path.as_uri(), tmp_path), "pets_ann_v2") == done
    assert marker.exists()


def test_an_unknown_tag_lists_the_nearest_first(yard, tmp_path):
    with pytest.raises(UnknownTagError, match=r"no tag 'pets_ann_v3'; it has pets_ann_v[12], pets_ann_v[12]"):
        checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v3")
    with pytest.raises(ConfigurationError, match="not a dataset tag"):
        checkout(Workspace(str(yard.path), tmp_path), "v1")


def test_an_unknown_repository_says_how_to_make_one(tmp_path):
    with pytest.raises(RepositoryError, match=r"no such data repository(.|\n)*sightline data init"):
        checkout(Workspace(str(tmp_path / "nowhere"), tmp_path), "pets_ann_v1")


def outcome_without_rights(action):
    """What an action raises for a user who owns nothing, as a text."""

    def act(sender):
        os.environ["HOME"] = "/nowhere"  # git would stop at settings that it may not read
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            action()
        except (RepositoryError, OSError) as error:
            sender.send(f"{type(error).__name__}: {error}")
        else:
            sender.send("nothing")

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=act, args=(sender,))
    process.start()
    said = receiver.recv()
    process.join()
    return said


@pytest.mark.parametrize("closed", ["", ".git", ".git/HEAD", ".git/objects", ".git/refs", "parent"])
def test_a_repository_without_read_permission_is_not_called_missing(closed):
    with tempfile.TemporaryDirectory(prefix="sightline-closed-") as folder:  # pytest's folders are closed to others
        data = Path(folder) / "team" / "my data"
        data.parent.mkdir()
        for path in (folder, data.parent):
            Path(path).chmod(0o755)
        git(data.parent, "init", "--quiet", str(data))
        place = data.parent if closed == "parent" else data / closed
        mode = place.stat().st_mode
        place.chmod(0)
        said = outcome_without_rights(lambda: list_tags(str(data), 60))
        places = outcome_without_rights(lambda: require_same_tags(find_places(str(data), 60), "pets", 60))
        missing = outcome_without_rights(lambda: list_tags(f"{folder}/nowhere", 60))
        place.chmod(mode)
    assert said.startswith("RepositoryError: ")
    assert f"this user may not read {place if closed != 'parent' else data}" in said
    assert places == "nothing" or places.startswith("RepositoryError: ")
    assert "no such data repository" not in places
    assert "no such data repository" in missing


def test_a_tag_that_moved_is_refused_with_both_commits(own_yard, tmp_path):
    done = checkout(Workspace(str(own_yard.path), tmp_path), "pets_ann_v1")
    other = list_tags(str(own_yard.path), 60)["pets_ann_v2"]
    git(own_yard.path, "tag", "--force", "pets_ann_v1", other)
    with pytest.raises(RepositoryError, match=f"names commit {other}, but it named {done.commit[:12]}.*moved"):
        checkout(Workspace(str(own_yard.path), tmp_path), "pets_ann_v1")
    with pytest.raises(RepositoryError, match=f"names commit {other}, but {done.commit} was recorded"):
        checkout(Workspace(str(own_yard.path), tmp_path / "fresh"), "pets_ann_v1", expected_commit=done.commit)


def test_another_repository_with_the_same_tag_is_named_as_a_reason(own_yard, tmp_path):
    done = checkout(Workspace(str(own_yard.path), tmp_path / "work"), "pets_ann_v1")
    init_repository(tmp_path / "other", str(tmp_path / "other remote"))
    others = str(tmp_path / "other")
    known = {"expected_commit": done.commit, "recorded_in": "sqlite:///known.sqlite"}
    with pytest.raises(UnknownTagError, match=r"sqlite:///known\.sqlite knows this tag from another data repository"):
        checkout(Workspace(others, tmp_path / "fresh"), "pets_ann_v1", **known)
    add_annotations(tmp_path / "other", write_images(tmp_path / "others photos", names(3)), V1)
    with pytest.raises(
        RepositoryError, match=rf"sqlite:///known\.sqlite knows this tag .* than {others}.*SIGHTLINE_HOME"
    ):
        checkout(Workspace(others, tmp_path / "fresh"), "pets_ann_v1", **known)
    with pytest.raises(RepositoryError, match=f"knows this tag from another data repository than {others}"):
        checkout(Workspace(others, tmp_path / "work"), "pets_ann_v1")


def test_missing_and_damaged_remote_objects_are_named(own_yard, tmp_path):
    with open_history(str(own_yard.path), [V2], 60) as history:
        manifest = history.manifest(V2)
    own_yard.objects().path_of(manifest["003.jpg"]).unlink()
    spoil(own_yard.objects().path_of(manifest["004.json"]))
    with pytest.raises(
        RepositoryError, match=r"2 of 15 files of pets_ann_v2 .* 003\.jpg \(missing\), 004\.json \(damaged\); remove"
    ):
        checkout(Workspace(str(own_yard.path), tmp_path), "pets_ann_v2")
    assert not list((tmp_path / "checkouts").glob("pets_ann_v2-" + "?" * 12))


def test_a_damaged_manifest_is_named(own_yard, tmp_path):
    with open_history(str(own_yard.path), [V2], 60) as history:
        path = own_yard.objects().path_of(history.tracked(V2).md5)
    spoil(path)
    with pytest.raises(RepositoryError, match="list of the files of pets_ann_v2 is damaged"):
        checkout(Workspace(str(own_yard.path), tmp_path), "pets_ann_v2")
    path.unlink()
    with pytest.raises(RepositoryError, match="list of the files of pets_ann_v2 is missing"):
        checkout(Workspace(str(own_yard.path), tmp_path), "pets_ann_v2")


def test_damaged_objects_of_the_cache_are_fetched_again(yard, tmp_path):
    done = checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v2")
    with open_history(str(yard.path), [V2], 60) as history:
        manifest = history.manifest(V2)
    spoil(Cache(tmp_path / "dvc-cache").path_of(manifest["003.jpg"]))
    shutil.rmtree(done.path)
    again = checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v2")
    assert (again.path / "annotations" / "pets" / "003.jpg").read_bytes() == (yard.photos / "003.jpg").read_bytes()


def spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    path.chmod(0o444)


def test_what_killed_checkouts_left_is_removed_and_live_ones_are_not(yard, tmp_path):
    folder = tmp_path / "checkouts"
    (folder / "old_ann_v1-0123456789ab.part").mkdir(parents=True)
    (folder / "live_ann_v1-0123456789ab.part").mkdir()
    with exclusive_lock(folder / ".locks" / "live_ann_v1-0123456789ab", 0):
        checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v1")
    assert [path.name for path in folder.glob("*.part")] == ["live_ann_v1-0123456789ab.part"]


def test_two_checkouts_at_once_make_one(yard, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v1")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_a_repository_of_another_user_can_be_read(own_yard, tmp_path):
    for path in [own_yard.path, *own_yard.path.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert checkout(Workspace(str(own_yard.path), tmp_path), "pets_ann_v1").path.is_dir()


def test_a_full_or_closed_disk_names_the_path(yard, tmp_path):
    (tmp_path / "checkouts").write_text("in the way")
    with pytest.raises(RepositoryError, match=r"could not check out pets_ann_v1.*checkouts"):
        checkout(Workspace(str(yard.path), tmp_path), "pets_ann_v1")


def test_the_difference_of_two_annotation_versions(yard):
    with open_history(str(yard.path), [V1, V2], 60) as history:
        difference = compare(history, V1, V2)
        with pytest.raises(RepositoryError, match=r"different kinds.*pets_ann_v1 with pets_ann_v2, or pets_train_v1"):
            compare(history, V1, V2.training)
    assert difference.added == ["006.jpg", "007.jpg"]
    assert difference.removed == ["000.jpg"]
    assert difference.relabelled == ["001.json"]
    assert difference.replaced == ["002.jpg"]


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch):
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nsleep 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(RepositoryError, match=r"took more than 0\.2 s; check the connection"):
        commands.git("status", timeout_seconds=0.2)


def test_what_git_says_is_kept_and_passwords_are_not(tmp_path, monkeypatch):
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\necho \"fatal: Authentication failed for '$4'\" >&2\nexit 128\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(RepositoryError, match="access is denied") as caught:
        list_tags("https://canary-name@example.org/data.git", 5)
    assert "Authentication failed for 'https://***@example.org/data.git'" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_an_address_with_a_password_is_refused():
    with pytest.raises(RepositoryError, match=r"https://\*\*\*@example.org/data.git holds a password") as caught:
        list_tags("https://jane:canary-password@example.org/data.git", 5)
    assert "canary" not in str(caught.value)


def test_a_lock_is_freed_by_the_death_of_its_holder(tmp_path):
    code = "import sys,time; from pathlib import Path; from sightline.lock import exclusive_lock\n"
    code += "with exclusive_lock(Path(sys.argv[1]), 0): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(RepositoryError, match="another process is still working there"),
        exclusive_lock(tmp_path / "lock", 0.2),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with exclusive_lock(tmp_path / "lock", 5):
        pass


def test_the_limit_of_git_is_not_the_one_for_waiting(own_yard, tmp_path):
    """A push may take an hour, a lock is waited for as long as it is told: neither limit stands for the other."""
    repository, tag = own_yard.path, DatasetTag.parse("plates_ann_v9")
    fresh = tmp_path / "fresh"
    write_images(tmp_path / "more", ["x"])
    calls = {
        repository / ".git" / "sightline.lock": [
            lambda: add_annotations(repository, tmp_path / "more", tag, lock_seconds=0.0),
            lambda: init_repository(repository, str(own_yard.remote), lock_seconds=0.0),
            lambda: remove_version(str(repository), tag, "", lock_seconds=0.0),
        ],
        fresh.with_name(".fresh.lock"): [lambda: init_repository(fresh, str(tmp_path / "there"), lock_seconds=0.0)],
    }
    for lock, every in calls.items():
        with exclusive_lock(lock, 0):
            for call in every:
                with pytest.raises(RepositoryError, match="another process is still working there"):
                    call()


@pytest.mark.parametrize("text", ["outs: []", "outs:\n- md5: abc\n  size: 1\n  nfiles: 1", "- 1", "{"])
def test_a_dvc_file_of_another_kind_is_named(text):
    with pytest.raises(RepositoryError, match=r"annotations/pets\.dvc"):
        read_dvc_file(text, "annotations/pets.dvc")


def test_a_repository_without_our_remotes_is_named():
    with pytest.raises(RepositoryError, match="has no remote 'training'"):
        open_remote("[core]\n    autostage = false\n", "training", "/data")


def test_tags_sort_as_persons_count_and_refuse_what_git_refuses():
    tags = dataset_tags(["pets_ann_v10", "pets_ann_v2", "release-1", "pets_train_v2", "a_ann_v1"])
    assert [str(tag) for tag in tags] == ["a_ann_v1", "pets_ann_v2", "pets_ann_v10", "pets_train_v2"]
    for dataset, version in (("a b", "v1"), ("pets", "v_1"), ("pets", "v1..2"), ("pets", "v1.lock"), ("x_ann_y", "v1")):
        with pytest.raises(ConfigurationError, match="cannot make a tag"):
            DatasetTag(dataset, "ann", version)


def test_urls_and_paths_become_what_git_takes(tmp_path):
    assert git_url(str(tmp_path)) == tmp_path.as_uri()
    assert git_url("git@example.org:data.git") == "git@example.org:data.git"
    assert git_url("https://example.org/data.git") == "https://example.org/data.git"
