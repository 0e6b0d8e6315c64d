"""SIGKILL at random moments of record: nothing half-made is ever named, and the same call completes it."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from collections import Counter

import psutil
import pytest

from sightline.data.tags import DatasetTag
from tests.torture.killing import kill_alone, kill_tree, kind_of, kind_of_line, shown, where
from tests.torture.recording import World
from tests.torture.scale import cases

PLACES = list(itertools.product(["undisturbed", "undisturbed_in_google_storage"], ["sqlite", "mariadb"]))
ALONE = 0.15
"""Share of kills that hit the process alone, while its git or DVC goes on."""


class Killer:
    """Records and kills: several recorders at once, until so many kills have landed."""

    def __init__(self, world, undisturbed, context, moments, kills):
        self.world, self.context, self.moments, self.left = world, context, moments, kills
        self.seconds = undisturbed.seconds
        # One entry a kind of line, or the many statements of SQL would be nearly all there is to aim at.
        self.aims = list({kind_of_line(line): line for line in undisturbed.lines}.values())
        self.landed: Counter[str] = Counter()
        self.commands: Counter[str] = Counter()
        self.survivors: list[psutil.Process] = []
        self.faults: list[str] = []
        self._lock = threading.Lock()

    def round(self):
        """Record every version, with kills, until all are recorded."""
        threads = [threading.Thread(target=self._dataset, args=(name,)) for name in self.world.tags]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        psutil.wait_procs(self.survivors, timeout=60)
        assert self.faults == []

    def _dataset(self, dataset):
        try:
            for tag in self.world.tags[dataset]:
                while not self._once(tag, dataset):
                    self._look(tag)
                self._look(tag)
        except BaseException as error:  # noqa: BLE001  (shown by the main thread)
            self.faults.append(f"{type(error).__name__}: {error}")

    def _once(self, tag, name):
        """Record with a kill, while there are kills left; whether it was completed."""
        with self._lock:
            aimed = self.moments.random() < 0.5
            line = self.moments.choice(self.aims) if aimed else ""
            delay = self.moments.uniform(0, 0.03 if aimed else self.seconds)
            alone = self.moments.random() < ALONE
        process = self.world.start(self.context, tag, name)
        if self.left <= 0 or not self._wait(process, name, line, delay):
            self._finish(process, tag)
            return True
        place = where(process.pid, self.world.log_of(name))
        if alone:
            self.survivors += kill_alone(process.pid)
            commands = ["(alone)"]
        else:
            commands = kill_tree(process.pid)
        process.join()
        if process.exitcode == 0:
            return True
        assert process.exitcode == -signal.SIGKILL, self.world.end_of_log(name)
        with self._lock:
            self.left -= 1
            self.landed[place] += 1
            self.commands[kind_of(commands)] += 1
        return False

    def _wait(self, process, name, line, delay):
        """Wait for the moment; False when the process ended before."""
        log, seen = self.world.log_of(name), 0
        if line:
            with contextlib.suppress(FileNotFoundError):
                seen = log.stat().st_size
            while process.is_alive() and kind_of_line(line) not in shown(log, seen):
                time.sleep(0.005)
        process.join(delay)
        return process.is_alive()

    def _finish(self, process, tag):
        process.join(timeout=300)
        assert process.exitcode == 0, self.world.end_of_log(tag.partition("_")[0])

    def _look(self, tag):
        """What must hold at every moment."""
        assert self.world.half_registered() == []
        assert self.world.orphans(str(DatasetTag.parse(tag).training)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("place", "database_url"), cases(PLACES, short=PLACES[::3]), indirect=["database_url"])
def test_killed_at_random_moments_it_ends_as_one_left_alone(
    request, place, warm_processes, database_url, amount, moments, figures
):
    undisturbed = request.getfixturevalue(place)
    world = World.on(undisturbed.world, database_url)
    killer = Killer(world, undisturbed, warm_processes, moments, kills=amount(3, 125))
    rounds = 0
    while killer.left > 0:
        world.forget()
        killer.round()
        rounds += 1
        assert world.state() == undisturbed.state
        assert world.left_over() == []
    kills = sum(killer.landed.values())
    figures(f"{kills} kills in {rounds} rounds", in_command=killer.commands, landed_in=killer.landed)
