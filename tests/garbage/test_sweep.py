"""What gc finds and removes in a world in which the whole pipeline has run."""

from __future__ import annotations

import json


def names(world, kind):
    return {what for what, found in world.found().items() if found == kind}


def test_what_is_young_is_no_garbage(world):
    world.age(days=6.9)
    assert world.found() == {}


def test_old_work_goes_and_what_was_published_stays(world, finished):
    world.age()
    before = world.files()
    found = world.found()
    assert sorted(found.values()) == ["checkout", "checkout", "evaluation", "test", "training"]
    assert world.files() == before

    done = world.sweep(delete=True)
    assert done.removed == done.garbage
    assert {entry.what.removeprefix(f"{world.folder}/") for entry in done.removed} == set(found)
    gone = before.keys() - world.files().keys()
    assert gone
    assert all(any(name.startswith(f"{what}/") for what in found) for name in gone)
    assert world.found() == {}
    world.require_intact()


def test_after_gc_everything_goes_on(world):
    world.age()
    world.sweep(delete=True)
    again = world.run()
    assert world.states(again) == dict.fromkeys(("record", "train", "evaluate", "promote", "test"), "reused") | {
        "resolve": "succeeded",
        "finish": "succeeded",
    }
    other = world.run("test.score_threshold=0.4")
    assert world.states(other)["test"] == "succeeded"
    page = json.loads((world.work / "runs" / other / "run.json").read_text())
    assert page["state"] == "succeeded"
