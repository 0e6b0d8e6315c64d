"""The parameters of new runs and of runs like others."""

import pytest

from sightline.config.decode import RENAMED
from sightline.errors import ConfigurationError, KubeflowError
from sightline.kubeflow.runs.parameters import changed_parameters, difference, new_parameters
from tests.golden import raises

DECLARED = {
    "dataset_tag": {"parameterType": "STRING"},
    "recipe": {"parameterType": "STRING"},
    "overrides": {"parameterType": "STRING"},
    "code_rev": {"parameterType": "STRING"},
    "accelerator_count": {"parameterType": "NUMBER_INTEGER"},
    "node_selector": {"parameterType": "STRUCT"},
    "train_memory": {"parameterType": "STRING"},
}
BEFORE = {
    "dataset_tag": "plates_ann_v1",
    "recipe": "plates",
    "overrides": "train.iterations=800\nseed=3",
    "code_rev": "current",
    "train_memory": "8Gi",
}


def test_a_new_run():
    pods = ["accelerator_count=0", 'node_selector={"disk": "ssd"}', "train_memory=16Gi"]
    given = ["data.tag=plates_ann_v1", "seed=1", "seed=2"]
    usual = {"train_memory": "8Gi", "accelerator_count": 1}
    assert new_parameters(DECLARED, "plates", given, "image", pods, usual=usual) == {
        "dataset_tag": "plates_ann_v1",
        "recipe": "plates",
        "overrides": "seed=2",
        "code_rev": "image",
        "accelerator_count": 0,
        "node_selector": {"disk": "ssd"},
        "train_memory": "16Gi",
    }


@pytest.mark.parametrize(
    ("recipe", "overrides", "pods", "token"),
    [
        ("plates", [], [], "--set data.tag="),
        ("my.yaml", ["data.tag=plates_ann_v1"], [], "my.yaml"),
        ("plates", ["data.tag=plates_ann_v1", "train.iteration=5"], [], "did you mean iterations?"),
        ("plates", ["data.tag=plates_ann_v1"], ["gpus=1"], "accelerator_count, node_selector, train_memory"),
        ("plates", ["data.tag=plates_ann_v1"], ["recipe=x"], "recipe=x"),
        ("plates", ["data.tag=plates_ann_v1"], ["node_selector=ssd"], "node_selector=ssd"),
    ],
)
def test_a_new_run_with_faults(recipe, overrides, pods, token):
    with raises(ConfigurationError, token):
        new_parameters(DECLARED, recipe, overrides, "image", pods, usual={})


def test_the_profile_sets_what_the_pipeline_has():
    tag = ["data.tag=plates_ann_v1"]
    usual = {"node_selector": {"pool": "gpu"}}
    assert new_parameters(DECLARED, "plates", tag, "image", [], usual=usual)["node_selector"] == {"pool": "gpu"}
    with raises(ConfigurationError, "gpus, recipe"):
        new_parameters(DECLARED, "plates", tag, "image", [], usual={"gpus": 1, "recipe": "x"})


def test_a_run_like_another_differs_in_what_is_set_alone():
    now = changed_parameters(DECLARED, BEFORE, ["data.tag=plates_ann_v2", "seed=4"], "", [])
    assert now == BEFORE | {"dataset_tag": "plates_ann_v2", "overrides": "train.iterations=800\nseed=4"}
    assert difference(BEFORE, now) == [
        ("dataset_tag", "plates_ann_v1", "plates_ann_v2"),
        ("seed", "3", "4"),
    ]


def test_nothing_set_changes_nothing():
    now = changed_parameters(DECLARED, BEFORE, [], "", [])
    assert (now, difference(BEFORE, now)) == (BEFORE, [])


def test_code_and_pods_may_change():
    now = changed_parameters(DECLARED, BEFORE, ["train.workers=1"], "image", ["train_memory=4Gi"])
    assert difference(BEFORE, now) == [
        ("code_rev", "current", "image"),
        ("train_memory", "8Gi", "4Gi"),
        ("train.workers", "", "1"),
    ]


def test_a_key_that_the_recipe_does_not_have_any_more():
    before = BEFORE | {"overrides": "train.iteration=800"}
    with raises(ConfigurationError, "train.iteration", "did you mean iterations?"):
        changed_parameters(DECLARED, before, [], "", [])


def test_a_key_that_has_another_name_now(monkeypatch):
    """What it had and what replaced it is said; setting that is all there is to do."""
    monkeypatch.setitem(RENAMED, "train.steps", "train.iterations")
    before = BEFORE | {"overrides": "train.steps=800\nseed=3"}
    with raises(ConfigurationError, "train.steps", "train.iterations", "800"):
        changed_parameters(DECLARED, before, ["data.tag=plates_ann_v2"], "", [])
    now = changed_parameters(DECLARED, before, ["train.iterations=800"], "", [])
    assert now["overrides"] == "seed=3\ntrain.iterations=800"
    assert difference(before, now) == [("train.iterations", "", "800"), ("train.steps", "800", "")]


def test_a_run_of_another_pipeline():
    with raises(KubeflowError):
        changed_parameters({"rows": {}}, {"rows": 3}, [], "", [])
