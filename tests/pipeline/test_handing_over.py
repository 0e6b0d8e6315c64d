"""Results as dict parameters: through Kubeflow's local runner, and by the rules of its back end."""

import json
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from google.protobuf import json_format, struct_pb2
from kfp import dsl, local

from components.test import component as testing
from components.train.component import train as trained
from sightline.registry import store
from sightline.registry.results import Candidate, Environment, EvaluateResult, ScoredModel, Selection, TrainResult

TRAINED = TrainResult(
    training_tag="plates_train_v1",
    training_commit="b" * 40,
    candidates=[Candidate("best", "file:///x", "7" * 64, 2**31, {"mask_AP": 1.0, "EIR": 0.0})],
    iterations=12,
    history="file:///h/history.json",
    log="file:///h/log.txt",
    seconds=2.0,
    environment=Environment("cpu", 0, 2, "host", "Linux", "3.11", "2.9", "0.1", 1.0, None),
)
EVALUATED = EvaluateResult(
    "plates_train_v1",
    [ScoredModel("best", "file:///x", "7" * 64, "plates_train_v1", {"EIR": 1.0})],
    [Selection("EIR", "file:///x", "7" * 64, "best", 1.0, "", promoted=True, reason='the "first", 첫')],
    "file:///files",
    3.0,
)
RESULTS = [TRAINED, EVALUATED]


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def hand_over(text: str) -> dict:
    """What a step hands over."""
    import json

    return json.loads(text)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def take(given: dict, kind: str) -> str:
    """What the next step makes of it."""
    import json

    from sightline.registry import results, store

    return store.to_json(store.from_parameter(getattr(results, kind), json.dumps(given)))


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def count(given: dict = {}) -> int:  # noqa: B006
    """How many fields it has."""
    return len(given)


@dsl.pipeline
def journey(text: str, kind: str) -> str:
    """One task hands a result to the next."""
    return take(given=hand_over(text=text).output, kind=kind).output


@dsl.pipeline
def without() -> int:
    """A task whose predecessor is not in the graph."""
    return count(given={}).output


@pytest.fixture
def runner(tmp_path):
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_passes_through_the_local_runner(runner, result):
    done = journey(text=store.to_parameter(result), kind=type(result).__name__)
    assert store.from_json(type(result), done.output) == result  # the order of its keys is not kept


@pytest.mark.filterwarnings("ignore")
def test_no_result_is_an_empty_dict(runner):
    assert without().output == 0


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
@pytest.mark.parametrize("spaces", [None, 2])
def test_a_result_passes_through_the_back_end(result, spaces):
    """Driver and launcher keep a parameter as protobuf's Value, whose JSON has no fixed order and no whole numbers."""
    value = json_format.Parse(store.to_parameter(result), struct_pb2.Value())
    again = json.dumps(json_format.MessageToDict(value), indent=spaces, sort_keys=bool(spaces))
    assert store.from_parameter(type(result), again) == result


@dataclass
class Earlier:
    """What helper code of an earlier release gives a component."""

    result: str
    metrics: dict = field(default_factory=dict)


def artifact(kind, folder):
    return kind(name="artifact", uri=str(folder / "artifact"), metadata={})


def test_a_component_runs_helper_code_of_an_earlier_release(monkeypatch, tmp_path):
    """Which takes text and describes nothing; a run may pin a snapshot that is older than its pipeline."""
    taken = []

    def run_train(config, code_rev, record_result):
        taken.append(record_result)
        return Earlier(json.dumps({"iterations": 12}), {"EIR": 0.5})

    monkeypatch.setitem(sys.modules, "sightline.steps.task", SimpleNamespace(run_train=run_train))
    metrics, model = artifact(dsl.Metrics, tmp_path), artifact(dsl.Model, tmp_path)
    given = {"config": "{}", "code_rev": "image", "validation": metrics, "candidate": model}
    assert trained.python_func(**given, record_result={"images": {"train": 3}}) == ({"iterations": 12},)
    assert trained.python_func(**given) == ({"iterations": 12},)
    assert taken == ['{"images": {"train": 3}}', ""]
    assert (metrics.metadata, model.metadata) == ({"EIR": 0.5}, {})


def test_every_result_of_a_component_is_what_its_step_encoded(monkeypatch, tmp_path):
    def run_test(config, code_rev, evaluate_result, html):
        return Earlier(store.to_json(store.from_parameter(EvaluateResult, evaluate_result)))

    monkeypatch.setitem(sys.modules, "sightline.steps.task", SimpleNamespace(run_test=run_test))
    made = {"test_metrics": artifact(dsl.Metrics, tmp_path), "test_report": artifact(dsl.HTML, tmp_path)}
    given = json.loads(store.to_parameter(EVALUATED))
    (result,) = testing.test.python_func(config="{}", code_rev="image", evaluate_result=given, **made)
    assert store.from_parameter(EvaluateResult, json.dumps(result)) == EVALUATED
