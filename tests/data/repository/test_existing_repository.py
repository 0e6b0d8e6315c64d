"""``data init`` on a repository that is there already, and remotes whose addresses need quoting."""

import pytest
from dvc.config import Config

from sightline.data.dvc.remote import open_remote
from sightline.data.git import commands
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError
from tests.labelled_folder import write_images

V1 = DatasetTag("pets", "ann", "v1")


def git(repository, *arguments):
    return commands.git(*arguments, cwd=repository, timeout_seconds=60)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))


@pytest.fixture
def team(tmp_path):
    """A git repository with one commit."""
    path = tmp_path / "team data"
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk", str(path))
    git(path, "config", "user.name", "kim")
    git(path, "config", "user.email", "kim@x")
    (path / "README").write_text("ours")
    git(path, "add", "README")
    git(path, "commit", "--quiet", "--message", "Ours")
    return path


@pytest.fixture
def dvc_team(team, tmp_path):
    """The same with DVC and a default remote of its own."""
    commands.dvc("init", cwd=team, timeout_seconds=60)
    commands.dvc("remote", "add", "--default", "ours", str(tmp_path / "ours"), cwd=team, timeout_seconds=60)
    git(team, "commit", "--quiet", "--all", "--message", "DVC")
    return team


def changed(repository):
    return git(repository, "show", "--name-only", "--format=", "HEAD").split()


def test_a_repository_with_dvc_gets_two_remotes_and_keeps_its_own(dvc_team, tmp_path):
    config = dvc_team / ".dvc" / "config"
    before = config.read_text() + "# our comment\n"
    config.write_text(before)
    git(dvc_team, "commit", "--quiet", "--all", "--message", "Comment")
    (dvc_team / "README").write_text("mine")
    (dvc_team / "staged").write_text("mine")
    git(dvc_team, "add", "staged")
    dirty = git(dvc_team, "status", "--porcelain")
    assert init_repository(dvc_team, str(tmp_path / "rem")) is True
    assert config.read_text().startswith(before)
    assert changed(dvc_team) == [".dvc/config"]
    assert git(dvc_team, "log", "-1", "--format=%an") == "kim\n"
    assert git(dvc_team, "status", "--porcelain") == dirty
    head = git(dvc_team, "rev-parse", "HEAD")
    assert init_repository(dvc_team, str(tmp_path / "rem")) is False
    assert git(dvc_team, "rev-parse", "HEAD") == head
    assert Config(str(dvc_team / ".dvc"))["core"]["remote"] == "ours"
    done = add_annotations(dvc_team, write_images(tmp_path / "photos", ["a"]), V1)
    assert done.new
    assert git(dvc_team, "status", "--porcelain") == dirty
    assert not (tmp_path / "ours").exists()
    with pytest.raises(RepositoryError, match=r"remotes below .*rem, not"):
        init_repository(dvc_team, str(tmp_path / "other"))


@pytest.mark.parametrize("commits", [True, False])
def test_a_repository_without_dvc_gets_it(team, tmp_path, commits):
    if not commits:
        git(tmp_path, "init", "--quiet", str(tmp_path / "fresh"))
        team = tmp_path / "fresh"
        (team / "README").write_text("ours")
    before = git(team, "status", "--porcelain")
    assert init_repository(team, str(tmp_path / "rem")) is True
    assert changed(team) == [".dvc/.gitignore", ".dvc/config", ".dvcignore"]
    assert git(team, "status", "--porcelain") == before
    assert add_annotations(team, write_images(tmp_path / "photos", ["a"]), V1).new
    assert "up to date" in commands.dvc("status", cwd=team, timeout_seconds=60)
    assert git(team, "status", "--porcelain") == before


def test_what_would_change_something_of_theirs_is_refused(dvc_team, tmp_path):
    config = dvc_team / ".dvc" / "config"

    def refused(match, path=dvc_team):
        before = config.read_bytes(), git(dvc_team, "rev-parse", "HEAD"), git(dvc_team, "status", "--porcelain")
        with pytest.raises(RepositoryError, match=match):
            init_repository(path, str(tmp_path / "rem"))
        assert before == (
            config.read_bytes(), git(dvc_team, "rev-parse", "HEAD"), git(dvc_team, "status", "--porcelain"),
        )  # fmt: skip

    committed = config.read_text()
    config.write_text(committed + "# not committed\n")
    refused(r"\.dvc/config in .* has uncommitted changes; nothing was changed")
    config.write_text(committed)
    (dvc_team / "sub").mkdir()
    (dvc_team / "sub" / "a").write_text("x")
    refused("lies inside the git repository", dvc_team / "sub")
    git(dvc_team, "checkout", "--quiet", "--detach")
    refused("no branch checked out")
    git(dvc_team, "checkout", "--quiet", "trunk")
    config.write_text(committed + "['remote \"training\"']\n    url = /elsewhere\n")
    git(dvc_team, "commit", "--quiet", "--all", "--message", "Ours")
    refused("has a remote 'training' already, at /elsewhere")
    git(tmp_path, "clone", "--quiet", "--bare", str(dvc_team), str(tmp_path / "bare.git"))
    refused("without a working tree", tmp_path / "bare.git")


def test_remotes_that_are_not_committed_are_not_enough(dvc_team, tmp_path):
    for room in ("annotations", "training"):
        commands.dvc("remote", "add", room, str(tmp_path / "rem" / room), cwd=dvc_team, timeout_seconds=60)
    with pytest.raises(RepositoryError, match="has uncommitted changes"):
        init_repository(dvc_team, str(tmp_path / "rem"))
    photos = write_images(tmp_path / "photos", ["a"])
    with pytest.raises(RepositoryError, match="but that is not committed; commit it"):
        add_annotations(dvc_team, photos, V1)
    git(dvc_team, "commit", "--quiet", "--all", "--message", "Remotes")
    assert add_annotations(dvc_team, photos, V1).new


def test_a_repository_without_our_remotes_says_what_adds_them(dvc_team, tmp_path):
    with pytest.raises(RepositoryError, match=r"sightline data init '.*team data' --remote URI"):
        add_annotations(dvc_team, write_images(tmp_path / "photos", ["a"]), V1)
    assert not (dvc_team / "annotations").exists()
    assert git(dvc_team, "status", "--porcelain") == ""


NAMES = [
    "NAS #2", "a,b", "a;b", 'a"b', "a'b", "a'b\"c", "x=y", " p ", "~x", "한글", "a%20b", "a%%b", "a\\b", "$HOME",
    "a\tb", "[x]", "%(x", "a?b", "&", "(1)", "*", "'x'", '"x"', "!", "@", "a:b", "x  y", "#", ",", "no \"", "-r",
    "a:b/c",
]  # fmt: skip


def test_addresses_are_read_back_as_they_were_given(tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / f"r{number}"
        assert init_repository(path, str(tmp_path / name))
        text = (path / ".dvc" / "config").read_text()
        for room in ("annotations", "training"):
            url = f"{tmp_path}/{name}/{room}"
            assert open_remote(text, room, "x").url == url
            assert Config(str(path / ".dvc"))["remote"][room]["url"] == url
        assert init_repository(path, str(tmp_path / name)) is False


@pytest.mark.parametrize("name", ["NAS #2, 'a;b' 100% =한글"])
def test_versions_go_where_the_address_says(tmp_path, name):
    init_repository(tmp_path / "r", str(tmp_path / name))
    add_annotations(tmp_path / "r", write_images(tmp_path / "photos", ["a"]), V1)
    assert len([path for path in (tmp_path / name / "annotations" / "files").rglob("*") if path.is_file()]) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "photos", "r"])


REFUSED = [
    "{}/a\nb", "{}/a\r", "{}/\x85", "{}/\0", "{}/%(x)s", "{}/%(url)s", "{}/a'''b\"\"\"c", "{}/{{y}}", "${{y}}", "{}/{{",
    "{}/}}", "{}/\udcff", "file://{}/a%FF", "file://{}/%7By%7D", "file://{}/%0A", "", " ", "gs:x", "gs:/x", "GS:x", "gs://",
    "gs:///x", " gs://bucket/x", "gs://bucket/{{x}}", "gs://bucket/a?b", "gs://[x", "file:x", "file:{}/x", " file://{}/x",
    "foo:x", "s3://bucket", "~no-such-user-77/x",
]  # fmt: skip


def test_addresses_that_dvc_cannot_keep_are_refused(tmp_path, team, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*")), git(team, "rev-parse", "HEAD")
    for remote in REFUSED:
        for path in (tmp_path / "r", team):
            with pytest.raises(RepositoryError, match=r"^DVC remote .* cannot be used: "):
                init_repository(path, remote.format(tmp_path))
            assert (sorted(tmp_path.rglob("*")), git(team, "rev-parse", "HEAD")) == before, (remote, path)


@pytest.mark.parametrize("remote", ["r", "r/rem", "r/.git/rem", ".", "link/rem"])
def test_a_remote_that_overlaps_the_repository_is_refused(tmp_path, remote):
    (tmp_path / "link").symlink_to("r")
    path = tmp_path / ("annotations/r" if remote == "." else "r")
    with pytest.raises(RepositoryError, match="would overlap"):
        init_repository(path, str(tmp_path / remote))
    assert [entry.name for entry in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("name", ["{x}", "%(x)s", "a\nb", "\udcff"])
def test_folders_that_dvc_cannot_work_in_are_refused(tmp_path, name):
    with pytest.raises(RepositoryError, match=r"cannot be used: .*; choose another folder"):
        init_repository(tmp_path / name, str(tmp_path / "remote"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["한글 é", "a'b\"c, #1"])
def test_repositories_and_work_folders_have_any_other_name(tmp_path, name):
    init_repository(tmp_path / name, str(tmp_path / "remote"))
    add_annotations(tmp_path / name, write_images(tmp_path / "photos", ["a"]), V1)
    done = checkout(Workspace(str(tmp_path / name), tmp_path / f"work {name}"), str(V1))
    assert sorted(path.name for path in (done.path / V1.folder).iterdir()) == ["a.jpg", "a.json"]
    cache = tmp_path / f"work {name}" / "dvc-cache"
    assert Config(str(done.path / ".dvc"))["cache"]["dir"] == str(cache)


def test_an_address_of_an_earlier_release_that_dvc_fails_on_is_named(tmp_path):
    init_repository(tmp_path / "r", str(tmp_path / "remote"))
    config = tmp_path / "r" / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(tmp_path / "remote"), str(tmp_path / "{x}")))
    git(tmp_path / "r", "commit", "--quiet", "--all", "--message", "Move the remotes")
    with pytest.raises(RepositoryError, match=r"curly bracket.*dvc remote modify annotations url"):
        add_annotations(tmp_path / "r", write_images(tmp_path / "photos", ["a"]), V1)


def test_a_relative_remote_is_refused(tmp_path):
    with pytest.raises(RepositoryError, match="is the relative path"):
        open_remote("['remote \"training\"']\n    url = ../rem\n", "training", "/data")


@pytest.mark.parametrize("package", ["shared/sightline", "src/sightline", "sightline"])
def test_the_source_code_of_sightline_is_no_place_for_data(package, team, tmp_path):
    (team / package).mkdir(parents=True)
    (team / package / "__init__.py").write_text("")
    (team / "photos").mkdir()
    (team / "photos" / "a.jpg").write_bytes(b"")
    before = git(team, "rev-parse", "HEAD"), git(team, "status", "--porcelain")
    for path in (team, team / "photos"):
        with pytest.raises(RepositoryError, match=f"{package}/__init__.py.*nothing was changed: choose a folder"):
            init_repository(path, str(tmp_path / "remote"))
    assert (git(team, "rev-parse", "HEAD"), git(team, "status", "--porcelain")) == before


def test_a_remote_that_cannot_be_written_is_corrected_by_the_option(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RepositoryError, match="set --remote to a folder") as caught:
        init_repository(tmp_path / "data", str(tmp_path / "file"))
    assert "storage.uri" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_a_remote_that_is_the_repository_leaves_nothing_behind(tmp_path):
    for remote in ("data", "data/remote", "data/.dvc"):
        with pytest.raises(RepositoryError, match="overlap"):
            init_repository(tmp_path / "data", str(tmp_path / remote))
    with pytest.raises(RepositoryError, match="overlap"):
        init_repository(tmp_path / "r" / "annotations" / "data", str(tmp_path / "r"))
    assert list(tmp_path.iterdir()) == []
