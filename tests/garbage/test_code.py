"""Snapshots of the code: which ones gc takes, in the bucket and on the code volume."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import timedelta

import pytest

from sightline.code import make_snapshot, publish_to_bucket, publish_to_volume
from sightline.code.bucket import POINTER_KEY, revisions_in_bucket, snapshot_key
from sightline.config.decode import decode
from sightline.database import ModelRecord, RunRecord, open_database
from sightline.errors import CodeError
from sightline.garbage import sweep
from sightline.garbage.code import BucketCode, VolumeCode
from sightline.garbage.found import SafetyAge, local_now
from sightline.storage import open_storage
from sightline_bootstrap import pin, revisions, verify
from tests.code.packages import small_package
from tests.golden import raises
from tests.shapes_world import RECIPE, WEEK

NAMES = ("unused", "of a run", "of a model", "current")
MONTH = timedelta(days=30)


@pytest.fixture
def snapshots(tmp_path):
    """One each, published in this order; by what they are."""
    return {name: make_snapshot(small_package(tmp_path / name, name)) for name in NAMES}


@pytest.fixture
def database(tmp_path, snapshots):
    """A failed run and a model of no known run, each made with code of its own."""
    with closing(open_database(f"sqlite:///{tmp_path / 'sightline.sqlite'}")) as database:
        database.start_run(RunRecord("r1", "plates", "{}", "a" * 64, "plates_ann_v1", snapshots["of a run"].revision))
        database.finish_run("r1", "failed", "no such tag")
        code_rev = snapshots["of a model"].revision
        database.register_model(ModelRecord("b" * 64, "gs://b/m", "segmentation", "plates_train_v1", None, code_rev))
        yield database


@pytest.fixture
def volume(tmp_path, monkeypatch, snapshots):
    """A code volume with all of them."""
    monkeypatch.setenv("SIGHTLINE_CODE", str(tmp_path / "code"))
    for snapshot in snapshots.values():
        publish_to_volume(snapshot, tmp_path / "code")
    return tmp_path / "code"


@pytest.fixture(params=["folder", "gs"])
def storage(request, tmp_path, snapshots):
    """A bucket with all of them."""
    storage = open_storage(
        str(tmp_path / "bucket") if request.param == "folder" else request.getfixturevalue("bucket_uri")
    )
    for snapshot in snapshots.values():
        publish_to_bucket(snapshot, storage)
    return storage


def later(age=MONTH):
    return SafetyAge(local_now() + age, WEEK)


def kept(snapshots):
    return sorted(snapshot.revision for name, snapshot in snapshots.items() if name != "unused")


def test_what_no_run_and_no_model_needs_goes_from_the_bucket(storage, database, snapshots):
    assert list(BucketCode(storage, database, later(timedelta(days=6))).find()) == []
    place = BucketCode(storage, database, later())
    garbage = list(place.find())
    assert [entry.what for entry in garbage] == [snapshot_key(snapshots["unused"].revision)]
    assert garbage[0].kind == "code"
    assert garbage[0].size_bytes == storage.stat(garbage[0].what).size
    assert list(place.remove(garbage)) == garbage
    assert revisions_in_bucket(storage) == kept(snapshots)
    assert list(BucketCode(storage, database, later()).find()) == []


def test_what_no_run_and_no_model_needs_goes_from_the_volume(volume, database, snapshots):
    assert list(VolumeCode(volume, database, later(timedelta(days=6))).find()) == []
    place = VolumeCode(volume, database, later())
    garbage = list(place.find())
    assert [entry.what for entry in garbage] == [str(volume / "snapshots" / snapshots["unused"].revision)]
    assert (garbage[0].kind, garbage[0].files) == ("code", len(snapshots["unused"].contents) + 1)
    assert list(place.remove(garbage)) == garbage
    assert sorted(path.name for path in (volume / "snapshots").iterdir()) == revisions(volume) == kept(snapshots)
    for revision in revisions(volume):
        verify(volume, revision)


def test_what_killed_publishers_left_goes(volume, database, snapshots):
    part = volume / "snapshots" / f".{snapshots['current'].revision}.0123456789abcdef.part"
    (part / "shared").mkdir(parents=True)
    (part / "shared").chmod(0o555)
    (volume / ".CURRENT.0123456789abcdef.part").touch()
    (volume / "README").touch()
    place = VolumeCode(volume, database, later())
    garbage = [entry for entry in place.find() if entry.kind == "temporary"]
    assert len(garbage) == 2
    assert list(place.remove(garbage)) == garbage
    assert sorted(path.name for path in volume.iterdir()) == ["CURRENT", "README", "snapshots"]


@pytest.mark.parametrize("use", ["pinned", "published", "run"])
def test_what_is_used_between_looking_and_removing_stays(volume, database, snapshots, use):
    unused = snapshots["unused"]
    for path in volume.rglob("*"):
        os.utime(path, (1e9, 1e9))
    place = VolumeCode(volume, database, SafetyAge(local_now(), WEEK))
    garbage = list(place.find())
    if use == "pinned":
        assert pin(unused.revision[:8]) == unused.revision
    elif use == "published":
        publish_to_volume(unused, volume)
    else:
        database.start_run(RunRecord("r2", "plates", "{}", "a" * 64, "plates_ann_v1", unused.revision))
    assert list(place.remove(garbage)) == []
    verify(volume, unused.revision)


@pytest.mark.parametrize("use", ["published", "run"])
def test_what_the_bucket_needs_meanwhile_stays(storage, database, snapshots, monkeypatch, use):
    monkeypatch.setattr("sightline.storage.local.FRESH_SECONDS", -1.0)
    monkeypatch.setattr("sightline.storage.gcs.FRESH_SECONDS", -1.0)
    unused = snapshots["unused"]
    place = BucketCode(storage, database, later())
    garbage = list(place.find())
    if use == "published":
        publish_to_bucket(unused, storage)
        publish_to_bucket(snapshots["current"], storage)
    else:
        database.start_run(RunRecord("r2", "plates", "{}", "a" * 64, "plates_ann_v1", unused.revision))
    assert list(place.remove(garbage)) == []
    assert unused.revision in revisions_in_bucket(storage)


def test_nothing_goes_while_nobody_knows_what_is_current(storage, volume, database):
    (volume / "CURRENT").write_text("")
    storage.write_bytes(POINTER_KEY, b"")
    for place in (VolumeCode(volume, database, later()), BucketCode(storage, database, later())):
        with raises(CodeError):
            list(place.find())


def test_the_whole_command(storage, volume, database, snapshots, tmp_path):
    """Young snapshots stay, and those in the bucket are no strangers there."""
    storage.write_bytes("code/mine.txt", b"mine")
    places = [f"storage.uri={storage.uri}", f"database.url=sqlite:///{tmp_path / 'sightline.sqlite'}"]
    config = decode(RECIPE, [*places, f"work.dir={tmp_path / 'work'}", "data.classes=[a]"])
    done = sweep(config, WEEK, delete=True)
    assert done.garbage == []
    assert done.notes == [
        f"1 objects of {storage.uri} were not created by Sightline and are kept, such as code/mine.txt"
    ]
    for path in volume.rglob("*"):
        os.utime(path, (1e9, 1e9))
    done = sweep(config, WEEK, delete=True)
    assert [entry.what for entry in done.removed] == [str(volume / "snapshots" / snapshots["unused"].revision)]
    assert revisions(volume) == kept(snapshots)
