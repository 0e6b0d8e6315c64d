"""SIGKILL at random moments of ``data add`` and ``data remove``, and two people who do both at once."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections import Counter

import psutil
import pytest

from tests.torture.adding import Shop
from tests.torture.killing import kill_alone, kill_tree, kind_of, kind_of_line, shown, where
from tests.torture.scale import cases

ALONE = 0.15
"""Share of kills that hit the process alone, while its git or DVC goes on."""

VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6")


class Killer:
    """Adds, removes and adds again, version by version, until so many kills have landed."""

    def __init__(self, shop, context, moments, kills):
        self.shop, self.context, self.moments, self.left = shop, context, moments, kills
        self.seconds = {"add": 3.0, "remove": 1.0}
        self.aims: dict[str, list[str]] = {"add": [], "remove": []}
        self.landed: Counter[str] = Counter()
        self.commands: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.survivors: list[psutil.Process] = []

    def complete(self, work, tag):
        """Do it, with kills, until it is done."""
        while True:
            before = self.shop.log_of("jane").stat().st_size if self.shop.log_of("jane").exists() else 0
            began = time.monotonic()
            process = self.shop.start(self.context, work, "jane", tag)
            killed = self.left > 0 and self._kill(process, work, before)
            process.join(timeout=300)
            psutil.wait_procs(self.survivors, timeout=60)
            self.survivors.clear()
            assert list(self.shop.faults()) == []
            if killed:
                continue
            assert process.exitcode == 0, self.shop.end_of_log("jane")
            self.seconds[work] = time.monotonic() - began
            lines = shown(self.shop.log_of("jane"), before).splitlines()
            self.aims[work] = list(
                {kind_of_line(line): line for line in lines if line.startswith("sightline")}.values()
            )
            self.done[work] += 1
            return

    def _kill(self, process, work, before):
        """Whether a kill landed."""
        log = self.shop.log_of("jane")
        aimed = bool(self.aims[work]) and self.moments.random() < 0.5
        line = self.moments.choice(self.aims[work]) if aimed else ""
        alone = self.moments.random() < ALONE
        while line and process.is_alive() and kind_of_line(line) not in shown(log, before):
            time.sleep(0.003)
        process.join(self.moments.uniform(0, 0.03 if aimed else self.seconds[work]))
        if not process.is_alive():
            return False
        place = where(process.pid, log)
        if alone:
            self.survivors += kill_alone(process.pid) or []
            commands = ["(alone)"]
        else:
            commands = kill_tree(process.pid)
        process.join()
        if process.exitcode == 0:
            return False
        assert process.exitcode == -signal.SIGKILL, self.shop.end_of_log("jane")
        self.left -= 1
        self.landed[f"{work}: {place}"] += 1
        self.commands[f"{work}: {kind_of(commands)}"] += 1
        return True


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_or_half_added(tmp_path, warm_processes, amount, moments, figures):
    shop = Shop(tmp_path / "shop", ("jane",), VERSIONS)
    killer = Killer(shop, warm_processes, moments, kills=amount(4, 200))
    removals = 0
    for version in itertools.cycle(VERSIONS):
        tag = f"pets_ann_{version}"
        killer.complete("add", tag)
        assert tag in shop.versions()
        killer.complete("remove", tag)
        removals += 1
        assert tag not in shop.versions()
        assert shop.removals() == removals
        killer.complete("add", tag)
        assert shop.versions() == shop.versions(shop.clones["jane"])
        assert shop.left_over() == []
        if killer.left <= 0:
            break
        if version == VERSIONS[-1]:
            for name in VERSIONS:
                killer.complete("remove", f"pets_ann_{name}")
                removals += 1
    kills = sum(killer.landed.values())
    figures(f"{kills} kills", completed=killer.done, in_command=killer.commands, landed_in=killer.landed)


@pytest.mark.slow
@pytest.mark.parametrize("half", cases(["first", "second"], short=["first"]))  # each within the limit of a test
def test_two_people_in_two_clones(tmp_path, warm_processes, amount, moments, figures, half):
    """Each round: both add a version of their own, both remove one, both add it again."""
    rounds = amount(2, 25)
    versions = tuple(f"v{number}{side}" for number in range(rounds) for side in "ab")
    people = ("jane", "john")
    shop = Shop(tmp_path / "shop", people, versions)
    again: Counter[str] = Counter()

    def together(tasks):
        """Do something in both clones at once; who was told to do it again does."""
        left = dict(tasks)
        for _ in range(5):
            started = {}
            for person, (work, tag) in left.items():
                started[person] = shop.start(warm_processes, work, person, tag)
                time.sleep(moments.uniform(0, 0.3))
            for person, process in started.items():
                process.join(timeout=300)
                if process.exitcode == 0:
                    del left[person]
                else:
                    assert "sightline.errors." in shop.end_of_log(person), shop.end_of_log(person)
                    again[left[person][0]] += 1
            if not left:
                return
        raise AssertionError("\n".join(shop.end_of_log(person) for person in left))

    for number in range(rounds):
        first, second = f"pets_ann_v{number}a", f"pets_ann_v{number}b"
        together({"jane": ("add", first), "john": ("add", second)})
        together({"jane": ("remove", first), "john": ("remove", first)})
        assert first not in shop.versions()
        together({"jane": ("add", first), "john": ("add", first)})
        together({"jane": ("add", second), "john": ("remove", second)})
        together({"jane": ("add", second), "john": ("add", second)})
        assert {first, second} <= set(shop.versions())
        assert list(shop.faults([first, second])) == []
    assert list(shop.faults()) == []
    for clone in shop.clones.values():
        with contextlib.suppress(Exception):
            shop.start(warm_processes, "add", clone.name, second).join(timeout=300)
        assert shop.versions(clone).items() <= shop.versions().items()
    assert len(shop.versions()) == 2 * rounds
    figures(f"{rounds} rounds, {shop.removals()} removals, {len(shop.versions())} versions whole", told_again=again)
