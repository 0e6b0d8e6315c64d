"""What a snapshot holds, and what is refused in the place of one."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from sightline.code import make_snapshot
from sightline.code import snapshot as limits
from sightline.code.snapshot import read_snapshot
from sightline.errors import CodeError
from sightline.version import code_revision
from sightline_bootstrap import code_files, revision_of
from tests.code.packages import REAL, ROOT, small_package
from tests.golden import raises


def git(folder, *arguments):
    identity = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_equal_code_is_one_revision_wherever_and_whenever(tmp_path, snapshot, other):
    package = small_package(tmp_path / "elsewhere")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "version.cpython-311.pyc").write_bytes(b"compiled")
    (package / ".ipynb_checkpoints").mkdir()
    (package / ".ipynb_checkpoints" / "version-checkpoint.py").write_text("old")
    (package / "version.py~").write_text("old")
    again = make_snapshot(package)
    assert again.revision == snapshot.revision != other.revision
    assert again.contents == snapshot.contents
    assert snapshot.contents["sightline/report/templates/page.html"] == "<p>Größe</p>\r\n"
    assert set(snapshot.manifest.files) == set(snapshot.contents)
    assert {"sightline/py.typed", "sightline/config/recipes/a.yaml"} < set(snapshot.contents)


def test_a_renamed_file_is_other_code(tmp_path, snapshot):
    package = small_package(tmp_path / "renamed")
    (package / "config/recipes/a.yaml").rename(package / "config/recipes/b.yaml")
    assert make_snapshot(package).revision != snapshot.revision


def test_the_revision_of_the_running_code_is_that_of_its_snapshot():
    version, _, digits = code_revision().partition("-")
    assert make_snapshot().revision.startswith(digits)
    assert make_snapshot().manifest.version == version
    assert len(digits) == 12


@pytest.mark.slow
def test_an_installed_wheel_is_the_same_code_and_has_the_bootstrap(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "shared", source / "shared", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation"]
    command += ["--quiet", "--target", str(tmp_path / "installed"), str(source)]
    if subprocess.run([sys.executable, "-c", "import setuptools"], capture_output=True, check=False).returncode:
        pytest.skip("no setuptools here")
    subprocess.run(command, check=True, capture_output=True)
    assert make_snapshot(tmp_path / "installed" / "sightline").revision == make_snapshot().revision
    assert (tmp_path / "installed" / "sightline_bootstrap.py").read_bytes() == (
        ROOT / "shared" / "sightline_bootstrap.py"
    ).read_bytes()


def test_the_package_has_no_file_that_a_snapshot_would_leave_out():
    present = {path.relative_to(REAL.parent).as_posix() for path in REAL.rglob("*") if path.is_file()}
    assert {name for name in present if "__pycache__" not in name} == set(code_files(REAL))


def test_commit_and_changes_are_named(tmp_path):
    package = small_package(tmp_path / "repository" / "shared")
    repository = tmp_path / "repository"
    assert (make_snapshot(package).manifest.commit, make_snapshot(package).manifest.dirty) == (None, None)
    git(tmp_path, "init", "--quiet", str(repository))
    (repository / ".gitignore").write_text("venv\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "first")
    clean = make_snapshot(package).manifest
    (repository / "unrelated.txt").write_text("not of the package")
    assert len(clean.commit) == 40
    assert clean.dirty is False
    assert make_snapshot(package).manifest.dirty is False
    (package / "new.py").write_text("")
    changed = make_snapshot(package).manifest
    assert (changed.commit, changed.dirty) == (clean.commit, True)
    # What is installed inside a repository does not come from its commit.
    installed = make_snapshot(small_package(repository / "venv")).manifest
    assert (installed.commit, installed.dirty) == (None, None)


def test_what_is_no_package_or_no_text_is_refused(tmp_path):
    with raises(CodeError, "version.py"):
        make_snapshot(tmp_path / "nothing")
    package = small_package(tmp_path)
    (package / "latin.py").write_bytes(b"# Gr\xf6\xdfe")
    with raises(CodeError, "latin.py", "UTF-8"):
        make_snapshot(package)
    (package / "latin.py").rename(package / "größe.py")
    with raises(CodeError, "sightline/größe.py", "sightline/"):
        make_snapshot(package)


def document(snapshot, contents=None, **manifest):
    """A snapshot as text, with other contents and whatever manifest somebody wrote."""
    text = json.loads(snapshot.to_json())
    text["contents"] = snapshot.contents if contents is None else contents
    text["manifest"].update(manifest)
    return text


def consistent(snapshot, contents):
    """As somebody forges it who knows the rules; returns revision and text."""
    hashes = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in contents.items()}
    revision = revision_of(hashes)
    return revision, json.dumps(document(snapshot, contents, revision=revision, files=hashes)).encode()


NAMES = [
    "../evil.py", "sightline/../../evil.py", "/etc/evil.py", "sightline//evil.py", "sightline/./evil.py", "evil.py",
    "sightline.py", "yaml/evil.py", "sightline\\evil.py", "C:evil.py", "sightline/a\0.py", "sightline/a\n.py",
    "sightline/.hidden.py", "sightline/größe.py", "sightline/evil.so", "sightline/__pycache__/version.cpython-311.pyc",
    "sightline/" + "a" * 200 + ".py", "sightline/" + "a/" * 20 + "b.py", "", "sightline/",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_refused(snapshot, name):
    revision, text = consistent(snapshot, {**snapshot.contents, name: "evil = True"})
    with raises(CodeError, "gs://b/x.json"):
        read_snapshot(revision, text, "gs://b/x.json")


def test_another_snapshot_and_a_changed_one_are_refused(snapshot, other):
    where = "gs://b/x.json"
    assert read_snapshot(snapshot.revision, snapshot.to_json(), where) == snapshot
    name, text = "sightline/version.py", "TEXT = 'forged'\n"
    forged = {**snapshot.contents, name: text}
    hashes = {**snapshot.manifest.files, name: hashlib.sha256(text.encode()).hexdigest()}
    for bad in (
        document(other),
        document(snapshot, forged),
        document(snapshot, forged, files=hashes),
        document(snapshot, forged, files=hashes, revision=revision_of(hashes)),
        document(snapshot, files=hashes),
        document(snapshot, {}),
        document(snapshot, {}, files={}),
    ):
        with raises(CodeError, snapshot.revision):
            read_snapshot(snapshot.revision, json.dumps(bad).encode(), where)


TEXTS = {
    "nothing": b"",
    "half of it": b'{"manifest": {',
    "a list": b"[]",
    "bytes": b"\xff\xfe",
    "an empty manifest": b'{"manifest": {}, "contents": {}}',
    "100,000 brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_is_no_snapshot_is_refused(case):
    with raises(CodeError, "gs://b/x"):
        read_snapshot("0" * 64, TEXTS[case], "gs://b/x")


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 5), ("MAX_FILE_BYTES", 10), ("MAX_BYTES", 20)])
def test_what_is_too_large_is_refused(snapshot, monkeypatch, tmp_path, limit, value):
    monkeypatch.setattr(limits, limit, value)
    with raises(CodeError):
        read_snapshot(snapshot.revision, snapshot.to_json(), "gs://b/x")
    with raises(CodeError):
        make_snapshot(small_package(tmp_path / "large"))
