"""Many records at once: of one tag, and of several; exactly one does it, and all end well with the same result."""

from __future__ import annotations

import json
import time

import pytest

from tests.torture.recording import World
from tests.torture.scale import cases


@pytest.mark.slow
@pytest.mark.parametrize("database_url", cases(["sqlite", "mariadb"], short=["mariadb"]), indirect=True)
def test_many_recorders_at_once(undisturbed, warm_processes, database_url, amount, figures):
    world = World.on(undisturbed.world, database_url)
    recorders, published = amount(4, 64), 0
    began = time.monotonic()
    # All versions of a dataset look at those before them, so the versions go one after the other.
    for tags in zip(*world.tags.values(), strict=True):
        names = {f"{tag} {number}": tag for number in range(recorders // len(tags)) for tag in tags}
        processes = {name: world.start(warm_processes, tag, name) for name, tag in names.items()}
        for name, process in processes.items():
            process.join(timeout=1200)
            assert process.exitcode == 0, world.end_of_log(name)
        for tag in tags:
            answers = [json.loads(world.answer_of(name).read_text()) for name in names if names[name] == tag]
            assert all(answer == answers[0] for answer in answers)
        logs = [world.log_of(name).read_text() for name in names]
        published += sum("training_tag published" in log for log in logs)
    seconds = time.monotonic() - began
    assert published == sum(map(len, world.tags.values()))
    assert world.state() == undisturbed.state
    assert world.left_over() == []
    figures(
        f"{recorders} recorders of {len(world.tags)} datasets at once, each version published once, {seconds:.0f} s"
    )


@pytest.mark.slow
@pytest.mark.parametrize("database_url", cases(["sqlite", "mariadb"], short=["sqlite"]), indirect=True)
def test_many_recorders_of_one_tag_at_once(undisturbed, warm_processes, database_url, amount, figures):
    world = World.on(undisturbed.world, database_url)
    tag = next(iter(world.tags.values()))[0]
    names = [f"recorder {number}" for number in range(amount(4, 64))]
    began = time.monotonic()
    # Every second one has a work volume of its own, so that no lock of a file keeps them apart.
    own = {
        name: [f"work.dir={world.folder / 'work' / name}"] if number % 2 else [] for number, name in enumerate(names)
    }
    processes = {name: world.start(warm_processes, tag, name, *own[name]) for name in names}
    for name, process in processes.items():
        process.join(timeout=1200)
        assert process.exitcode == 0, world.end_of_log(name)
    answers = [json.loads(world.answer_of(name).read_text()) for name in names]
    assert all(answer == answers[0] for answer in answers)
    training = tag.replace("_ann_", "_train_")
    state = world.state()
    assert state["tags"][training] == undisturbed.state["tags"][training] == answers[0]["training_commit"]
    assert [row for row in undisturbed.state["rows"] if row[0]["tag"] in {tag, training}] == state["rows"]
    assert len(state["results"]) == 1
    assert world.left_over() == []
    figures(f"{len(names)} recorders of one tag, half of them on their own volumes, {time.monotonic() - began:.0f} s")
