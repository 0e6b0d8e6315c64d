"""A version taken back on real git and DVC: what goes, what stays, and how it comes back."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sightline.data.git import commands
from sightline.data.git.decisions import decision_reference, last_decision
from sightline.data.git.references import read_references
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.repository.removal import find_removable, remove_version
from sightline.data.repository.tombstones import read_tombstones
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError, UnknownTagError
from tests.copies import restore
from tests.golden import raises
from tests.labelled_folder import names, write_images
from tests.servers.git_http import GitServer

V1, V2, V3 = (DatasetTag("pets", "ann", f"v{number}") for number in (1, 2, 3))


def git(repository: Path, *arguments: str) -> str:
    return commands.git(*arguments, cwd=repository, timeout_seconds=60)


class Yard:
    """A data repository with versions v1 (three images) and v2 (five)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "data"
        self.photos = {V1: folder / "photos-1", V2: folder / "photos-2"}

    def make(self) -> None:
        init_repository(self.path, str(self.folder / "remote"))
        for tag, count in ((V1, 3), (V2, 5)):
            write_images(self.photos[tag], names(count))
            add_annotations(self.path, self.photos[tag], tag)

    def clone(self, source: str, name: str) -> Path:
        git(self.folder, "clone", "--quiet", source, name)
        git(self.folder / name, "config", "user.name", f"Person of {name}")
        git(self.folder / name, "config", "user.email", f"{name}@example.org")
        return self.folder / name

    def objects(self) -> set[str]:
        return {str(path) for path in (self.folder / "remote").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """A yard and a copy of it."""
    yard = Yard(tmp_path_factory.mktemp("removal") / "yard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(yard.folder.with_name("nobody")))
        yard.make()
    shutil.copytree(yard.folder, yard.folder.with_name("copy"), symlinks=True)
    return yard


@pytest.fixture
def yard(pattern, tmp_path, monkeypatch):
    """The yard as it was made, at the same place: its settings name the remote."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    restore(pattern.folder, pattern.folder.with_name("copy"))
    return pattern


def record_by_hand(repository: Path, tag: DatasetTag) -> str:
    """A training tag as record of an earlier release leaves it, without the reference that orders decisions."""
    git(repository, "tag", str(tag.training), f"{tag}^{{commit}}")
    return git(repository, "rev-parse", f"{tag.training}").strip()


def test_the_tag_goes_and_everything_else_stays(yard):
    history, objects = git(yard.path, "log", "--format=%H"), yard.objects()
    found = remove_version(str(yard.path), V2, "wrong camera")
    assert not found.done
    assert sorted(list_tags(str(yard.path), 60)) == ["pets_ann_v1"]
    assert git(yard.path, "tag", "--list", str(V2)) == ""
    assert (git(yard.path, "log", "--format=%H"), yard.objects()) == (history, objects)
    [stone] = read_tombstones(str(yard.path), 60)
    assert (stone.tag, stone.commit, stone.files, stone.why) == (str(V2), history.split()[0], 10, "wrong camera")
    assert stone.by == "sightline <sightline@localhost>"
    assert git(yard.path, "show", f"{found.tombstone.commit}:annotations/pets.dvc").count(stone.digest) == 1
    assert git(yard.path, "fsck", "--strict", "--no-dangling") == ""


def test_looking_changes_nothing_and_removing_twice_finds_it_done(yard):
    before = read_references(str(yard.path), 60)
    assert find_removable(str(yard.path), V2, 60).tombstone.files == 10
    assert read_references(str(yard.path), 60) == before
    first = remove_version(str(yard.path), V2, "first")
    after = read_references(str(yard.path), 60)
    again = remove_version(str(yard.path), V2, "second")
    assert (again.done, again.tombstone) == (True, first.tombstone)
    assert read_references(str(yard.path), 60) == after
    with raises(UnknownTagError, "pets_ann_v7"):
        remove_version(str(yard.path), DatasetTag("pets", "ann", "v7"), "")


def test_readers_say_that_it_was_removed_by_whom_and_why(yard, tmp_path):
    clone = yard.clone(str(yard.path), "jane")
    done = checkout(Workspace(str(yard.path), tmp_path / "work"), str(V2))
    remove_version(str(clone), V2, "wrong camera")
    said = ("pets_ann_v2", "jane@example.org", "wrong camera")
    with raises(UnknownTagError, *said), open_history(str(yard.path), [V2], 60):
        pass
    for work in ("work", "elsewhere"):
        with raises(UnknownTagError, *said, "pets_ann_v1"):
            checkout(Workspace(str(yard.path), tmp_path / work), str(V2), expected_commit=done.commit)


def test_a_training_set_keeps_its_annotations_and_goes_first(yard):
    record_by_hand(yard.path, V2)
    with raises(RepositoryError, "pets_train_v2"):
        remove_version(str(yard.path), V2, "")
    assert str(V2) in list_tags(str(yard.path), 60)
    git(yard.path, "tag", "--delete", str(V2.training))
    remove_version(str(yard.path), V2, "")


def test_a_training_set_that_comes_meanwhile_keeps_its_annotations(yard, monkeypatch):
    """A recorder publishes between the look and the push: the push is refused, and the next look sees it."""
    from sightline.data.repository import removal

    real = removal._decide

    def late(*arguments):
        monkeypatch.setattr(removal, "_decide", real)
        record_by_hand(yard.path, V2)
        git(yard.path, "update-ref", decision_reference("pets"), str(V2.training))
        real(*arguments)

    monkeypatch.setattr(removal, "_decide", late)
    with raises(RepositoryError, "pets_train_v2"):
        remove_version(str(yard.path), V2, "")
    assert str(V2) in list_tags(str(yard.path), 60)
    assert read_references(str(yard.path), 60).removed == {}


def test_the_same_folder_brings_it_back_and_no_other_takes_its_name(yard):
    removed = remove_version(str(yard.path), V2, "").tombstone
    with raises(RepositoryError):
        add_annotations(yard.path, yard.photos[V1], V2)
    assert str(V2) not in list_tags(str(yard.path), 60)
    added = add_annotations(yard.path, yard.photos[V2], V2)
    assert added.new
    assert added.commit != removed.commit
    assert list_tags(str(yard.path), 60)[str(V2)] == added.commit
    assert add_annotations(yard.path, yard.photos[V2], V2).new is False
    again = remove_version(str(yard.path), V2, "once more").tombstone
    assert again.commit == added.commit
    assert [stone.commit for stone in read_tombstones(str(yard.path), 60)] == [removed.commit, added.commit]
    assert add_annotations(yard.path, yard.photos[V2], V2).new


def test_a_clone_that_pushes_the_old_tag_brings_nothing_back(yard):
    origin = yard.folder / "origin.git"
    git(yard.folder, "clone", "--quiet", "--bare", str(yard.path), str(origin))
    stale, jane = yard.clone(str(origin), "stale"), yard.clone(str(origin), "jane")
    remove_version(str(jane), V2, "")
    git(stale, "push", "--quiet", "--tags")
    assert git(origin, "tag", "--list", str(V2)).strip() == str(V2)
    assert str(V2) not in list_tags(str(origin), 60)
    # What comes back is not hindered by the old tag, and the next removal clears it away.
    git(jane, "fetch", "--quiet", "--tags")
    back = add_annotations(jane, yard.photos[V2], V2)
    assert list_tags(str(origin), 60)[str(V2)] == back.commit
    git(stale, "fetch", "--quiet", "--tags", "--force")
    remove_version(str(stale), V2, "")
    assert git(origin, "tag", "--list", str(V2)) == git(stale, "tag", "--list", str(V2)) == ""


def test_the_origin_of_a_clone_decides_and_the_clone_follows(yard):
    clone = yard.clone("data", "jane")  # git makes the relative path absolute
    git(clone, "remote", "set-url", "origin", "../data")
    remove_version(str(clone), V2, "")
    for place in (yard.path, clone):
        assert sorted(list_tags(str(place), 60)) == ["pets_ann_v1"]
        assert git(place, "tag", "--list", str(V2)) == ""
        assert list(read_references(str(place), 60).removed) == [str(V2)]


def test_what_only_the_clone_has_is_removed_in_both(yard):
    clone = yard.clone(str(yard.path), "jane")
    git(clone, "remote", "remove", "origin")
    write_images(yard.folder / "more", names(6))
    add_annotations(clone, yard.folder / "more", V3)
    git(clone, "remote", "add", "origin", str(yard.path))
    assert remove_version(str(clone), V3, "").done is False
    for place in (yard.path, clone):
        assert str(V3) not in list_tags(str(place), 60)
        assert str(V3) in read_references(str(place), 60).removed
    assert remove_version(str(yard.path), V3, "").done is True


def test_two_tags_of_one_name_are_told_apart(yard):
    clone = yard.clone(str(yard.path), "jane")
    git(clone, "tag", "--force", str(V2), str(V1))
    with raises(RepositoryError, "--delete", "pets_ann_v2"):
        remove_version(str(clone), V2, "")
    assert str(V2) in list_tags(str(yard.path), 60)


def test_a_removal_that_was_killed_before_the_clone_followed_is_completed(yard, monkeypatch):
    from sightline.data.repository import removal

    clone = yard.clone(str(yard.path), "jane")
    with monkeypatch.context() as patch:
        patch.setattr(removal, "_follow", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove_version(str(clone), V2, "")
    assert str(V2) in list_tags(str(clone), 60)
    assert remove_version(str(clone), V2, "").done is True
    assert str(V2) not in list_tags(str(clone), 60)


@pytest.mark.parametrize(
    "lock", ["packed-refs.lock", "refs/tags/pets_ann_v2.lock", "refs/sightline/pets_versions.lock"]
)
def test_the_lock_of_a_killed_git_hinders_no_removal(yard, lock, monkeypatch):
    from sightline.data.git import decisions

    monkeypatch.setattr(decisions, "STALE_LOCK_SECONDS", 0.2)
    git(yard.path, "pack-refs", "--all")
    (yard.path / ".git" / lock).parent.mkdir(parents=True, exist_ok=True)
    (yard.path / ".git" / lock).touch()
    remove_version(str(yard.path), V2, "")
    assert str(V2) not in list_tags(str(yard.path), 60)
    assert not (yard.path / ".git" / lock).exists()


@pytest.mark.parametrize("place", ["bare", "http"])
def test_a_repository_that_is_not_here_needs_no_clone(yard, place, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_GIT_TOKEN", "token")
    (yard.folder / "served").mkdir()
    with GitServer(yard.folder / "served", "token").running() as server:
        url = server.add("data.git", yard.path)
        url = url if place == "http" else str(yard.folder / "served" / "data.git")
        first = last_decision(url, "pets", 60)
        assert remove_version(url, V2, "").done is False
        assert first == ""
        assert last_decision(url, "pets", 60)
        assert sorted(list_tags(url, 60)) == ["pets_ann_v1"]
        assert remove_version(url, V2, "").done is True
        remove_version(url, V1, "")
        assert list_tags(url, 60) == {}


def test_a_server_that_forbids_the_reference_is_explained(yard):
    bare = yard.folder / "bare.git"
    git(yard.folder, "clone", "--quiet", "--bare", str(yard.path), str(bare))
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nwhile read old new ref; do case $ref in refs/sightline/*) exit 1;; esac; done\n")
    hook.chmod(0o755)
    with raises(RepositoryError, "refs/sightline/pets_versions"):
        remove_version(str(bare), V2, "")
    assert str(V2) in list_tags(str(bare), 60)


def test_a_tombstone_made_by_hand_counts_and_one_of_a_newer_release_is_read(yard):
    commit = git(yard.path, "rev-parse", str(V2)).strip()
    git(yard.path, "tag", f"removed/{V2}/{commit}", commit)
    assert str(V2) not in list_tags(str(yard.path), 60)
    [stone] = read_tombstones(str(yard.path), 60)
    assert (stone.commit, stone.by) == (commit, "")
    message = 'Remove it\n\n{"format": 2, "by": "Jane", "at": "2027-01-01T00:00:00", "signature": [1]}'
    git(yard.path, "tag", "--force", "--annotate", "--message", message, f"removed/{V2}/{commit}", commit)
    [stone] = read_tombstones(str(yard.path), 60)
    assert (stone.tag, stone.by) == (str(V2), "Jane")


@pytest.mark.parametrize(
    "why", ["a {b}", "two\n\n{lines}", "\x1b[2J\x07 bell", "한국어 “quoted”", "#1 wrong", "x" * 5000]
)
def test_any_reason_is_kept_and_none_moves_the_cursor(yard, why):
    remove_version(str(yard.path), V2, why)
    [stone] = read_tombstones(str(yard.path), 60)
    assert (stone.why, stone.files) == (why, 10)
    assert str(stone).isprintable()
    assert git(yard.path, "tag", "--list", "--format=%(contents:subject)", "removed/*").startswith(f"Remove {V2}: ")


def test_a_repository_is_whole_after_all_this(yard):
    remove_version(str(yard.path), V2, "")
    add_annotations(yard.path, yard.photos[V2], V2)
    remove_version(str(yard.path), V2, "")
    shutil.rmtree(yard.path / "annotations")
    subprocess.run(["git", "-C", str(yard.path), "gc", "--quiet", "--prune=now"], check=True)
    add_annotations(yard.path, yard.photos[V2], V2)
    assert git(yard.path, "fsck", "--strict", "--no-dangling") == ""
