"""Publishing to a bucket, and bringing from there to a volume, over both back ends."""

from __future__ import annotations

import json
import threading

import pytest

from sightline.code import bring, bring_from_bucket, make_snapshot, publish_to_bucket, publish_to_volume
from sightline.code import bucket as on_bucket
from sightline.code.bucket import POINTER_KEY, read_from_bucket, read_pointer, snapshot_key
from sightline.errors import CodeError, PreconditionFailedError
from sightline.storage import base
from sightline_bootstrap import current, revisions, verify
from tests.code.packages import small_package
from tests.golden import raises


def state(storage):
    return {info.key: info.generation for info in storage.list()}


def test_what_was_published_is_one_object_and_current(storage, snapshot):
    published = publish_to_bucket(snapshot, storage)
    assert (published.new, published.moved, published.manifest) == (True, True, snapshot.manifest)
    assert published.place == storage.uri_of(f"code/snapshots/{snapshot.revision}.json")
    assert set(state(storage)) == {POINTER_KEY, snapshot_key(snapshot.revision)}
    assert read_from_bucket(storage, snapshot.revision) == snapshot
    assert read_pointer(storage)[0].revision == snapshot.revision


def test_unchanged_code_writes_nothing(storage, snapshot, tmp_path):
    publish_to_bucket(snapshot, storage)
    before = state(storage)
    again = publish_to_bucket(make_snapshot(small_package(tmp_path / "again")), storage)
    assert (again.new, again.moved, again.manifest) == (False, False, snapshot.manifest)
    assert state(storage) == before


def test_going_back_to_older_code_renews_it_for_gc(storage, snapshot, other, monkeypatch):
    publish_to_bucket(snapshot, storage)
    publish_to_bucket(other, storage)
    before = state(storage)
    monkeypatch.setattr("sightline.storage.local.FRESH_SECONDS", -1.0)
    monkeypatch.setattr("sightline.storage.gcs.FRESH_SECONDS", -1.0)
    back = publish_to_bucket(snapshot, storage)
    assert (back.new, back.moved) == (False, True)
    changed = {key for key, generation in state(storage).items() if generation != before[key]}
    assert changed == {POINTER_KEY, snapshot_key(snapshot.revision)}
    assert base.FRESH_SECONDS > 0


def test_what_was_brought_is_what_was_published(storage, volume, snapshot):
    publish_to_bucket(snapshot, storage)
    brought = bring_from_bucket(storage, snapshot.revision, volume)
    assert (brought.new, brought.moved, brought.manifest) == (True, False, snapshot.manifest)
    root = verify(volume, snapshot.revision)
    assert (root / "sightline/report/templates/page.html").read_bytes() == "<p>Größe</p>\r\n".encode()
    assert current(volume) is None
    assert not bring_from_bucket(storage, snapshot.revision, volume).new


def test_what_the_bucket_lacks_cannot_be_brought(storage, volume, snapshot, other):
    with raises(CodeError, snapshot.revision):
        bring_from_bucket(storage, snapshot.revision, volume)
    publish_to_bucket(snapshot, storage)
    publish_to_bucket(other, storage)
    storage.write_bytes(snapshot_key(snapshot.revision[:10] + "0" * 54), b"")
    with raises(CodeError, snapshot.revision[:8]):
        bring(snapshot.revision[:8], storage, volume)
    assert bring(other.revision[:8], storage, volume) == other.revision
    assert revisions(volume) == [other.revision]


def test_a_damaged_object_never_reaches_the_volume_and_is_replaced(storage, volume, snapshot, other):
    publish_to_bucket(snapshot, storage)
    for bad in (b"", other.to_json(), snapshot.to_json().replace(b"'first'", b"'fIrst'"), b"[" * 100_000):
        storage.write_bytes(snapshot_key(snapshot.revision), bad)
        with raises(CodeError):
            bring("current", storage, volume)
        assert list(volume.iterdir()) == []
        assert publish_to_bucket(snapshot, storage).new
        assert read_from_bucket(storage, snapshot.revision) == snapshot
    assert bring("current", storage, volume) == snapshot.revision


def test_an_object_that_is_too_large_is_not_even_read(storage, volume, snapshot, monkeypatch):
    publish_to_bucket(snapshot, storage)
    monkeypatch.setattr(on_bucket, "MAX_BYTES", 100)
    with raises(CodeError):
        bring("current", storage, volume)


POINTERS = {
    "nothing": b"",
    "a list": b"[]",
    "a path": b'{"revision": "../../etc", "published": ""}',
    "a field too few": b'{"revision": "a"}',
}


@pytest.mark.parametrize("case", POINTERS)
def test_a_pointer_that_is_none_is_refused(storage, volume, case):
    storage.write_bytes(POINTER_KEY, POINTERS[case])
    with raises(CodeError, "CURRENT.json"):
        bring("current", storage, volume)


def test_a_second_publisher_of_equal_code_finds_the_first_ones(storage, snapshot, tmp_path):
    """Their manifests differ in time and commit; the object that was written first stays."""
    storage.write_bytes(snapshot_key(snapshot.revision), json.dumps(json.loads(snapshot.to_json()), indent=2).encode())
    before = state(storage)
    again = publish_to_bucket(make_snapshot(small_package(tmp_path / "again")), storage)
    assert (again.new, again.moved) == (False, True)
    assert state(storage).items() > before.items()


def test_publishers_at_once_lose_nothing(storage, volume, snapshot, other):
    faults = []

    def publish(mine):
        try:
            for _ in range(3):
                publish_to_bucket(mine, storage)
                publish_to_volume(mine, volume)
                bring("current", storage, volume)
        except Exception as error:  # noqa: BLE001  (shown below)
            faults.append(error)

    threads = [threading.Thread(target=publish, args=(mine,)) for mine in (snapshot, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    for mine in (snapshot, other):
        assert read_from_bucket(storage, mine.revision).contents == mine.contents
        verify(volume, mine.revision)
    assert bring("current", storage, volume) == read_pointer(storage)[0].revision == current(volume)


def test_a_pointer_that_moved_meanwhile_is_read_again(storage, snapshot, other, monkeypatch):
    """Compare-and-swap: the later publisher wins, knowing of the earlier one."""
    write, lost = storage.write_bytes, []

    def other_first(key, data, *, if_generation=None):
        if key == POINTER_KEY and not lost:
            lost.append(True)
            publish_to_bucket(other, storage)
            with pytest.raises(PreconditionFailedError):
                write(key, data, if_generation=if_generation)
        return write(key, data, if_generation=if_generation)

    monkeypatch.setattr(storage, "write_bytes", other_first)
    assert publish_to_bucket(snapshot, storage).moved
    assert read_pointer(storage)[0].revision == snapshot.revision
