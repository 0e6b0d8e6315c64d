"""A data repository on a git server: https with a token, ssh, and what each of them says when it does not work."""

import logging
import os
import subprocess

import pytest

from sightline.data.git import commands
from sightline.data.git.settings import git_configuration
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import RepositoryError, UnknownTagError
from tests.labelled_folder import names, write_images
from tests.servers.git_http import GitServer

TOKEN = "canary-5d1f0e-token"
V1, V2 = DatasetTag("pets", "ann", "v1"), DatasetTag("pets", "ann", "v2")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A data repository with one version; no test changes it."""
    folder = tmp_path_factory.mktemp("source")
    init_repository(folder / "data", str(folder / "remote"))
    write_images(folder / "photos", names(3))
    add_annotations(folder / "data", folder / "photos", V1)
    return folder


@pytest.fixture
def server(source, tmp_path, monkeypatch):
    """The repository behind HTTP; the token is in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("SIGHTLINE_GIT_TOKEN", TOKEN)
    with GitServer(tmp_path / "served", TOKEN).running() as server:
        server.add("data.git", source / "data")
        yield server


def everything_below(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_the_token_opens_the_repository_and_is_written_nowhere(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="sightline")
    done = checkout(Workspace(server.url("data.git"), tmp_path / "work"), str(V1))
    assert len(list((done.path / "annotations" / "pets").glob("*.jpg"))) == 3
    assert set(server.users) == {"x-access-token"}
    assert "git clone" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN.encode() not in everything_below(tmp_path / "work")


def test_no_command_line_shows_the_token(server, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    shown = tmp_path / "bin" / "git"
    shown.parent.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    shown.write_text(f'#!/bin/sh\necho "$@" >> {seen}\ncat "$GIT_CONFIG_GLOBAL" >> {seen}\nexec {real} "$@"\n')
    shown.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shown.parent}{os.pathsep}{os.environ['PATH']}")
    assert str(V1) in list_tags(server.url("data.git"), 60)
    assert "ls-remote" in seen.read_text()
    assert "[credential" in seen.read_text()
    assert TOKEN not in seen.read_text()


def test_a_version_is_pushed_with_the_token(server, source, tmp_path):
    clone = tmp_path / "clone"
    url = server.url("data.git")
    commands.git("clone", "--quiet", url, str(clone), timeout_seconds=60, trusted=[url])
    write_images(tmp_path / "photos", names(4))
    added = add_annotations(clone, tmp_path / "photos", V2)
    assert list_tags(url, 60)[str(V2)] == added.commit
    assert TOKEN.encode() not in everything_below(clone)


def test_the_user_name_of_the_url_goes_with_the_token(server):
    url = server.url("data.git").replace("://", "://deploy-7@")
    assert str(V1) in list_tags(url, 60)
    assert set(server.users) == {"deploy-7"}


@pytest.mark.parametrize("given", ["wrong-canary-77", ""])
def test_a_wrong_or_missing_token_is_told_without_it(server, tmp_path, monkeypatch, given):
    monkeypatch.setenv("SIGHTLINE_GIT_TOKEN", given)
    with pytest.raises(RepositoryError, match=r"access is denied; .*SIGHTLINE_GIT_TOKEN") as caught:
        checkout(Workspace(server.url("data.git"), tmp_path / "work"), str(V1))
    assert "canary" not in repr(caught.value)
    monkeypatch.setenv("SIGHTLINE_GIT_TOKEN", TOKEN)
    assert checkout(Workspace(server.url("data.git"), tmp_path / "work"), str(V1)).path.is_dir()


def test_a_token_that_may_not_write_is_told(server, source, tmp_path):
    clone = tmp_path / "clone"
    url = server.url("data.git")
    commands.git("clone", "--quiet", url, str(clone), timeout_seconds=60, trusted=[url])
    write_images(tmp_path / "photos", names(4))
    server.read_only = True
    with pytest.raises(RepositoryError, match="access is denied"):
        add_annotations(clone, tmp_path / "photos", V2)
    server.read_only = False
    added = add_annotations(clone, tmp_path / "photos", V2)
    assert list_tags(url, 60)[str(V2)] == added.commit


def test_the_token_goes_to_the_server_of_the_repository_alone():
    given = {"SIGHTLINE_GIT_TOKEN": TOKEN}
    text = git_configuration(["https://jane@git.example.org:8443/data.git"], given)
    assert '[credential "https://git.example.org:8443"]' in text
    assert TOKEN not in text
    for other in ("http://git.example.org/data.git", "git@example.org:data.git", "/srv/data", "https://[bad"):
        assert "[credential" not in git_configuration([other], given)
    assert "[credential" not in git_configuration(["https://git.example.org/data.git"], {})


def test_a_server_that_is_not_there_is_told(server, tmp_path):
    with pytest.raises(RepositoryError, match="the server cannot be reached; check data"):
        list_tags("https://nowhere.invalid/data.git", 60)
    with pytest.raises(RepositoryError, match="the server cannot be reached"):
        list_tags("http://127.0.0.1:9/data.git", 60)
    with pytest.raises(RepositoryError, match="there is no such data repository"):
        list_tags(server.url("other.git"), 60)


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """An ssh that runs the command on this machine; `says` makes it fail with a message of the real one instead."""
    script, seen = tmp_path / "ssh.sh", tmp_path / "ssh.seen"

    def install(says=""):
        fail = f"echo '{says}' >&2; exit 255" if says else 'for last; do :; done; exec sh -c "$last"'
        script.write_text(f'#!/bin/sh\necho "$@" >> {seen}\n{fail}\n')
        script.chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", f"{script} -i /secrets/key")
        monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
        return seen

    return install


def test_ssh_runs_as_the_environment_says(source, tmp_path, fake_ssh):
    seen = fake_ssh()
    done = checkout(Workspace(f"ssh://git@example.org{source / 'data'}", tmp_path / "work"), str(V1))
    assert (done.path / "annotations" / "pets").is_dir()
    assert "-i /secrets/key" in seen.read_text()
    assert "git@example.org" in seen.read_text()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("Host key verification failed.", "host key is not known here"),
        ("git@example.org: Permission denied (publickey).", "access is denied"),
        ("ssh: Could not resolve hostname example.org: Name or service not known", "the server cannot be reached"),
        ("ssh: connect to host example.org port 22: Connection timed out", "the server cannot be reached"),
        ("kex_exchange_identification: Connection closed by remote host", "the server cannot be reached"),
    ],
)
def test_what_ssh_says_is_explained(tmp_path, fake_ssh, says, expected):
    fake_ssh(says)
    with pytest.raises(RepositoryError, match=expected) as caught:
        checkout(Workspace("git@example.org:team/data.git", tmp_path), str(V1))
    assert says in str(caught.value)


def test_the_real_ssh_never_asks(tmp_path, monkeypatch):
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    with pytest.raises(RepositoryError, match="the server cannot be reached"):
        list_tags("git@nowhere.invalid:data.git", 60)
    assert "-oBatchMode=yes" in git_configuration([])


def test_the_own_ssh_command_of_a_user_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[core]\n\tsshCommand = my-ssh --quiet\n")
    assert commands.git("config", "core.sshCommand", cwd=tmp_path, timeout_seconds=60) == "my-ssh --quiet\n"


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    """A stall ends after STALL_SECONDS, long before the limit of the whole command."""
    import socket

    from sightline.data.git import settings as git_settings

    before = git_settings.BEFORE.replace("lowSpeedTime = 60", "lowSpeedTime = 1")
    assert before != git_settings.BEFORE
    monkeypatch.setattr(git_settings, "BEFORE", before)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(RepositoryError, match="the server cannot be reached"):
            list_tags(f"http://127.0.0.1:{port}/data.git", 60)


def test_a_tag_that_is_gone_says_what_it_named(server, tmp_path):
    url = server.url("data.git")
    done = checkout(Workspace(url, tmp_path / "work"), str(V1))
    bare = server.root / "data.git"
    commands.git("tag", "--delete", str(V1), cwd=bare, timeout_seconds=60)
    with pytest.raises(UnknownTagError, match=f"{V1} is gone from .*it named commit {done.commit[:12]}") as caught:
        checkout(Workspace(url, tmp_path / "work"), str(V1))
    assert str(done.path) in str(caught.value)
    with pytest.raises(UnknownTagError, match=f"{V1} is gone .* named commit {done.commit}"):
        checkout(Workspace(url, tmp_path / "elsewhere"), str(V1), expected_commit=done.commit)
    assert (done.path / "annotations" / "pets" / "000.jpg").is_file()
    # What the message advises brings it back.
    push = ["push", "--quiet", "origin", f"HEAD:refs/tags/{V1}"]
    commands.git(*push, cwd=done.path, timeout_seconds=60, trusted=[url])
    assert checkout(Workspace(url, tmp_path / "work"), str(V1)) == done


def test_reading_a_tag_needs_no_checkout(server):
    with open_history(server.url("data.git"), [V1], 60) as history:
        assert len(history.manifest(V1)) == 6
