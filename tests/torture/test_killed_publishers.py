"""SIGKILL at random moments of publishing, by several at once: a reader sees whole results that belong together."""

from __future__ import annotations

import itertools
import re
import signal
from collections import Counter

import pytest

from sightline.registry.results import TrainResult
from sightline.registry.store import find_result, folder_of
from sightline.storage import open_storage
from tests.torture import tortured
from tests.torture.killing import kill_tree, where
from tests.torture.recording import environment
from tests.torture.watching import watching

KEYS = [f"key{number}" for number in range(6)]
AT_ONCE = 3


@pytest.mark.slow
def test_no_mix_of_two_results_is_ever_seen(tmp_path, bucket, warm_processes, amount, moments, figures):
    uri = bucket
    storage, kills, landed, seen = open_storage(uri), amount(10, 100), Counter(), set()
    numbers = itertools.count()

    def start():
        number = next(numbers)
        log = tmp_path / f"{number}.log"
        arguments = (uri, str(tmp_path / "files"), KEYS, str(moments.random()))
        target = (tortured.publish_results, str(log), environment(), *arguments)
        process = warm_processes.Process(target=tortured.watched, args=target, daemon=True)
        process.start()
        return process, log

    def look():
        for key in KEYS:
            result = find_result(storage, TrainResult, tortured.TAG, key)
            if result is not None:
                seen.add(result.iterations)
                yield fault_of(storage, result)

    running = [start() for _ in range(AT_ONCE)]
    with watching(look) as watch:
        for kill in range(kills):
            process, log = running[kill % AT_ONCE]
            process.join(moments.uniform(0, 1.0))
            landed[where(process.pid, log)] += 1
            kill_tree(process.pid)
            process.join()
            assert process.exitcode == -signal.SIGKILL, log.read_text()[-3000:]
            running[kill % AT_ONCE] = start()
        for process, _ in running:
            kill_tree(process.pid)
    assert watch.faults == []
    assert [fault for fault in look() if fault] == []
    assert len(seen) > 3
    figures(f"{kills} kills, a reader saw {watch.files} results, {len(seen)} different ones", landed_in=landed)


def fault_of(storage, result):
    """What is wrong with a published result as a reader finds it; "" for nothing."""
    for name in tortured.RESULT_FILES:
        lines = set(storage.read_bytes(f"{folder_of(storage, result)}/{name}")[0].decode().splitlines())
        if lines != {f"{result.iterations} {name}"}:
            found = re.findall(r"^\d+", "\n".join(lines))
            return f"result {result.iterations} has {name} of {found}"
    return ""
