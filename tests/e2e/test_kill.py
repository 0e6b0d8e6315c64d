"""A run that is killed in any step and started again ends as one that was left alone."""

import json
import shutil

import pytest

from tests.publications import nameless

pytestmark = pytest.mark.slow

MOMENTS = [
    ("record", "checked out plates_ann_v1"),
    ("train", "4/6 loss"),
    ("evaluate", "evaluated best"),
    ("test", "mask_AP: best is the first champion"),
]
"""A step, and the line of the log after which it is killed: in the middle of its work, or as it begins."""


def outcome(world):
    """What the last run led to; nothing that names a time."""
    journal = world.journal(world.runs()[-1]["run_id"])
    steps = ("record", "train", "evaluate", "test")
    results = {step: json.loads(nameless(journal[step]["result"])) for step in steps}
    for result in results.values():
        result.pop("seconds", None)
        result.pop("environment", None)  # peak memory differs from run to run
    for model in results["test"]["models"]:
        model.pop("images_per_second")
    for model in results["evaluate"]["models"]:
        model.pop("profile")
    return results


def published(world):
    """Every object of the bucket but the logs, which name times."""
    keys = {nameless(path.relative_to(world.home).as_posix()) for path in (world.home / "bucket").rglob("*")}
    return [key for key in sorted(keys) if "tfevents" not in key and ".sightline" not in key]


def test_killed_in_every_step_and_started_again(world):
    fresh = world.folder.with_name("fresh")
    shutil.copytree(world.folder, fresh, symlinks=True)
    world.run("plates_ann_v1")
    undisturbed, objects = outcome(world), published(world)
    shutil.rmtree(world.folder)
    fresh.rename(world.folder)

    for step, log_line in MOMENTS:
        world.killed_run("plates_ann_v1", step, log_line=log_line)
    world.run("plates_ann_v1")

    assert [run["state"] for run in world.runs()] == ["interrupted"] * len(MOMENTS) + ["succeeded"]
    assert outcome(world) == undisturbed
    assert published(world) == objects
    assert not list(world.home.rglob("*.part"))
