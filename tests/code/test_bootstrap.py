"""What pods do before they import Sightline: pin a revision, verify it, and run its code."""

from __future__ import annotations

import json
import os
import sys

import pytest

import sightline_bootstrap
from sightline.code import make_snapshot, publish_to_bucket, publish_to_volume
from sightline.config.settings import home
from sightline.version import code_revision
from sightline_bootstrap import SnapshotError, activate, pin, verify
from tests.code.packages import edited_package, pod, small_package, snapshot_folder, unprotect
from tests.golden import raises

PROGRAM = """
import json, os, subprocess, sys
from sightline_bootstrap import activate, pin
revision = activate(pin({code_rev!r}))
from sightline.errors import EDITED
from sightline.runs import resolve
from sightline.version import code_revision
child = "from sightline import errors, version; print(errors.EDITED, version.code_revision())"
resolved = resolve.run("plates", "", "plates_ann_v1", activate(revision))
print(json.dumps(dict(
    revision=revision, word=EDITED, running=code_revision(), resolved=resolved.code_rev,
    child=subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout.split(),
)))
"""
AFTER = "; publish the code again (publish-code), or run with code_rev=image"


def first_file(folder, name="sightline/version.py"):
    return folder / "shared" / name


def other_content(folder):
    first_file(folder).write_text("TEXT = 'FIRST'\n")


def forged(folder):
    """A changed file and a manifest that says so."""
    other_content(folder)
    manifest = json.loads((folder / "MANIFEST.json").read_bytes())
    manifest["files"]["sightline/version.py"] = sightline_bootstrap._sha256(first_file(folder))
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))


def compiled(folder):
    (folder / "shared/sightline/__pycache__").mkdir()
    (folder / "shared/sightline/__pycache__/version.cpython-311.pyc").write_bytes(b"")


def linked(folder):
    content = first_file(folder).read_bytes()
    first_file(folder).unlink()
    (folder.parent / "elsewhere.py").write_bytes(content)
    first_file(folder).symlink_to(folder.parent / "elsewhere.py")


DAMAGES = {
    "a changed byte": (other_content, "shared/sightline/version.py has the SHA-256 "),
    "a changed byte and a fitting manifest": (forged, "MANIFEST.json was changed: its files are not those of the rev"),
    "a missing file": (lambda folder: first_file(folder).unlink(), "shared/sightline/version.py is missing"),
    "several missing": (
        lambda folder: [path.unlink() for path in (folder / "shared/sightline").glob("*.py")],
        "shared/sightline/__init__.py is missing, and the same is true of 1 more",
    ),
    "an extra file": (lambda folder: first_file(folder, "yaml.py").touch(), "shared/yaml.py does not belong there"),
    "a compiled file": (compiled, "shared/sightline/__pycache__/version.cpython-311.pyc does not belong there"),
    "a link to a file": (linked, "shared/sightline/version.py is a link or not a regular file"),
    "a link to a folder": (
        lambda folder: (folder / "shared/sightline/more").symlink_to(folder),
        "shared/sightline/more does not belong there",
    ),
    "a manifest that is none": (
        lambda folder: (folder / "MANIFEST.json").write_text("[" * 100_000),
        "MANIFEST.json was changed: its files are not those of the revision",
    ),
    "a manifest with numbers": (
        lambda folder: (folder / "MANIFEST.json").write_text('{"files": [1]}'),
        "MANIFEST.json was changed: its files are not those of the revision",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_snapshot_is_refused_and_published_anew(volume, snapshot, case):
    damage, fault = DAMAGES[case]
    publish_to_volume(snapshot, volume)
    folder = unprotect(snapshot_folder(volume, snapshot.revision))
    damage(folder)
    path, pythonpath = list(sys.path), os.environ.get("PYTHONPATH")
    with pytest.raises(SnapshotError) as caught:
        activate(snapshot.revision)
    assert str(caught.value).startswith(f"the code snapshot {folder} has changed since it was published: {fault}")
    assert str(caught.value).endswith(AFTER)
    assert (list(sys.path), os.environ.get("PYTHONPATH")) == (path, pythonpath)
    assert publish_to_volume(snapshot, volume).new
    assert verify(volume, snapshot.revision) == folder / "shared"


def test_a_missing_and_a_half_written_snapshot_are_refused(volume, snapshot):
    with pytest.raises(SnapshotError) as caught:
        activate(snapshot.revision)
    assert str(caught.value) == f"there is no code snapshot {snapshot.revision} in {volume}/snapshots{AFTER}"
    publish_to_volume(snapshot, volume)
    folder = unprotect(snapshot_folder(volume, snapshot.revision))
    (folder / "MANIFEST.json").unlink()
    with pytest.raises(SnapshotError) as caught:
        activate(snapshot.revision)
    assert str(caught.value) == f"the code snapshot {folder} is incomplete: it has no MANIFEST.json{AFTER}"


def test_current_that_is_missing_damaged_or_points_nowhere(volume, storage, snapshot):
    place = storage.uri
    with pytest.raises(SnapshotError) as caught:
        pin("current")
    assert place in str(caught.value)
    assert str(volume) in str(caught.value)
    (volume / "CURRENT").write_text("main\n")
    with raises(SnapshotError, "/CURRENT", "main"):
        pin("current")
    (volume / "CURRENT").write_text(snapshot.revision)
    with raises(SnapshotError, "/CURRENT", snapshot.revision):
        pin("current")
    publish_to_volume(snapshot, volume)
    assert pin("current") == snapshot.revision


def test_a_beginning_is_enough_where_it_fits_one(volume, storage, snapshot, other):
    publish_to_volume(snapshot, volume)
    publish_to_volume(other, volume)
    assert pin(snapshot.revision[:8]) == pin(snapshot.revision) == snapshot.revision
    twin = snapshot_folder(volume, snapshot.revision[:20] + "0" * 44)
    twin.mkdir()
    with raises(SnapshotError, snapshot.revision[:8]):
        pin(snapshot.revision[:8])
    with raises(SnapshotError):
        pin("00000000")


@pytest.mark.parametrize("code_rev", ["main", "abc1234", "CURRENT", "../../etc", "0" * 65, "ABCDEF0123", "current "])
def test_what_is_no_revision_is_refused(volume, code_rev):
    with raises(SnapshotError):
        pin(code_rev)


@pytest.mark.parametrize("code_rev", ["current", "0123abcd", "main"])
def test_only_what_was_pinned_is_activated(volume, code_rev):
    with raises(SnapshotError):
        activate(code_rev)


def test_image_touches_neither_volume_nor_bucket(monkeypatch, tmp_path):
    path = list(sys.path)
    for volume in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv("SIGHTLINE_CODE", volume)
        monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "nowhere.yaml"))
        assert activate(pin("image")) == activate(pin("")) == "image"
        assert activate("") == ""
        own = code_revision()
        assert activate(pin(own)) == own
    assert sys.path == path
    assert not list(tmp_path.iterdir())


def test_an_image_with_other_code_than_that_which_was_pinned_is_refused(monkeypatch, volume):
    with raises(SnapshotError, "0.1.0-000000000000", f"-{code_revision()[-12:]}"):
        activate("0.1.0-000000000000")
    monkeypatch.delenv("SIGHTLINE_CODE")
    assert activate("0.1.0-000000000000")  # on a laptop the code may be edited while a run goes on


def test_without_a_volume_there_are_no_snapshots(snapshot):
    for what in (pin, activate):
        with raises(SnapshotError, "SIGHTLINE_CODE"):
            what(snapshot.revision)


def test_code_that_was_imported_before_is_refused(volume, snapshot):
    publish_to_volume(snapshot, volume)
    with raises(SnapshotError, "/shared/sightline", "code_rev"):
        activate(snapshot.revision)


def test_the_published_code_runs_in_a_pod_and_in_what_it_starts(volume, tmp_path):
    snapshot = make_snapshot(edited_package(tmp_path / "edited", "yes"))
    publish_to_volume(snapshot, volume)
    answer = json.loads(pod(PROGRAM.format(code_rev="current"), tmp_path).stdout)
    assert answer == {
        "revision": snapshot.revision,
        "word": "yes",
        "running": snapshot.revision,
        "resolved": snapshot.revision,
        "child": ["yes", snapshot.revision],
    }
    verify(volume, snapshot.revision)  # nothing was compiled into it
    unset = "import os; del os.environ['PYTHONDONTWRITEBYTECODE']; import sys; sys.dont_write_bytecode = False"
    pod(unset + PROGRAM.format(code_rev=snapshot.revision), tmp_path)
    verify(volume, snapshot.revision)


def test_two_revisions_at_once_do_not_disturb_each_other(volume, tmp_path):
    """And a task of the older run sees the older code after others were published."""
    for word in ("one", "two"):
        publish_to_volume(make_snapshot(edited_package(tmp_path / word, word)), volume)
    for word in ("one", "two", "one"):
        revision = make_snapshot(tmp_path / word / "sightline").revision
        assert json.loads(pod(PROGRAM.format(code_rev=revision), tmp_path).stdout)["word"] == word


def test_a_pod_brings_what_the_volume_lacks(volume, storage, tmp_path):
    snapshot = make_snapshot(edited_package(tmp_path / "edited", "from the bucket"))
    publish_to_bucket(snapshot, storage)
    for code_rev in ("current", snapshot.revision[:10]):
        answer = json.loads(pod(PROGRAM.format(code_rev=code_rev), tmp_path).stdout)
        assert (answer["word"], answer["running"]) == ("from the bucket", snapshot.revision)


def test_a_pod_brings_it_with_the_key_that_is_mounted(volume, tmp_path, monkeypatch):
    key = tmp_path / "key.json"
    key.write_text("{}")
    monkeypatch.setenv("SIGHTLINE_STORAGE_KEY", str(key))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    home().mkdir(exist_ok=True)
    (home() / "settings.yaml").write_text("storage: {uri: gs://team/results}")
    with raises(SnapshotError, key):
        pin("current")


@pytest.mark.parametrize("code_rev", ["current", 12])
def test_what_is_damaged_on_the_volume_is_brought_again(volume, storage, snapshot, code_rev):
    code_rev = snapshot.revision[:code_rev] if isinstance(code_rev, int) else code_rev
    publish_to_bucket(snapshot, storage)
    assert pin(code_rev) == snapshot.revision
    other_content(unprotect(snapshot_folder(volume, snapshot.revision)))
    assert pin(code_rev) == snapshot.revision
    verify(volume, snapshot.revision)


def test_what_is_damaged_and_nowhere_else_is_said_so(volume, storage, snapshot):
    publish_to_volume(snapshot, volume)
    other_content(unprotect(snapshot_folder(volume, snapshot.revision)))
    with raises(SnapshotError, "version.py", "SHA-256"):
        pin(snapshot.revision[:8])


def test_the_pointer_of_the_bucket_wins_over_that_of_the_volume(volume, storage, snapshot, other):
    publish_to_volume(other, volume)
    assert pin("current") == other.revision
    publish_to_bucket(snapshot, storage)
    assert pin("current") == snapshot.revision
    assert (volume / "CURRENT").read_text() == f"{snapshot.revision}\n"
    assert pin(other.revision[:8]) == other.revision


def test_a_bucket_that_cannot_be_read_is_no_empty_one(volume, snapshot, monkeypatch, tmp_path):
    publish_to_volume(snapshot, volume)
    (tmp_path / "settings.yaml").write_text("storage: {uri: 'ftp://host/bucket'}")
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    with raises(SnapshotError, "code_rev", "ftp://host/bucket", "ftp://"):
        pin("current")


def test_pinning_makes_a_snapshot_young(volume, snapshot):
    publish_to_volume(snapshot, volume)
    manifest = snapshot_folder(volume, snapshot.revision) / "MANIFEST.json"
    os.utime(manifest, (0, 0))
    pin(snapshot.revision[:12])
    assert manifest.stat().st_mtime > 10**9


def test_the_package_is_not_imported_by_the_bootstrap(tmp_path, volume):
    publish_to_volume(make_snapshot(small_package(tmp_path)), volume)
    revision = make_snapshot(tmp_path / "sightline").revision
    lines = (
        "import sys",
        "from sightline_bootstrap import *",
        f"activate(pin('{revision}'))",
        "print('sightline' in sys.modules)",
    )
    assert pod("\n".join(lines), tmp_path).stdout == "False\n"
