"""What others do while record works: a tag goes away, a git was killed in the middle of a push."""

from __future__ import annotations

import time

import pytest

from sightline.data.git.commands import git
from tests.torture.recording import World
from tests.torture.scale import cases

MOMENTS = ["checkout checked out", "dvc push", "training_tag published"]
"""What the log says before."""


@pytest.fixture
def world(undisturbed, tmp_path):
    return World.on(undisturbed.world, f"sqlite:///{tmp_path}/db.sqlite")


@pytest.mark.slow
def test_a_push_that_was_killed_does_not_keep_the_tag_from_being_made(world, undisturbed, warm_processes):
    """A git that is killed while it writes a reference leaves its lock in the repository."""
    lock = world.repository / ".git" / "refs" / "tags" / "pets0_train_v1.lock"
    lock.touch()
    process = world.start(warm_processes, "pets0_ann_v1")
    process.join(timeout=120)
    assert process.exitcode == 0, world.end_of_log("pets0_ann_v1")
    assert not lock.exists()


@pytest.mark.slow
@pytest.mark.parametrize("after", cases(MOMENTS, short=MOMENTS[:1]))
def test_the_annotation_tag_is_deleted_meanwhile(world, undisturbed, warm_processes, after):
    """One clear error or a whole result; when the tag is back, the same call completes."""
    commit = undisturbed.state["tags"]["pets0_ann_v1"]
    process = world.start(warm_processes, "pets0_ann_v1")
    while process.is_alive() and after not in world.end_of_log("pets0_ann_v1"):
        time.sleep(0.01)
    git("tag", "--delete", "pets0_ann_v1", cwd=world.repository, timeout_seconds=60)
    try:
        process.join(timeout=120)
        assert world.half_registered() == []
        if process.exitcode:
            assert "sightline.errors.UnknownTagError" in world.end_of_log("pets0_ann_v1")
    finally:
        git("tag", "pets0_ann_v1", commit, cwd=world.repository, timeout_seconds=60)
    if process.exitcode:
        world.record_all(warm_processes)
    assert world.orphans("pets0_train_v1") == []
