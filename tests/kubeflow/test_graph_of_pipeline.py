"""The graph of a compiled pipeline, and what its pods cannot start without."""

import pytest
import yaml

import components
import pipeline
from sightline.errors import KubeflowError
from sightline.kubeflow.runs.graph import read_graph, split_spec
from tests.golden import raises
from tests.kubeflow.tiny import story


@pytest.fixture(scope="module")
def documents():
    return list(yaml.safe_load_all(story("x:1")))


def outline(graph):
    return [(one.name, one.kind, outline(one.inside)) if one.inside else one.name for one in graph]


def test_groups_hold_their_tasks_and_each_stands_behind_what_it_waits_for(documents):
    graph = read_graph(*documents, {})
    assert outline(graph) == [
        (
            "exit-handler-1",
            "group",
            [
                "resolve",
                "work",
                ("condition-2", "condition", ["small"]),
                ("condition-3", "condition", ["small-2"]),
                ("for-loop-5", "loop", ["small-3"]),
            ],
        ),
        "finish",
    ]
    assert [task.title for part in graph for task in part.tasks()][:3] == ["Resolve", "Train candidates", "Promote"]


@pytest.mark.parametrize(
    ("given", "secret", "claim"),
    [({}, "story-secret", "story"), ({"secret": "other", "claim": "mine"}, "other", "mine")],
)
def test_names_that_are_parameters_are_those_of_the_run(documents, given, secret, claim):
    (work,) = (task for task in read_graph(*documents, given)[0].tasks() if task.name == "work")
    assert work.wants.secrets == {secret: {"password"}}
    assert work.wants.claims == {claim}


def test_the_pipeline_itself_can_be_read():
    graph = read_graph(*yaml.safe_load_all(pipeline.compile_yaml()), {})
    tasks = [task for part in graph for task in part.tasks()]
    assert {"resolve", *pipeline.STEPS} <= {task.name for task in tasks}
    assert all("sightline-work" in task.wants.claims for task in tasks)


def test_an_image_that_is_a_parameter_is_that_of_the_run():
    graph = read_graph(*yaml.safe_load_all(pipeline.compile_yaml()), {"train_image": "r/train:2"})
    images = {task.name: task.image for part in graph for task in part.tasks()}
    assert (images["resolve"], images["train"], images["promote"]) == (components.BASE_IMAGE, "r/train:2", "r/train:2")


def test_a_text_of_another_make():
    with raises(KubeflowError, "root"):
        read_graph({"spec": {}}, {}, {})
    assert split_spec({"pipeline_spec": {"root": 1}, "platform_spec": {"platforms": 2}}) == (
        {"root": 1},
        {"platforms": 2},
    )
    assert split_spec({"root": 1}) == ({"root": 1}, {})
