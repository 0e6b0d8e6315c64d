"""Publishing to a volume, from one process and from several."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading

import pytest

from sightline.code import make_snapshot, publish_to_volume
from sightline.code.volume import read_manifest, remove_snapshot
from sightline.errors import CodeError
from sightline_bootstrap import current, revisions, verify
from tests.code.packages import ROOT, small_package, snapshot_folder, unprotect
from tests.golden import raises


def state(volume):
    """Every file with its time of writing."""
    return {path: path.stat().st_mtime_ns for path in volume.rglob("*") if path.name != "MANIFEST.json"}


def test_what_was_published_is_there_and_current(volume, snapshot):
    published = publish_to_volume(snapshot, volume)
    assert (published.new, published.moved) == (True, True)
    assert published.place == str(snapshot_folder(volume, snapshot.revision))
    assert published.manifest == snapshot.manifest == read_manifest(snapshot_folder(volume, snapshot.revision))
    root = verify(volume, snapshot.revision)
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert found == {name: text.encode() for name, text in snapshot.contents.items()}
    assert (volume / "CURRENT").read_text() == f"{snapshot.revision}\n"
    assert sorted(path.name for path in volume.iterdir()) == ["CURRENT", "snapshots"]
    assert revisions(volume) == [path.name for path in (volume / "snapshots").iterdir()] == [snapshot.revision]


def test_a_snapshot_is_protected_from_writing_and_readable_by_all(volume, snapshot):
    publish_to_volume(snapshot, volume)
    folder = snapshot_folder(volume, snapshot.revision)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    assert modes == {0o555, 0o444}


def test_unchanged_code_writes_nothing(volume, snapshot, tmp_path):
    publish_to_volume(snapshot, volume)
    before = state(volume)
    again = publish_to_volume(make_snapshot(small_package(tmp_path / "again")), volume)
    assert (again.new, again.moved, again.manifest) == (False, False, snapshot.manifest)
    assert state(volume) == before


def test_going_back_to_older_code_moves_the_pointer_alone(volume, snapshot, other):
    publish_to_volume(snapshot, volume)
    publish_to_volume(other, volume)
    assert current(volume) == other.revision
    back = publish_to_volume(snapshot, volume)
    assert (back.new, back.moved) == (False, True)
    assert current(volume) == snapshot.revision
    assert len(revisions(volume)) == 2


def test_a_damaged_pointer_is_set_anew(volume, snapshot):
    publish_to_volume(snapshot, volume)
    (volume / "CURRENT").write_text("")
    assert publish_to_volume(snapshot, volume).moved
    assert current(volume) == snapshot.revision


@pytest.mark.parametrize("obstacle", ["an empty folder", "a file", "half a snapshot"])
def test_what_is_in_the_way_goes(volume, snapshot, obstacle):
    folder = snapshot_folder(volume, snapshot.revision)
    if obstacle == "a file":
        folder.parent.mkdir()
        folder.write_text("in the way")
    else:
        (folder / ("shared" if obstacle == "half a snapshot" else "")).mkdir(parents=True)
    assert publish_to_volume(snapshot, volume).new
    verify(volume, snapshot.revision)
    assert [path.name for path in (volume / "snapshots").iterdir()] == [snapshot.revision]


def test_a_volume_that_cannot_be_written(tmp_path, snapshot):
    (tmp_path / "file").write_text("")
    with raises(CodeError, "/file"):
        publish_to_volume(snapshot, tmp_path / "file")


PUBLISH = """
import sys
from pathlib import Path
from sightline.code import make_snapshot, publish_to_volume
print(publish_to_volume(make_snapshot(Path(sys.argv[1])), Path(sys.argv[2])).new)
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes root and setpriv")
def test_an_ordinary_user_publishes_replaces_and_removes(tmp_path, snapshot):
    """The protection of a snapshot stops nobody who does it on purpose, as its owner."""
    volume = tmp_path / "volume"
    volume.mkdir()
    command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", sys.executable, "-c", PUBLISH]
    command += [str(tmp_path / "first" / "sightline"), str(volume)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}

    def publish():
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert publish() == "True\n"
    assert publish() == "False\n"
    path = snapshot_folder(volume, snapshot.revision) / "shared/sightline/version.py"
    path.chmod(0o644)
    path.write_text("changed")
    assert publish() == "True\n"
    verify(volume, snapshot.revision)


def test_many_publishers_at_once(volume, snapshot, other):
    """Each is told the truth, all snapshots are whole, and CURRENT is one of them."""
    answers, faults = [], []

    def publish(mine):
        try:
            for _ in range(5):
                answers.append(publish_to_volume(mine, volume).new)
                verify(volume, current(volume))
        except Exception as error:  # noqa: BLE001  (shown below)
            faults.append(error)

    threads = [threading.Thread(target=publish, args=(mine,)) for mine in (snapshot, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert answers.count(True) >= 2
    assert sorted(path.name for path in (volume / "snapshots").iterdir()) == sorted([snapshot.revision, other.revision])
    for revision in revisions(volume):
        verify(volume, revision)


def test_what_is_used_again_in_the_last_moment_stays(volume, snapshot):
    publish_to_volume(snapshot, volume)
    seen = []

    def used_again(folder):
        seen.append(folder)
        return False

    assert not remove_snapshot(volume, snapshot.revision, used_again)
    assert not seen[0].exists()
    verify(volume, snapshot.revision)
    assert remove_snapshot(volume, snapshot.revision, lambda folder: True)
    assert list((volume / "snapshots").iterdir()) == []


def test_who_publishes_what_is_removed_at_that_moment_puts_it_there_again(volume, snapshot, monkeypatch):
    from sightline.code import volume as module

    publish_to_volume(snapshot, volume)
    (volume / "CURRENT").unlink()
    set_current = module.set_current

    def removed_before(*arguments):
        monkeypatch.undo()
        shutil.rmtree(unprotect(snapshot_folder(volume, snapshot.revision)))
        set_current(*arguments)

    monkeypatch.setattr(module, "set_current", removed_before)
    assert publish_to_volume(snapshot, volume).new
    verify(volume, current(volume))
