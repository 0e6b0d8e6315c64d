"""Versions taken back in a world in which the whole pipeline has run: what keeps them, and what garbage they leave."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from sightline.data.repository.creation import add_annotations
from sightline.data.repository.history import open_history
from sightline.data.tags import DatasetTag
from sightline.errors import DatabaseError, RepositoryError, StepError, StorageError, UnknownTagError
from sightline.registry.removal import Removal
from sightline.steps import record
from tests.golden import raises
from tests.squares import write_labelme

TRAINING, ANNOTATIONS = DatasetTag.parse("shapes_train_v1"), DatasetTag.parse("shapes_ann_v1")
SECOND = DatasetTag.parse("shapes_ann_v2")


def removal(world, tag, **changes):
    config = world.config()
    given = {"database_url": config.database.url, "bucket": config.storage.uri} | changes
    return Removal(config.data.repository, tag, given["database_url"], given["bucket"], 60)


def refused(world, tag, kind=RepositoryError, **changes) -> str:
    for work in (removal(world, tag, **changes).look, lambda: removal(world, tag, **changes).remove("")):
        with pytest.raises(kind) as caught:
            work()
    return str(caught.value)


def record_second(world, *more: str):
    """A second version with four images, of which two are new, recorded and not trained on."""
    shutil.rmtree(world.folder / "shapes")
    write_labelme(world.folder / "shapes", 12)
    add_annotations(world.folder / "data", world.folder / "shapes", SECOND)
    return record.run(world.config("data.tag=shapes_ann_v2", *more), "code")


def test_what_was_trained_on_stays_and_everything_that_needs_it_is_named(world):
    said = refused(world, TRAINING)
    for part in ("champion", "model", "of shapes by mask_AP", "train result", "evaluate result", "test result"):
        assert part in said
    assert "champions/shapes/mask_AP.json" in said
    assert "remove it first: sightline data remove shapes_train_v1" in refused(world, ANNOTATIONS)


def test_database_and_bucket_each_know_it_alone(world):
    said = refused(world, TRAINING, bucket="")
    assert "model" in said
    assert "result" not in said
    said = refused(world, TRAINING, database_url="")
    assert "train result" in said
    assert "champions/shapes/mask_AP.json" in said
    (world.folder / "sightline.sqlite").write_bytes(b"no database" * 1000)
    assert "shapes_train_v1 is kept, because the database" in refused(world, TRAINING, DatabaseError)
    assert "--unchecked" in refused(world, TRAINING, StorageError, database_url="", bucket="s3://no/where")
    with raises(RepositoryError):
        removal(world, TRAINING, database_url=f"sqlite:///{world.folder}/none.sqlite").look()


def test_a_former_champion_keeps_it(world):
    """It is named by an entry of the history alone: a rollback may need it."""
    for folder in ("results", "evaluation"):
        shutil.rmtree(world.bucket / folder)
    world.storage().delete("champions/shapes/mask_AP.json")
    said = refused(world, TRAINING, database_url="")
    assert "champions/shapes/mask_AP/history/000001.json" in said


def test_a_run_that_goes_on_keeps_it(world):
    from sightline.database import RunRecord

    record_second(world)
    with closing(world.database()) as database:
        database.start_run(RunRecord("going", "r", "{}", "a" * 64, str(SECOND), "code"))
        assert "run going, which is running" in refused(world, SECOND.training)
        database.finish_run("going", "failed", "out of memory")
    assert removal(world, SECOND.training).remove("").done is False


def test_a_run_that_begins_in_that_moment_is_told(world, monkeypatch):
    from sightline.database import RunRecord
    from sightline.registry import removal as module

    record_second(world)
    real = module.remove_version

    def late(*arguments):
        with closing(world.database()) as database:
            database.start_run(RunRecord("late", "r", "{}", "a" * 64, str(SECOND), "code"))
        return real(*arguments)

    monkeypatch.setattr(module, "remove_version", late)
    with raises(StepError, "shapes_train_v2"):
        removal(world, SECOND.training).remove("")


def test_rows_files_and_objects_of_what_was_removed(world):
    first = record_second(world)
    remote = {path: path.read_bytes() for path in (world.folder / "remote").rglob("*") if path.is_file()}
    with open_history(str(world.folder / "data"), [SECOND, SECOND.training], 60) as history:
        own = {*history.manifest(SECOND).values(), *history.manifest(SECOND.training).values()}
    with open_history(str(world.folder / "data"), [ANNOTATIONS, TRAINING], 60) as history:
        own -= {*history.manifest(ANNOTATIONS).values(), *history.manifest(TRAINING).values()}
    for tag in (SECOND.training, SECOND):
        assert removal(world, tag).remove("wrong settings").done is False
        assert removal(world, tag).remove("again").done is True
    with closing(world.database()) as database:
        assert [row.record.tag for row in database.versions()] == [str(ANNOTATIONS), str(TRAINING)]
    world.age()
    done = world.sweep(delete=True)
    removed = {entry.what: entry for entry in done.removed}
    checkouts = [entry for what, entry in removed.items() if f"checkouts/{SECOND}-" in what]
    assert [entry.reason for entry in checkouts] == [
        f"{SECOND} at that commit was removed (sightline data remove)",
    ]
    world.sweep(delete=True)  # what only the checkout still named
    cache = world.work / "dvc-cache" / "files" / "md5"
    assert not [md5 for md5 in own if (cache / md5[:2] / md5[2:]).exists()]
    assert {path: path.read_bytes() for path in (world.folder / "remote").rglob("*") if path.is_file()} == remote
    world.require_intact()
    # And back again, from the same folder.
    add_annotations(world.folder / "data", world.folder / "shapes", SECOND)
    again = record.run(world.config("data.tag=shapes_ann_v2"), "code")
    assert again.digest != ""
    assert again.images == first.images
    world.require_intact()


def test_a_row_that_the_removal_did_not_reach_hinders_nobody(world):
    """The remover was killed before the database, or worked with --unchecked."""
    record_second(world)
    for tag in (SECOND.training, SECOND):
        removal(world, tag, database_url="", bucket="").remove("")
    with closing(world.database()) as database:
        assert database.version(str(SECOND)) is not None
    world.age()
    kinds = {
        entry.what.rpartition("/")[2].rpartition("-")[0] for entry in world.sweep().garbage if entry.kind == "checkout"
    }
    assert str(SECOND) in kinds
    with raises(UnknownTagError):
        record.run(world.config("data.tag=shapes_ann_v2"), "code")
    add_annotations(world.folder / "data", world.folder / "shapes", SECOND)
    again = record.run(world.config("data.tag=shapes_ann_v2", "data.splits={train: 0.6, val: 0.2, test: 0.2}"), "code")
    with closing(world.database()) as database:
        assert database.version(str(SECOND.training)).record.commit == again.training_commit
