"""SIGKILL at random moments of publishing code, by several at once: what pods find is whole."""

from __future__ import annotations

import itertools
import signal
from collections import Counter

from sightline.code.bucket import read_from_bucket, read_pointer
from sightline.storage import open_storage
from sightline_bootstrap import current, revisions, verify
from tests.torture import tortured
from tests.torture.killing import kill_tree, where
from tests.torture.recording import environment
from tests.torture.watching import watching

AT_ONCE = 3
PACKAGES = 1000


def test_no_half_of_a_snapshot_is_ever_seen(tmp_path, bucket, warm_processes, amount, moments, figures):
    storage, volume = open_storage(bucket), tmp_path / "code"
    volume.mkdir()
    kills, landed, seen, numbers = amount(15, 200), Counter(), set(), itertools.count()

    def start():
        number = next(numbers)
        log = tmp_path / f"{number}.log"
        arguments = (
            str(log),
            environment(),
            bucket,
            str(volume),
            str(tmp_path / f"{number}"),
            PACKAGES,
            str(moments.random()),
        )
        process = warm_processes.Process(target=tortured.watched, args=(tortured.publish_code, *arguments), daemon=True)
        process.start()
        return process, log

    def look():
        """Every snapshot that has its name is whole, and so is what the two pointers name."""
        for revision in revisions(volume):
            verify(volume, revision)
            yield ""
        now = current(volume)
        if now is not None:
            seen.add(now)
            verify(volume, now)
            yield ""
        pointer, _ = read_pointer(storage)
        if pointer is not None:
            yield "" if read_from_bucket(storage, pointer.revision) else f"the bucket lacks {pointer.revision}"

    running = [start() for _ in range(AT_ONCE)]
    with watching(look) as watch:
        for kill in range(kills):
            process, log = running[kill % AT_ONCE]
            process.join(moments.uniform(0, 0.5))
            landed[where(process.pid, log)] += 1
            kill_tree(process.pid)
            process.join()
            assert process.exitcode == -signal.SIGKILL, log.read_text()[-3000:]
            running[kill % AT_ONCE] = start()
        for process, _ in running:
            kill_tree(process.pid)
    assert watch.faults == []
    assert len(seen) > kills / 4
    figures(f"{kills} kills, a reader verified {watch.files} snapshots, {len(seen)} were current", landed_in=landed)
