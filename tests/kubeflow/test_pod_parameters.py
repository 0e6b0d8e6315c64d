"""The parameters of pods: their types, and what Kubeflow would drop or fail at without a word."""

import pytest
import yaml

import pipeline
from sightline.errors import ConfigurationError
from sightline.kubeflow.runs.parameters import changed_parameters, new_parameters, usual_graph
from sightline.kubeflow.runs.pod_parameters import as_declared, check_pods
from sightline.kubeflow.runs.preflight_nodes import check_nodes
from tests.golden import raises

TAG = ["data.tag=plates_ann_v1"]


@pytest.fixture(scope="module")
def compiled():
    return pipeline.compile_yaml()


@pytest.fixture(scope="module")
def declared(compiled):
    return next(yaml.safe_load_all(compiled))["root"]["inputDefinitions"]["parameters"]


@pytest.fixture(scope="module")
def earlier(declared):
    """What the pipeline of an earlier release declares."""
    return declared | {"accelerator_count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1.0}}


def test_a_profile_may_say_numbers(declared):
    usual = {"accelerator_count": 1, "train_cpu": 4, "record_cpu": 0.5}
    made = new_parameters(declared, "plates", TAG, "image", [], usual=usual)
    assert (made["accelerator_count"], made["train_cpu"], made["record_cpu"]) == ("1", "4", "0.5")


def test_a_number_is_asked_for_as_a_string(declared):
    made = new_parameters(declared, "plates", TAG, "image", ["accelerator_count=2"], usual={"accelerator_count": 0})
    assert made["accelerator_count"] == "2"


def test_a_run_of_an_earlier_release_is_done_again(declared, earlier):
    before = {"dataset_tag": "plates_ann_v1", "recipe": "plates", "overrides": "", "accelerator_count": 1}
    assert changed_parameters(earlier, before, [], "", [])["accelerator_count"] == 1
    assert changed_parameters(earlier, before, [], "", ["accelerator_count=2"])["accelerator_count"] == 2
    assert changed_parameters(declared, before, [], "", [])["accelerator_count"] == "1"
    made = new_parameters(earlier, "plates", TAG, "image", [], usual={"accelerator_count": "2"})
    assert made["accelerator_count"] == 2


def test_a_count_that_kubeflow_drops_is_noted(compiled):
    old = compiled.replace("defaultValue: '1'", "defaultValue: 1.0")
    assert old != compiled
    notes = check_nodes(None, usual_graph(old, {})).notes
    assert "accelerator_count is a number in this version" in "".join(notes)
    assert check_nodes(None, usual_graph(compiled, {})).notes == []


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"accelerator_count": "-1"}, "accelerator_count '-1': expected a whole number"),
        ({"accelerator_count": "1.5"}, "expected a whole number"),
        ({"accelerator_count": ""}, "expected a whole number"),
        ({"accelerator_count": "one"}, "expected a whole number"),
        ({"accelerator_type": "", "accelerator_count": "1"}, "such as nvidia.com/gpu"),
        ({"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": "1"}, "not a model"),
        ({"train_cpu": ""}, "expected CPUs"),
        ({"record_cpu": "0"}, "expected CPUs"),
        ({"train_memory": "16GB"}, "expected memory"),
        ({"record_memory": "16"}, "16 bytes"),
        ({"train_image": ""}, "expected an image"),
        ({"git_secret": ""}, "expected the name of a Secret"),
        ({"database_secret": "My_Secret"}, "expected the name of a Secret"),
        ({"work_volume": "work.vision"}, "Kubeflow names the pod's volume after it"),
        ({"storage_secret": "key.json"}, "Kubeflow names the pod's volume after it"),
        ({"storage_secret": "same", "work_volume": "same"}, "same: "),
        ({"code_volume": "shared-memory"}, "shared-memory: "),
        ({"node_selector": {"gpu": True}}, 'label gpu is True; labels are strings: write "true"'),
        ({"node_selector": {"pool": "a b"}}, "pool=a b"),
        ({"tolerations": ["gpu"]}, "entry 1: expected a mapping"),
        (
            {"tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "exists"}]},
            "entry 2: operator is 'exists'",
        ),
        ({"tolerations": [{"key": "a", "effects": "NoSchedule"}]}, "unknown key effects"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "effect": "noschedule"}]}, "effect is 'noschedule'"),
        ({"tolerations": [{"key": "a", "value": True}]}, 'write "true"'),
        ({"tolerations": [{"value": "x"}]}, "key is missing"),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 3}]},
            "tolerationSeconds",
        ),
    ],
)
def test_what_no_pod_can_be_made_with(parameters, says):
    with pytest.raises(ConfigurationError) as caught:
        check_pods(parameters)
    assert says in str(caught.value)


def test_what_pods_can_be_made_with(declared):
    check_pods({name: one["defaultValue"] for name, one in declared.items()})
    check_pods({"accelerator_count": "0", "accelerator_type": ""})
    check_pods(
        {"work_volume": "same", "code_volume": "same", "node_selector": {"example.com/pool": "gpu", "empty": ""}}
    )
    check_pods({"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute"}]})


@pytest.mark.parametrize(
    ("name", "value"),
    [("node_selector", ["a"]), ("tolerations", {"key": "a"}), ("train_cpu", ["4"]), ("git_secret", True)],
)
def test_values_of_another_type(declared, name, value):
    with raises(ConfigurationError, name):
        as_declared(declared, {name: value})
