import json

from sightline.config.decode import decode
from sightline.config.digest import config_digest, record_digest, step_key


def digests(*overrides):
    config = decode("plates", overrides)
    return {step: config_digest(step, config) for step in ("record", "train", "evaluate", "test")}


def changed(*overrides):
    before, after = digests(), digests(*overrides)
    return {step for step in before if before[step] != after[step]}


def test_a_change_reaches_the_steps_that_depend_on_it_and_no_others():
    assert changed("train.iterations=1") == {"train", "evaluate", "test"}
    assert changed("evaluate.select_by=[EIR]") == {"evaluate", "test"}
    assert changed("test.score_threshold=0.1") == {"test"}
    assert changed("data.near_duplicate_distance=0") == {"record"}


def test_every_task_trains_on_the_same_training_sets():
    classes = ["data.classes=[cat]"]
    one, other = (decode(recipe, classes) for recipe in ("instance_segmentation", "object_detection"))
    assert config_digest("record", one) == config_digest("record", other)
    assert config_digest("train", one) != config_digest("train", other)


def test_where_and_how_fast_is_not_what():
    assert changed("data.repository=/else", "data.jobs=9", "train.workers=0", "train.trackers=[text]") == set()
    assert changed("tracking.mlflow_uri=http://else") == set()
    assert changed("work.dir=/else", "storage.uri=/else", "database.url=sqlite:////else") == set()


def test_random_weights_have_one_digest_however_they_are_written():
    assert changed("model.weights=") == changed("model.weights=none") == set()
    assert changed("model.weights=auto") == {"train", "evaluate", "test"}
    assert changed("model.weights_mirror=gs://bucket/weights") == set()


def test_fields_that_came_later_leave_the_digests_of_before_alone():
    assert changed("evaluate.minimum=0.05", "evaluate.replace_unreadable=false") == set()
    assert changed("evaluate.minimum=0.1") == {"evaluate", "test"}
    assert changed("evaluate.minimum={EIR: 0.05}") == {"evaluate", "test"}
    assert changed("evaluate.replace_unreadable=true") == {"evaluate", "test"}


def test_key_depends_on_step_inputs_and_their_order():
    config = decode("plates")
    keys = {
        step_key("train", config, "a", "b"),
        step_key("train", config, "b", "a"),
        step_key("train", config, "ab"),
        step_key("test", config, "a", "b"),
    }
    assert len(keys) == 4
    assert step_key("train", config, "a", "b") in keys


def test_the_digest_of_record_can_be_told_from_a_stored_configuration():
    config = decode("plates", ["data.tag=plates_ann_v1", "data.faults.unknown_label=drop"])
    stored = json.loads(json.dumps(config.model_dump(mode="json"), sort_keys=True))
    assert record_digest(stored) == config_digest("record", config)
    assert record_digest(stored | {"data": stored["data"] | {"jobs": 77}}) == config_digest("record", config)
    assert record_digest(stored | {"data": stored["data"] | {"tag": "plates_ann_v2"}}) != config_digest(
        "record", config
    )
