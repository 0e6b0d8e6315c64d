"""promote and rollback by hand, killed with SIGKILL at every write and at random, and by two people at once.

Then any later command makes bucket and database agree, with the complete history.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter

import pytest

from sightline.database import Database
from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import upgrade
from sightline.errors import PreconditionFailedError
from sightline.files import file_sha256
from sightline.storage.gcs import GoogleStorage
from sightline.storage.local import LocalStorage
from sightline.tasks import base
from tests.champion_places import ChampionPlace, save_models
from tests.servers.mariadb import new_database

KILLS = {"sqlite": 200, "mariadb": 60, "gcs": 40}
ROUNDS = 50
WRITES = [
    *((storage, name) for storage in (LocalStorage, GoogleStorage) for name in ("write_bytes", "upload")),
    *((Database, name) for name in ("register_model", "record_promotion")),
]
"""What writes to a store; a process may be killed before and after each."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"), 3)


@pytest.fixture(params=["sqlite", "mariadb", "gcs"])
def place(request, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "load_predictor", lambda *_: None)  # a fork does not survive the threads of torch
    bucket = request.getfixturevalue("bucket_uri") if request.param == "gcs" else str(tmp_path / "bucket")
    if request.param != "mariadb":
        yield ChampionPlace(bucket, f"sqlite:///{tmp_path}/x.sqlite", tmp_path / "models")
        return
    with new_database(request.getfixturevalue("mariadb_server")) as url:
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        yield ChampionPlace(bucket, url, tmp_path / "models")


def do(place, command, actor="me@here"):
    """Run a command, ``("promote", model)`` or ``("rollback", reason)``; whether it changed the champion."""
    with place.database() as database:
        name, argument = command
        if name == "promote":
            return place.by_hand(database, actor).promote(argument).changed
        return place.by_hand(database, actor, argument).roll_back(None).changed


def killed(place, command, *, at=0, after=0.0):
    """Run a command in a process that kills itself at its n-th moment, or is killed after some seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(60)
        try:
            _die_at(at)
            do(place, command)
            code = 0
        finally:
            os._exit(code)
    if after:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the command failed instead of being killed"
    assert not os.WIFSIGNALED(status) or os.WTERMSIG(status) == signal.SIGKILL, "the command hangs"
    return os.WIFSIGNALED(status)


def _die_at(moment):
    """Let this process end without notice before or after one of its writes."""
    moments = iter(range(1, 10**6))

    def watched(method):
        def write(*arguments, **options):
            if next(moments) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(*arguments, **options)
            if next(moments) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return write

    for owner, name in WRITES:
        setattr(owner, name, watched(getattr(owner, name)))


def commands(place, models, choices):
    """Promotions and rollbacks in turn, each of which changes the champion."""
    number = 0
    while True:
        number += 1
        others = [model for model in models if file_sha256(model) != place.pointer().sha256]
        yield ("promote", choices.choice(others)) if number % 2 else ("rollback", f"reason {number}")


@pytest.mark.slow
def test_killed_again_and_again(place, models, request, figures):
    kills = KILLS[request.node.callspec.params["place"]]
    choices = random.Random(0)
    for model in models:
        do(place, ("promote", model))
    began = time.monotonic()
    do(place, ("rollback", "how long it takes"))
    duration = time.monotonic() - began
    done, length = Counter(), len(place.require_agreement())
    for at, command in enumerate(commands(place, models, choices)):
        if sum(done.values()) >= kills:
            break
        if choices.random() < 0.5:
            dead = killed(place, command, after=choices.uniform(0.3, 1.1) * duration)
        else:
            dead = killed(place, command, at=at // 2 % 24 + 1)
        done[command[0]] += dead
        if choices.random() < 0.5:
            do(place, command)  # the same command again
        else:
            place.settle()  # as any later run or command does first
        entries = place.require_agreement()
        assert len(entries) - length <= 2, "a command that was killed and repeated made more than one change"
        length = len(entries)
    assert min(done.values()) > kills / 4
    assert length > kills / 4
    figures(f"{kills} kills, {length} promotions", killed=done)


def change_often(place, models, actor, barrier, answer):
    choices = random.Random(actor)
    made = refused = 0
    for number in range(ROUNDS):
        barrier.wait(timeout=60)
        try:
            command = ("promote", choices.choice(models)) if choices.random() < 0.5 else ("rollback", f"{number}")
            made += do(place, command, actor)
        except PreconditionFailedError:
            refused += 1
    answer.put((made, refused))


@pytest.mark.slow
def test_two_people_at_once(place, models, figures):
    for model in models:
        do(place, ("promote", model))
    context = multiprocessing.get_context("fork")
    barrier, answer = context.Barrier(2), context.Queue()
    people = [
        context.Process(target=change_often, args=(place, models, actor, barrier, answer), daemon=True)
        for actor in ("a@one", "b@two")
    ]
    for process in people:
        process.start()
    answers = [answer.get(timeout=120) for _ in people]
    for process in people:
        process.join(timeout=60)
    assert [process.exitcode for process in people] == [0, 0]
    entries = place.require_agreement()
    assert len(entries) == 3 + sum(made for made, _ in answers)
    assert {entry.actor for entry in entries} == {"me@here", "a@one", "b@two"}
    assert sum(refused for _, refused in answers) > 0, "nobody met the other"
    figures(f"{len(entries)} promotions by two people; changed and refused of {ROUNDS} each: {answers}")
