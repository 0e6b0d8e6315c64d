"""A run that is killed in any step and started again ends as one that was left alone."""

import json

import pytest

from tests.e2e.conftest import World

pytestmark = pytest.mark.slow

MOMENTS = [("record", "record"), ("train", "iteration 3"), ("evaluate", "evaluate"), ("test", "test")]


def outcome(world):
    """What the last run led to: tag, model files, metrics and selections; nothing that names a time or a place."""
    journal = world.journal(world.runs()[-1]["run_id"])
    results = {step: json.loads(entry["result"]) for step, entry in journal.items()}
    return {
        "record": [results["record"][name] for name in ("training_commit", "digest", "images", "instances")],
        "train": [(model["name"], model["sha256"], model["metrics"]) for model in results["train"]["candidates"]],
        "evaluate": [
            (s["metric"], s["sha256"], s["value"], s["promoted"], s["previous_sha256"])
            for s in results["evaluate"]["selections"]
        ],
        "test": [(model["sha256"], model["metrics"]) for model in results["test"]["models"]],
    }


def test_killed_in_every_step_and_started_again(tmp_path_factory, world):
    world.run("plates_ann_v1")
    undisturbed = outcome(world)

    killed = World(tmp_path_factory.mktemp("killed"))
    killed.draw(images=24)
    killed.publish("v1")
    for step, log_line in MOMENTS:
        killed.killed_run("plates_ann_v1", step, log_line=log_line)
    killed.run("plates_ann_v1")

    assert [run["state"] for run in killed.runs()] == ["interrupted"] * len(MOMENTS) + ["succeeded"]
    assert outcome(killed) == undisturbed
    assert not list(killed.home.rglob("*.part"))
