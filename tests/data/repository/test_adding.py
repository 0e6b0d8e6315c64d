"""``data add`` where things are in its way: work in place, odd folders, rules, other clones, lost objects."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sightline.data.dvc.cache import Cache
from sightline.data.git import commands
from sightline.data.git.branch import Branch
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.repository.staging import staging_root
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import DataError, RepositoryError
from tests.labelled_folder import write_images, write_labels

V1, V2, V3 = (DatasetTag("pets", "ann", version) for version in ("v1", "v2", "v3"))
OTHER = DatasetTag("plants", "ann", "v1")


def git(repository, *arguments):
    return commands.git(*arguments, cwd=repository, timeout_seconds=60)


def tree(folder: Path) -> dict[str, str]:
    """Every file, link and folder below, with its contents; without what belongs to git and DVC."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in {".git", ".dvc"}:
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def state(repository: Path) -> dict[str, str]:
    """All that a refused addition must leave as it was."""
    return tree(repository) | {
        "head": git(repository, "rev-parse", "HEAD"),
        "tags": git(repository, "for-each-ref"),
        "status": git(repository, "status", "--porcelain", "--ignored=no"),
        "index": git(repository, "ls-files", "--stage"),
        "left": str(sorted(path.name for path in staging_root(repository).glob("*"))),
    }


def files_of(repository, tag):
    with open_history(str(repository), [tag], 60) as history:
        return history.manifest(tag)


def plain(photos):
    return {name: digest for name, digest in tree(photos).items() if not digest.startswith("->")}


class World:
    def __init__(self, folder):
        self.folder = folder
        self.path, self.remote, self.photos = folder / "data", folder / "remote", folder / "photos"

    def add(self, tag, photos=None, repository=None, **options):
        return add_annotations(repository or self.path, photos or self.photos, tag, **options)

    def refused(self, match, tag=V2, photos=None, error=RepositoryError):
        """Nothing is changed by an addition that is refused."""
        before, own = state(self.path), tree(photos or self.photos)
        with pytest.raises(error, match=match):
            self.add(tag, photos)
        assert state(self.path) == before
        assert tree(photos or self.photos) == own


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """A repository with one version of two images."""
    world = World(tmp_path_factory.mktemp("pattern"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("empty")))
        init_repository(world.path, str(world.remote))
        write_images(world.photos, ["a", "b"])
        world.add(V1)
    return world


@pytest.fixture
def world(pattern, tmp_path, monkeypatch):
    """A copy of it; the DVC remote is the same, and is only added to."""
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    own = World(tmp_path / "w")
    own.folder.mkdir()
    shutil.copytree(pattern.path, own.path, symlinks=True)
    shutil.copytree(pattern.photos, own.photos)
    own.remote = pattern.remote
    return own


def test_uncommitted_work_in_the_datasets_folder_is_refused_by_name(world):
    folder = world.path / V1.folder
    write_images(folder, ["mine"])
    write_labels(folder, "a", ["dog"])
    (folder / ".notes").write_text("x")
    (folder / "b.jpg").unlink()
    (folder / "b.jpg").symlink_to("mine.jpg")
    write_images(world.photos, ["c"])
    world.refused(r"5 files: \.notes \(new\), a\.json \(changed\), b\.jpg \(changed\), mine\.jpg \(new\), mine\.json")


def test_what_some_version_has_or_gets_may_be_replaced(world):
    """A partial checkout, litter, and a mixture of versions are not work."""
    write_labels(world.photos, "a", ["dog"])
    world.add(V2)
    folder = world.path / V1.folder
    (folder / "b.jpg").unlink()
    (folder / ".DS_Store").write_text("x")
    git(world.path, "checkout", "--quiet", "HEAD~1", "--", V1.dvc_file)
    git(world.path, "checkout", "--quiet", "HEAD", "--", V1.dvc_file)
    write_images(world.photos, ["c"])
    shutil.copyfile(world.photos / "c.jpg", folder / "c.jpg")
    (folder / "c.json.part").write_text("half of i")
    world.add(V3)
    assert tree(folder) == plain(world.photos)
    assert git(world.path, "status", "--porcelain") == ""


def test_the_datasets_own_folder_can_be_added_and_stays_as_it_is(world):
    folder = world.path / V1.folder
    write_images(folder, ["mine"])
    (folder / ".notes").write_text("x")
    before = tree(folder)
    done = world.add(V2, folder)
    assert done.files == 6
    assert tree(folder) == before
    assert len(files_of(world.path, V2)) == 6
    assert git(world.path, "status", "--porcelain") == ""


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("place", ["annotations/pets/new", ".", "..", ".dvc/cache", ".git", "annotations"])
def test_folders_that_the_addition_would_read_and_write_are_refused(world, place, linked):
    folder = world.path / place
    write_images(world.path / "annotations/pets/new", ["mine"])
    if linked:
        (world.folder.parent / "link").symlink_to(folder)
        folder = world.folder.parent / "link"
    before = state(world.path)
    with pytest.raises(DataError, match=r"lies inside|lies in|holds"):
        world.add(V2, folder)
    assert state(world.path) == before


def test_folders_elsewhere_in_the_repository_can_be_added(world):
    other = world.path / "annotations" / "pets"
    world.add(OTHER, other)
    assert files_of(world.path, OTHER) == files_of(world.path, V1)
    write_images(world.path / "incoming", ["c"])
    world.add(V2, world.path / "incoming")
    assert (world.path / "incoming" / "c.jpg").is_file()
    assert len(files_of(world.path, V2)) == 2


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize(
    ("where", "rule"),
    [(".dvcignore", "c.*"), (".dvcignore", "*.jpg\n!a.jpg"), ("annotations/.dvcignore", "pets/c.json"),
     (".dvcignore", "annotations"), (".dvcignore", "/annotations/pets/")],
)  # fmt: skip
def test_rules_that_would_leave_files_out_are_refused_by_name(world, where, rule, committed):
    write_images(world.photos, ["c"])
    (world.path / where).write_text(f"# mine\n{rule}\n")
    if committed:
        git(world.path, "add", where)
        git(world.path, "commit", "--quiet", "--message", "Ignore")
    world.refused(r"\.dvcignore of the data repository would leave files of pets_ann_v2 out(.|\n)*in .*dvcignore: ")


def test_rules_about_other_files_are_fine(world):
    (world.path / ".dvcignore").write_text("*.bak\n/raw\n")
    write_images(world.photos, ["c"])
    assert world.add(V2).files == 6


def test_files_of_dvc_in_the_photos_block_neither_this_nor_the_next_addition(world):
    bad = shutil.copytree(world.photos, world.folder / "bad")
    (bad / "a.jpg.dvc").write_text("outs:\n- md5: 0\n outs")
    world.refused(r"a\.jpg\.dvc: files of Git and DVC cannot be part", OTHER, bad, DataError)
    assert not (world.path / OTHER.folder).exists()
    (bad / "a.jpg.dvc").unlink()
    assert world.add(OTHER, bad).new


def test_a_broken_file_of_dvc_elsewhere_does_not_matter(world):
    (world.path / "broken.dvc").write_text("outs:\n- md5: 0\n outs")
    assert world.add(OTHER).new
    assert git(world.path, "status", "--porcelain") == "?? broken.dvc\n"


def test_faults_that_would_stop_record_refuse_the_addition(world):
    (world.photos / "b.jpg").unlink()
    (world.photos / "a.json").write_text("{")
    world.refused(r"2 faults that would stop record(.|\n)*a\.json(.|\n)*b\.json", error=DataError)
    done = world.add(V2, allow_faults=True)
    assert (done.new, done.faults, done.files) == (True, 2, 3)


def test_a_folder_that_changes_meanwhile_is_refused(world, monkeypatch):
    write_images(world.photos, ["c"])
    before = state(world.path)
    base = Branch.base

    def changing(branch, published):
        (world.photos / "c.jpg").write_bytes(b"other")
        return base(branch, published)

    monkeypatch.setattr(Branch, "base", changing)
    with pytest.raises(DataError, match=r"changed while it was being added \(c\.jpg\)"):
        world.add(V2)
    assert state(world.path) == before


def test_what_is_uncommitted_elsewhere_stays_uncommitted(world):
    (world.path / "README").write_text("one")
    git(world.path, "add", "README")
    (world.path / "notes").write_text("mine")
    (world.path / ".dvcignore").write_text("# my comment\n")
    before = git(world.path, "status", "--porcelain")
    write_images(world.photos, ["c"])
    world.add(V2)
    assert git(world.path, "status", "--porcelain") == before
    changed = git(world.path, "show", "--name-only", "--format=", "HEAD").split()
    assert changed == [V1.dvc_file]
    assert git(world.path, "log", "--format=%an", "-1") == "sightline\n"


def test_uncommitted_changes_of_the_dvc_file_are_refused(world):
    (world.path / V1.dvc_file).write_text("outs: mine\n")
    write_images(world.photos, ["c"])
    world.refused(r"in the way, in 1 file: annotations/pets\.dvc; nothing was changed")


def test_a_place_that_something_else_has_is_refused(world, tmp_path):
    write_images(world.photos, ["c"])
    shutil.rmtree(world.path / V1.folder)
    (tmp_path / "big").mkdir()
    (world.path / V1.folder).symlink_to(tmp_path / "big")
    world.refused("is a link; expected a folder")
    (world.path / V1.folder).unlink()
    (world.path / V1.folder).write_text("x")
    world.refused("is a file; expected a folder")
    world.refused("belongs to DVC and Git", DatasetTag("x.dvc", "ann", "v1"))


# Clones


@pytest.fixture
def clones(world):
    """An origin and two clones of it, without an identity of their own."""
    origin = world.folder / "origin.git"
    git(world.folder, "clone", "--quiet", "--bare", str(world.path), str(origin))
    for name in ("jane", "john"):
        git(world.folder, "clone", "--quiet", str(origin), str(world.folder / name))
    return origin, world.folder / "jane", world.folder / "john"


def test_a_stale_clone_puts_its_version_on_top(world, clones):
    origin, jane, john = clones
    write_images(world.photos, ["c"])
    world.add(V2, repository=jane)
    (john / "notes").write_text("mine")
    write_images(world.photos, ["d"])
    done = world.add(V3, repository=john)
    assert list_tags(str(origin), 60) == list_tags(str(john), 60)
    assert git(origin, "rev-parse", "main").strip() == git(john, "rev-parse", "HEAD").strip() == done.commit
    assert git(john, "rev-list", "--count", "HEAD").strip() == "4"
    assert git(john, "status", "--porcelain") == "?? notes\n"
    assert tree(john / V1.folder) == plain(world.photos)
    again = world.add(V2, shutil.copytree(jane / V1.folder, world.folder / "v2"), repository=john)
    assert not again.new


def test_who_pushed_first_is_waited_for(world, clones, monkeypatch):
    origin, jane, john = clones
    write_images(world.photos, ["c"])
    push, calls = Branch.push, []

    def outpaced(branch, *arguments):
        if branch.root == john and not calls:
            calls.append(world.add(OTHER, repository=jane))
        return push(branch, *arguments)

    monkeypatch.setattr(Branch, "push", outpaced)
    world.add(V2, repository=john)
    assert {str(V1), str(V2), str(OTHER)} == set(list_tags(str(origin), 60))
    assert git(john, "status", "--porcelain") == ""
    assert (john / OTHER.dvc_file).is_file()


def test_the_same_version_added_in_two_clones_is_one(world, clones):
    _, jane, john = clones
    write_images(world.photos, ["c"])
    first = world.add(V2, repository=jane)
    again = world.add(V2, repository=john)
    assert (again.new, again.commit) == (False, first.commit)
    write_images(world.photos, ["d"])
    with pytest.raises(RepositoryError, match=r"exists with other contents \(2 files would be added"):
        world.add(V2, repository=john)


def test_commits_that_only_this_clone_has_are_pushed_along(world, clones):
    origin, jane, _ = clones
    git(jane, "-c", "user.name=j", "-c", "user.email=j@x", "commit", "--quiet", "--allow-empty", "-m", "Mine")
    write_images(world.photos, ["c"])
    done = world.add(V2, repository=jane)
    assert git(origin, "rev-parse", "main").strip() == done.commit
    assert "Mine" in git(origin, "log", "--format=%s", "main")


def test_a_branch_that_diverged_is_refused_before_anything_is_done(world, clones):
    _, jane, john = clones
    write_images(world.photos, ["c"])
    world.add(V2, repository=jane)
    git(john, "-c", "user.name=j", "-c", "user.email=j@x", "commit", "--quiet", "--allow-empty", "-m", "Mine")
    before = state(john) | {"tags": ""}
    with pytest.raises(RepositoryError, match=r"have diverged \(1 commit only here, 1 only there\)"):
        world.add(V3, repository=john)
    assert state(john) | {"tags": ""} == before


def test_a_change_that_others_made_and_that_is_uncommitted_here_is_in_the_way(world, clones):
    _, jane, john = clones
    (jane / "README").write_text("theirs")
    git(jane, "add", "README")
    git(jane, "-c", "user.name=j", "-c", "user.email=j@x", "commit", "--quiet", "-m", "Readme")
    git(jane, "push", "--quiet")
    (john / "README").write_text("mine")
    write_images(world.photos, ["c"])
    with pytest.raises(RepositoryError, match="in the way, in 1 file: README"):
        world.add(V2, repository=john)
    assert (john / "README").read_text() == "mine"
    (john / "README").write_text("theirs")
    world.add(V2, repository=john)
    assert git(john, "status", "--porcelain") == ""


def test_a_detached_head_pushes_the_tag_alone(world, clones):
    origin, jane, _ = clones
    git(jane, "checkout", "--quiet", "--detach")
    before = git(origin, "rev-parse", "main")
    write_images(world.photos, ["c"])
    done = world.add(V2, repository=jane)
    assert git(origin, "rev-parse", "main") == before
    assert list_tags(str(origin), 60)[str(V2)] == done.commit == git(jane, "rev-parse", "HEAD").strip()


def test_a_branch_without_upstream_is_pushed_under_its_name(world, clones):
    origin, jane, _ = clones
    git(jane, "checkout", "--quiet", "-b", "work")
    write_images(world.photos, ["c"])
    done = world.add(V2, repository=jane)
    assert git(origin, "rev-parse", "work").strip() == done.commit


def test_a_push_that_is_refused_leaves_nothing(world, clones):
    origin, jane, _ = clones
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    write_images(world.photos, ["c"])
    before = state(jane)
    with pytest.raises(RepositoryError, match="git push"):
        world.add(V2, repository=jane)
    assert state(jane) == before
    hook.unlink()
    assert world.add(V2, repository=jane).new


def test_a_shallow_clone_can_be_added_to(world, clones):
    origin, jane, _ = clones
    shallow = world.folder / "shallow"
    git(world.folder, "clone", "--quiet", "--depth", "1", "--no-tags", origin.as_uri(), str(shallow))
    write_images(world.photos, ["c"])
    world.add(V2, repository=jane)
    write_images(world.photos, ["d"])
    world.add(V3, repository=shallow)
    assert {str(V1), str(V2), str(V3)} == set(list_tags(str(origin), 60)) == set(list_tags(str(shallow), 60))


# Objects that the remote lost


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("loss", ["object", "damaged", "list", "damaged list", "all"])
def test_the_same_folder_added_again_pushes_what_the_remote_lost(world, tmp_path, loss, cached):
    remote = tmp_path / "own"
    shutil.copytree(world.remote, remote)
    config = world.path / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(world.remote), str(remote)))
    git(world.path, "commit", "--quiet", "--all", "--message", "Move the remote")
    git(world.path, "tag", "--force", str(V1))
    manifest = files_of(world.path, V1)
    with open_history(str(world.path), [V1], 60) as history:
        listed = history.tracked(V1).md5
    lost = {"object": [manifest["a.jpg"]], "damaged": [manifest["a.jpg"]], "all": [*manifest.values(), listed]}
    if not cached:
        shutil.rmtree(world.path / ".dvc" / "cache")
    for md5 in lost.get(loss, [listed]):
        path = Cache(remote / "annotations").path_of(md5)
        data = path.read_bytes()
        path.unlink()
        if "damaged" in loss:
            path.write_bytes(data[:-1] + b"?")
    done = world.add(V1)
    assert not done.new
    assert files_of(world.path, V1) == manifest
    found = checkout(Workspace(str(world.path), tmp_path / "work"), str(V1))
    assert tree(found.path / V1.folder) == plain(world.photos)


def test_a_tag_that_was_never_pushed_is_pushed(world, clones):
    origin, jane, _ = clones
    write_images(world.photos, ["c"])
    done = world.add(V2, repository=jane)
    git(origin, "tag", "--delete", str(V2))
    assert not world.add(V2, repository=jane).new
    assert list_tags(str(origin), 60)[str(V2)] == done.commit


def test_plain_dvc_sees_nothing_to_do(world):
    write_images(world.photos, ["c"])
    world.add(V2)
    assert "up to date" in commands.dvc("status", cwd=world.path, timeout_seconds=60)
    shutil.rmtree(world.path / V1.folder)
    shutil.rmtree(world.path / ".dvc" / "cache")
    commands.dvc("pull", cwd=world.path, timeout_seconds=60)
    assert tree(world.path / V1.folder) == plain(world.photos)


def test_a_git_hook_may_call_it(world):
    """Git tells its hooks where the repository is, by variables that reach the git that is started here."""
    write_images(world.photos, ["c"])
    elsewhere = world.folder / "elsewhere"
    git(world.folder, "init", "--quiet", str(elsewhere))
    code = (
        "import sys; from pathlib import Path; from sightline.data.repository.creation import add_annotations;"
        "from sightline.data.tags import DatasetTag;"
        "add_annotations(Path(sys.argv[1]), Path(sys.argv[2]), DatasetTag.parse(sys.argv[3]))"
    )
    environment = os.environ | {"GIT_DIR": str(elsewhere / ".git"), "GIT_INDEX_FILE": str(elsewhere / "index")}
    subprocess.run(
        [os.sys.executable, "-c", code, str(world.path), str(world.photos), str(V2)], env=environment, check=True
    )
    assert str(V2) in list_tags(str(world.path), 60)
    assert list_tags(str(elsewhere), 60) == {}


def test_a_note_of_a_killed_addition_is_completed_by_the_next(world, monkeypatch):
    """Killed after the version was published: whatever is added next brings the branch and folder to it first."""
    write_images(world.photos, ["c"])

    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("sightline.data.repository.adding.finish", killed)
        patch.setattr("sightline.data.repository.staging.shutil.rmtree", lambda *arguments, **options: None)
        with pytest.raises(Killed):
            world.add(V2)
    note = json.loads((staging_root(world.path) / "unfinished.json").read_text())
    assert note["tag"] == str(V2)
    assert str(V2) not in list_tags(str(world.path), 60)
    v2 = plain(world.photos)
    world.add(OTHER)
    assert {str(V2), str(OTHER)} < set(list_tags(str(world.path), 60))
    assert tree(world.path / V2.folder) == v2
    assert git(world.path, "status", "--porcelain") == ""
    assert list(staging_root(world.path).glob("*")) == []
