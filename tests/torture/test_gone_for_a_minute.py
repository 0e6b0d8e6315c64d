"""What record needs is gone for a while and comes back: record waits, and ends as if nothing had been."""

from __future__ import annotations

import time

import pytest

from tests.torture.killable_server import killable_server, new_schema
from tests.torture.recording import World

AWAY = ["killed", "silent"]
"""Refusing connections, or taking them and saying nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("how", AWAY)
def test_the_database_is_gone_for_a_minute(how, undisturbed, warm_processes, amount, moments, figures):
    seconds = amount(3, 60)
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
