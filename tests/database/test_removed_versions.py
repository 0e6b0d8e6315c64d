"""Rows of versions that were taken back, and what keeps a version from that."""

from __future__ import annotations

import dataclasses

import pytest

from sightline.database import (
    CategoryCount,
    ImageRecord,
    ModelRecord,
    PromotionRecord,
    RunRecord,
    VersionRecord,
)
from sightline.errors import UnknownNameError, VersionConflictError
from tests.golden import raises

TRAINING = VersionRecord("pets", "v1", "training", "pets_train_v1", "c" * 40, "d" * 32, "pets_ann_v1", "e" * 64)
IMAGES = [ImageRecord("train", f"{number}.jpg", f"{number:064x}", number, 4, 3) for number in range(3)]
COUNTS = [CategoryCount("cat", "train", 3, 3)]
RUN = RunRecord("run-1", "pets", "{}", "a" * 64, "pets_ann_v1", "abc1234")
MODEL = ModelRecord("1" * 64, "file:///bucket/1", "instance_segmentation", "pets_train_v1", "run-1", "abc")
OTHER = dataclasses.replace(MODEL, sha256="2" * 64, uri="file:///bucket/2", training_tag="pets_train_v0")


def test_a_removed_version_gives_its_names_to_another_and_stays(database):
    database.register_version(TRAINING, IMAGES, COUNTS)
    new = dataclasses.replace(TRAINING, commit="f" * 40, digest="0" * 32)
    with pytest.raises(VersionConflictError):
        database.register_version(new, IMAGES[:2], COUNTS)
    assert database.retire_version(TRAINING.tag, TRAINING.commit) is True
    assert database.retire_version(TRAINING.tag, TRAINING.commit) is False
    assert database.version(TRAINING.tag) is None
    assert database.versions() == []
    assert list(database.images(TRAINING.tag)) == []
    assert database.references().versions == {}
    assert database.register_version(new, IMAGES[:2], COUNTS) is True
    assert database.version(TRAINING.tag).record == new
    assert len(list(database.images(TRAINING.tag))) == 2
    assert len(list(database.images(f"{TRAINING.tag}@{'c' * 12}"))) == 3
    assert database.retire_version(TRAINING.tag, TRAINING.commit) is False
    assert database.version(TRAINING.tag).record == new
    assert database.retire_version(TRAINING.tag, new.commit) is True


def test_a_long_name_can_be_removed_and_others_stay(database):
    long = dataclasses.replace(TRAINING, version="v" * 100, tag=f"pets_train_{'v' * 100}")
    database.register_version(long, IMAGES, COUNTS)
    database.register_version(dataclasses.replace(TRAINING, version="v10", tag="pets_train_v10"), IMAGES, COUNTS)
    database.register_version(TRAINING, IMAGES, COUNTS)
    assert database.retire_version(long.tag, long.commit)
    assert database.retire_version(TRAINING.tag, TRAINING.commit)
    assert [row.record.tag for row in database.versions()] == ["pets_train_v10"]


def test_a_removed_name_is_known_as_one(database):
    database.register_version(TRAINING, IMAGES, COUNTS)
    database.register_version(dataclasses.replace(TRAINING, version="v2", tag="pets_train_v2"), IMAGES, COUNTS)
    database.retire_version(TRAINING.tag, TRAINING.commit)
    with raises(UnknownNameError, "pets_train_v1"):
        database.named("pets_train_v1")
    with raises(UnknownNameError, "pets_train_v2"):
        database.named("pets_train_v")


def dependents(database):
    return [str(one) for one in database.dependents("pets_ann_v1", "pets_train_v1")]


def test_nothing_depends_on_what_was_only_recorded_or_failed_over(database):
    database.register_version(TRAINING, IMAGES, COUNTS)
    for number, state in enumerate(["succeeded", "failed", "interrupted"]):
        database.start_run(dataclasses.replace(RUN, run_id=f"run-{number}"))
        database.finish_run(f"run-{number}", state)
    database.start_run(dataclasses.replace(RUN, run_id="other", dataset_tag="pets_ann_v10"))
    database.register_model(OTHER)
    database.record_metrics(OTHER.sha256, "pets_train_v0", "val", {"mask_AP": 0.5})
    assert dependents(database) == []


def test_what_was_made_from_a_version_is_named(database):
    database.start_run(RUN)
    assert dependents(database) == ["run run-1, which is running"]
    database.finish_run("run-1", "succeeded")
    database.register_model(OTHER)
    database.record_metrics(OTHER.sha256, "pets_train_v1", "val", {"mask_AP": 0.5})
    assert dependents(database) == ["measurement of model 222222222222"]
    database.register_model(MODEL)
    database.record_metrics(MODEL.sha256, "pets_train_v1", "val", {"mask_AP": 0.5})
    promotion = PromotionRecord("pets", "mask_AP", MODEL.sha256, None, 0.5, None, "run-1")
    database.record_promotion(promotion)
    former = ["champion 111111111111 of pets by mask_AP", "model 111111111111 of run run-1"]
    assert dependents(database) == [*former, "measurement of model 222222222222"]
    changes = {"model_sha256": OTHER.sha256, "previous_sha256": MODEL.sha256, "previous_value": 0.4, "run_id": "run-2"}
    database.record_promotion(dataclasses.replace(promotion, **changes))
    assert dependents(database) == [*former, "measurement of model 222222222222"]
