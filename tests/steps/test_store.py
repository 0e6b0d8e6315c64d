import dataclasses

import pytest

from sightline.errors import StepError
from sightline.steps import store
from sightline.steps.results import Candidate, RecordResult, TrainResult
from sightline.storage import open_storage

RECORD = RecordResult(
    dataset="plates",
    version="v1",
    annotation_tag="plates_ann_v1",
    annotation_commit="a" * 40,
    training_tag="plates_train_v1",
    training_commit="b" * 40,
    digest="d",
    images={"train": 3},
    instances={"train": {"0": 2}},
    dropped={},
    warnings=["little"],
    files="results/record/plates_ann_v1/k",
    seconds=1.5,
)
TRAIN = TrainResult(
    training_tag="plates_train_v1",
    training_commit="b" * 40,
    candidates=[Candidate("best", "file:///x", "s" * 64, 4, {"mask_AP": 0.5})],
    iterations=4,
    history="results/train/plates_train_v1/k/history.json",
    log="results/train/plates_train_v1/k/log.txt",
    seconds=2.0,
)


@pytest.fixture
def bucket(tmp_path):
    return open_storage(str(tmp_path / "bucket"))


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    (folder / "drawn").mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    (folder / "drawn" / "a.jpg").write_bytes(b"jpg")
    return folder


def publish(bucket, files, result, key="k", **options):
    tag = result.training_tag
    return store.publish_result(bucket, result, tag, key, files=files, config_digest="c", **options)


@pytest.mark.parametrize("result", [RECORD, TRAIN], ids=["record", "train"])
def test_a_result_survives_its_journey_as_json(result):
    assert store.from_json(type(result), store.to_json(result)) == result


@pytest.mark.parametrize("text", ["", "[]", '{"dataset": "plates"}', '{"training_tag": 1, "more": 2}'])
def test_text_of_another_kind_is_refused(text):
    with pytest.raises(StepError, match="run train again"):
        store.from_json(TrainResult, text)


def test_a_published_result_is_found_with_its_files(bucket, files):
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") is None
    assert publish(bucket, files, TRAIN) == TRAIN
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") == TRAIN
    keys = [info.key.removeprefix("results/train/plates_train_v1/k/") for info in bucket.list()]
    assert keys == ["drawn/a.jpg", "result.json", "summary.json"]


def test_files_without_result_json_are_no_result(bucket, files):
    publish(bucket, files, TRAIN)
    bucket.delete("results/train/plates_train_v1/k/result.json")
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") is None
    assert store.latest_result(bucket, TrainResult, "plates_train_v1", "c") is None


def test_the_second_publisher_gets_what_the_first_published(bucket, files):
    publish(bucket, files, TRAIN)
    second = dataclasses.replace(TRAIN, seconds=99.0)
    assert publish(bucket, files, second) == TRAIN
    assert publish(bucket, files, second, replace=True) == second
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") == second


def test_latest_is_the_newest_of_this_tag_and_configuration(bucket, files):
    newer = dataclasses.replace(TRAIN, iterations=5)
    publish(bucket, files, TRAIN, key="b")
    publish(bucket, files, newer, key="a")
    assert store.latest_result(bucket, TrainResult, "plates_train_v1", "c") == newer
    assert store.latest_result(bucket, TrainResult, "plates_train_v1", "other") is None
    assert store.latest_result(bucket, TrainResult, "plates_train_v2", "c") is None


def test_something_else_in_the_place_of_a_result_is_named(bucket):
    bucket.write_bytes("results/train/plates_train_v1/k/result.json", b"[]")
    with pytest.raises(StepError, match=r"result\.json is not a result of a step"):
        store.find_result(bucket, TrainResult, "plates_train_v1", "k")


def test_folder_and_time_of_a_result(bucket, files):
    result = dataclasses.replace(TRAIN, history=bucket.uri_of(TRAIN.history))
    publish(bucket, files, result)
    assert store.folder_of(bucket, result) == "results/train/plates_train_v1/k"
    assert store.created(bucket, result).tzinfo is not None
