"""What record needs is gone for a while and comes back: record waits, and ends as if nothing had been."""

from __future__ import annotations

import time

import pytest

from tests.servers.google_storage import fault
from tests.torture.killable_server import killable_server, new_schema
from tests.torture.recording import World
from tests.torture.scale import cases

AWAY = ["killed", "silent"]
"""Refusing connections, or taking them and saying nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("how", cases(AWAY, short=AWAY[1:]))
def test_the_database_is_gone_for_a_minute(how, undisturbed, warm_processes, amount, moments, figures):
    seconds = amount(2, 60)
    with killable_server() as server, new_schema(server) as url:
        world = World.on(undisturbed.world, url)
        tag = next(iter(world.tags.values()))[0]
        process = world.start(warm_processes, tag)
        process.join(moments.uniform(0, undisturbed.seconds / 2))
        went = time.monotonic()
        server.freeze() if how == "silent" else server.kill()
        time.sleep(seconds)
        server.thaw() if how == "silent" else server.restart()
        process.join(timeout=300)
        away = time.monotonic() - went
        assert process.exitcode == 0, world.end_of_log(tag)
        assert world.half_registered() == []
        assert world.orphans(tag.replace("_ann_", "_train_")) == []
    figures(f"away for {seconds} s, recorded {away - seconds:.0f} s after it was back")


@pytest.mark.slow
@pytest.mark.parametrize("after", cases(["", "dvc add", "dvc push", "git push"], short=["dvc push"]))
def test_google_storage_is_gone_for_a_minute(
    after, undisturbed_in_google_storage, google_storage_rig, warm_processes, amount, tmp_path, figures
):
    """It ends well, or with one clear error from which the same call completes."""
    seconds = amount(2, 60)
    world = World.on(undisturbed_in_google_storage.world, f"sqlite:///{tmp_path}/db.sqlite")
    tag = next(iter(world.tags.values()))[0]
    process = world.start(warm_processes, tag)
    while process.is_alive() and after not in world.end_of_log(tag):
        time.sleep(0.01)
    google_storage_rig.fail(fault("reset", times=10**9))
    time.sleep(seconds)
    google_storage_rig.fail()
    process.join(timeout=300)
    ended = "ended well"
    if process.exitcode:
        ended = "was started again"
        assert "sightline.errors." in world.end_of_log(tag).splitlines()[-1], world.end_of_log(tag)
        process = world.start(warm_processes, tag)
        process.join(timeout=300)
    assert process.exitcode == 0, world.end_of_log(tag)
    assert world.half_registered() == []
    assert world.orphans(tag.replace("_ann_", "_train_")) == []
    figures(f"away for {seconds} s, {ended}")
