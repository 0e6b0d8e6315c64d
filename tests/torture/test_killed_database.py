"""The database's server is killed and comes back, while versions are registered: its clients ride it out."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest
from sqlalchemy import text

from sightline.database.engine.connection import connect
from tests.torture import tortured
from tests.torture.killable_server import killable_server, new_schema
from tests.torture.killing import where
from tests.torture.recording import HALF, World, environment

ORPHANS = "SELECT count(*) FROM images i WHERE i.version_id NOT IN (SELECT id FROM dataset_versions)"


@pytest.fixture
def server():
    with killable_server() as server:
        yield server


@pytest.fixture
def url(server):
    with new_schema(server) as url:
        yield url


@pytest.mark.slow
def test_killed_while_versions_are_registered(tmp_path, server, url, warm_processes, amount, moments, figures):
    rows, kills = amount(500, 6_000), amount(3, 50)
    workers = []
    for number in range(6):
        answer, log = tmp_path / f"{number}.json", tmp_path / f"{number}.log"
        arguments = (url, f"v{number // 2}", rows, str(tmp_path / "stop"), str(answer))
        target = (tortured.register_versions, str(log), environment(), *arguments)
        workers.append((warm_processes.Process(target=tortured.watched, args=target, daemon=True), log, answer))
        workers[-1][0].start()
    landed = Counter()
    for _ in range(kills):
        time.sleep(moments.uniform(0.1, 1.5))
        landed.update(where(process.pid, log) for process, log, _ in workers)
        server.kill()
        time.sleep(moments.choice([0.0, 0.5]))
        server.restart()
    (tmp_path / "stop").touch()
    for process, log, _ in workers:
        process.join(timeout=120)
        assert process.exitcode == 0, log.read_text()[-3000:]
    answers = [json.loads(answer.read_text()) for _, _, answer in workers]
    with connect(url).connect() as connection:
        assert list(connection.execute(text(HALF))) == []
        assert connection.scalar(text(ORPHANS)) == 0
        registered = set(connection.scalars(text("SELECT version FROM dataset_versions")))
    for group in range(3):
        pair = answers[2 * group : 2 * group + 2]
        for number in range(max(map(len, pair))):
            assert f"v{group}-{number}" in registered
            # A lost answer to a commit is settled by looking: then nobody is the first, but never are two.
            assert sum(found[number] for found in pair if number < len(found)) <= 1
    figures(f"{kills} kills of the server, {len(registered)} versions of {rows} rows", landed_in=landed)


@pytest.mark.slow
def test_killed_while_datasets_are_recorded(undisturbed, server, url, warm_processes, moments, figures):
    world = World.on(undisturbed.world, url)
    stop, kills = threading.Event(), []

    def kill():
        while not stop.wait(moments.uniform(0.5, 3.0) if kills else 0.0):
            server.kill()
            stop.wait(moments.uniform(0, 2.0))
            server.restart()
            kills.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        world.record_all(warm_processes)
    finally:
        stop.set()
        killer.join()
    assert world.state() == undisturbed.state
    assert world.half_registered() == []
    assert kills
    figures(f"{len(kills)} kills of the server while {sum(map(len, world.tags.values()))} versions were recorded")
