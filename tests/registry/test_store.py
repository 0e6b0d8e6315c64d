import dataclasses
import json
import types
import typing
from datetime import datetime, timedelta

import pytest

from sightline.errors import StepError
from sightline.registry import store
from sightline.registry.results import (
    RESULTS,
    Candidate,
    Environment,
    EvaluateResult,
    RecordResult,
    Selection,
    TrainResult,
)
from sightline.storage import open_storage
from tests.golden import raises

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


ON_CPU = dataclasses.replace(TRAIN, environment=Environment("cpu", 0, 2, "h", "Linux", "3.11", "2.9", "0.1", 1.0, None))
FIRST = Selection("EIR", "file:///m", "d" * 64, "best", 0.9, "", previous_value=None, promoted=True, reason="the first")
EVALUATE = EvaluateResult("plates_train_v1", [], [FIRST], "results/evaluate/plates_train_v1/k", 3.0)


def as_floats(value):
    """What Kubeflow keeps of the numbers in a parameter."""
    if isinstance(value, dict):
        return {key: as_floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_floats(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("result", [RECORD, TRAIN, ON_CPU, EVALUATE], ids=["record", "train", "on CPU", "evaluate"])
def test_a_result_survives_its_journey_as_a_parameter(result):
    given = as_floats(json.loads(store.to_parameter(result)))
    assert store.from_parameter(type(result), json.dumps(given)) == result
    assert "null" not in store.to_parameter(result)


def test_whole_numbers_of_a_parameter_are_whole_again():
    given = as_floats(json.loads(store.to_parameter(TRAIN)))
    assert type(given["iterations"]) is float
    read = store.from_parameter(TrainResult, json.dumps(given))
    assert type(read.iterations) is int
    assert type(read.candidates[0].iteration) is int
    assert type(read.seconds) is float


@pytest.mark.parametrize("wrong", [12.5, 2.0**53, 1e300, True, "12", None])
def test_what_is_no_whole_number_is_refused_where_one_is_expected(wrong):
    given = json.loads(store.to_parameter(TRAIN)) | {"iterations": wrong}
    with raises(StepError, "iterations: "):
        store.from_parameter(TrainResult, json.dumps(given))


def test_a_parameter_that_no_json_holds_is_refused():
    given = json.loads(store.to_parameter(TRAIN)) | {"seconds": float("nan")}
    with raises(StepError, "train"):
        store.from_parameter(TrainResult, json.dumps(given))


def dataclasses_within(kind):
    """A dataclass, and those that its fields hold."""
    yield kind
    for hint in typing.get_type_hints(kind).values():
        parts = [hint, *typing.get_args(hint)]
        for part in parts:
            if dataclasses.is_dataclass(part):
                yield from dataclasses_within(part)


@pytest.mark.parametrize("result", RESULTS, ids=lambda kind: kind.__name__)
def test_a_field_that_may_be_none_may_be_missing(result):
    for kind in dataclasses_within(result):
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if types.NoneType in typing.get_args(hints[field.name]):
                assert field.default is None, f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize("text", ["", "[]", '{"dataset": "plates"}', '{"training_tag": 1, "more": 2}'])
def test_text_of_another_kind_is_refused(text):
    with raises(StepError):
        store.from_json(TrainResult, text)


def test_a_published_result_is_found_with_its_files(bucket, files):
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") is None
    assert publish(bucket, files, TRAIN) == TRAIN
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") == TRAIN
    document = json.loads(bucket.read_bytes("results/train/plates_train_v1/k/result.json")[0])
    folder = document["folder"]
    assert set(bucket.names()) == {
        "results/train/plates_train_v1/k/result.json",
        f"{folder}/drawn/a.jpg",
        f"{folder}/summary.json",
    }
    info = bucket.stat(f"{folder}/drawn/a.jpg")
    assert document["files"]["drawn/a.jpg"] == {"type": "image/jpeg", "size": 3, "crc32c": info.crc32c}


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


@pytest.mark.parametrize("days", [30, -30], ids=["ahead", "behind"])
def test_the_clock_of_a_publisher_does_not_decide_which_is_the_latest(bucket, files, monkeypatch, days):
    class Wrong(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=days)

    first, second = TRAIN, dataclasses.replace(TRAIN, iterations=5)
    wrong, right = (first, second) if days > 0 else (second, first)
    for result, key in ((first, "b"), (second, "a")):
        with monkeypatch.context() as patch:
            if result is wrong:
                patch.setattr(store, "datetime", Wrong)
            publish(bucket, files, result, key=key)
    assert right != wrong
    assert store.latest_result(bucket, TrainResult, "plates_train_v1", "c").iterations == 5


def test_something_else_in_the_place_of_a_result_is_named(bucket):
    bucket.write_bytes("results/train/plates_train_v1/k/result.json", b"[]")
    with raises(StepError, "result.json"):
        store.find_result(bucket, TrainResult, "plates_train_v1", "k")


def located(bucket, result):
    """A result as a step makes it: its URIs lie below the folder of its key."""
    base = bucket.uri_of("results/train/plates_train_v1/k")
    candidates = [dataclasses.replace(result.candidates[0], uri=f"{base}/best.safetensors")]
    return dataclasses.replace(result, candidates=candidates, history=f"{base}/history.json", log=f"{base}/log.txt")


def test_folder_and_time_of_a_result(bucket, files):
    result = publish(bucket, files, located(bucket, TRAIN))
    folder = store.folder_of(bucket, result)
    assert folder.rpartition("/")[0] == "results/train/plates_train_v1/k"
    assert bucket.read_bytes(f"{folder}/drawn/a.jpg")[0] == b"jpg"
    assert result.candidates[0].uri == bucket.uri_of(f"{folder}/best.safetensors")
    assert result.log == bucket.uri_of(f"{folder}/log.txt")
    assert store.created(bucket, result).tzinfo is not None
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") == result


def test_the_files_of_two_publishers_never_mix(bucket, files):
    """The second has other bytes under the same names; what the first published stays as it is."""
    first = publish(bucket, files, located(bucket, TRAIN))
    before = {info.key: info for info in bucket.list()}
    (files / "summary.json").write_text('{"made": "later"}')
    assert publish(bucket, files, located(bucket, dataclasses.replace(TRAIN, seconds=99.0))) == first
    assert {key: info for key, info in ((info.key, info) for info in bucket.list()) if key in before} == before
    assert bucket.read_bytes(f"{store.folder_of(bucket, first)}/summary.json")[0] == b"{}"
    second = publish(bucket, files, located(bucket, TRAIN), replace=True)
    assert store.folder_of(bucket, second) != store.folder_of(bucket, first)
    assert bucket.read_bytes(f"{store.folder_of(bucket, second)}/summary.json")[0] == b'{"made": "later"}'


def test_what_a_killed_publisher_left_is_used(bucket, files):
    publish(bucket, files, located(bucket, TRAIN))
    bucket.delete("results/train/plates_train_v1/k/result.json")
    before = {info.key: info for info in bucket.list()}
    publish(bucket, files, located(bucket, TRAIN))
    assert {info.key: info for info in bucket.list() if not info.key.endswith("result.json")} == before


def test_files_that_vanish_meanwhile_are_no_result(bucket, files, monkeypatch):
    names = []

    def removed(self, prefix=""):
        names.extend(self.names(prefix))
        self.delete(names[0])
        return (self.stat(key) for key in names[1:])

    monkeypatch.setattr(type(bucket), "list", removed)
    with raises(StepError, "drawn/a.jpg"):
        publish(bucket, files, TRAIN)
    assert store.find_result(bucket, TrainResult, "plates_train_v1", "k") is None
