"""The component evaluate: what Kubeflow shows of the gate, and what decides about the branch "New champion"."""

from __future__ import annotations

import json

import pytest
from kfp import dsl

from components.evaluate.component import evaluate
from components.promote.component import promote
from sightline.registry import store
from sightline.registry.results import EvaluateResult

GATE = {"gate_difference", "gate_low", "gate_high", "gate_probability"}


def artifact(site, name, kind):
    return kind(name=name, uri=str(site.folder / name / "artifact"), metadata={})


def evaluated(site, config, *models):
    """Run the component; its result, the metrics that Kubeflow shows, and whether promote follows."""
    kinds = {
        "evaluation_metrics": dsl.Metrics,
        "evaluation_confusion": dsl.ClassificationMetrics,
        "evaluation_report": dsl.HTML,
        "selected_model": dsl.Model,
    }
    artifacts = {name: artifact(site, name, kind) for name, kind in kinds.items()}
    given = {"config": config.model_dump_json(), "code_rev": "image"}
    trained = json.loads(store.to_parameter(site.trained(*models)))
    made = evaluate.python_func(**given, **artifacts, train_result=trained)
    result = store.from_parameter(EvaluateResult, json.dumps(made[0]))
    if made[1] == "yes":
        champion = {
            "champion": artifact(site, "champion", dsl.Metrics),
            "champion_model": artifact(site, "m", dsl.Model),
        }
        promote.python_func(**given, train_result=trained, **champion)
    return result, artifacts["evaluation_metrics"].metadata, made[1]


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(("confidence", "branch"), [(0.5, "yes"), (0.999, "no")])
def test_the_numbers_of_the_gate_and_the_branch(site, confidence, branch):
    config = site.config(
        "data.tag=plates_ann_v1", "evaluate.select_by=[mask_AP]", f"evaluate.gate.confidence={confidence}"
    )
    first = site.model(40)
    _, shown, promoted = evaluated(site, config, first)
    assert promoted == "yes"
    assert not GATE & shown.keys()

    result, shown, promoted = evaluated(site, config, site.model(60))
    gate = result.selections[0].gate
    assert promoted == branch
    assert {name: shown[name] for name in GATE} == {name: getattr(gate, name.removeprefix("gate_")) for name in GATE}
    assert shown["gate_low"] <= shown["gate_difference"] <= shown["gate_high"]
    assert (site.champion("mask_AP")["sha256"] == result.selections[0].candidate_sha256) == (branch == "yes")
