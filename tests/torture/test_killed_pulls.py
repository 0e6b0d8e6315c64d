"""SIGKILL at random moments of a checkout and of a download: no reader ever sees a part of anything."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import signal
import time
from collections import Counter

import psutil
import pytest

from sightline.storage import open_storage
from tests.torture import tortured
from tests.torture.killing import kill_alone, kill_tree, where
from tests.torture.recording import World, environment
from tests.torture.watching import checkouts, md5_of, objects, watching


def run_and_kill(start, log, moments, seconds):
    """Start something and kill it; the place where the kill landed, or "" when it ended before."""
    process = start()
    process.join(moments.uniform(0, seconds))
    if process.is_alive():
        place = where(process.pid, log)
        if moments.random() < 0.2:
            psutil.wait_procs(kill_alone(process.pid), timeout=60)
        else:
            kill_tree(process.pid)
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}, log.read_text()[-3000:]
    return place if process.exitcode else ""


def forget(folder):
    """Remove a folder as a whole, so that the reader sees no part of it either."""
    shutil.rmtree(folder.rename(folder.parent / ".removed"))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["undisturbed", "undisturbed_in_google_storage"])
def test_no_part_of_a_checkout_is_ever_seen(request, place, tmp_path, warm_processes, amount, moments, figures):
    world = World.on(request.getfixturevalue(place).world, f"sqlite:///{tmp_path}/db.sqlite")
    dataset, tags = next(iter(world.tags.items()))
    photos = world.folder / f"photos-{tags[0]}"
    wanted = {path.relative_to(photos).as_posix(): md5_of(path) for path in photos.rglob("*") if path.is_file()}
    work, log, kills = tmp_path / "work", tmp_path / "log", amount(3, 100)

    def start():
        target = (tortured.check_out, str(log), environment(), str(world.repository), tags[0], str(work))
        process = warm_processes.Process(target=tortured.watched, args=target, daemon=True)
        process.start()
        return process

    def look():
        yield from checkouts(work / "checkouts", {f"annotations/{dataset}": wanted})
        yield from objects(work / "dvc-cache")

    landed = Counter()
    whole = 0
    with watching(look) as watch:
        began = time.monotonic()
        start().join()
        seconds = time.monotonic() - began
        forget(work)
        while sum(landed.values()) < kills or whole < 2:
            place = run_and_kill(start, log, moments, seconds)
            if place:
                landed[place] += 1
                if moments.random() < 0.7:
                    continue
                start().join()
            # A finished checkout: the next one has a cache or has none.
            whole += 1
            assert [path.name.rpartition("-")[0] for path in (work / "checkouts").glob("[!.]*")] == [tags[0]]
            forget(work if moments.random() < 0.5 else work / "checkouts")
    assert watch.faults == []
    figures(
        f"{kills} kills, {whole} checkouts completed, a reader looked {watch.looks} times at {watch.files} things",
        landed_in=landed,
    )


@pytest.mark.slow
def test_no_part_of_a_download_is_ever_seen(tmp_path, bucket, warm_processes, amount, moments, figures):
    uri = bucket
    storage, target, log = open_storage(uri), tmp_path / "here" / "model.bin", tmp_path / "log"
    sizes = {}
    for number in range(4):
        data = bytes([number + 65]) * (3_000_000 + number)
        storage.write_bytes(f"models/{number}.bin", data)
        sizes[len(data)] = data
    kills, landed = amount(3, 100), Counter()
    keys = itertools.cycle(f"models/{number}.bin" for number in range(4))

    def start():
        work = (tortured.download, str(log), environment(), uri, next(keys), str(target))
        process = warm_processes.Process(target=tortured.watched, args=work, daemon=True)
        process.start()
        return process

    def look():
        with contextlib.suppress(FileNotFoundError):
            data = target.read_bytes()
            yield "" if sizes.get(len(data)) == data else f"{target} has {len(data)} bytes, beginning {data[:8]!r}"

    with watching(look) as watch:
        began, first = time.monotonic(), start()
        while first.is_alive() and not target.is_file():
            time.sleep(0.005)
        seconds = time.monotonic() - began
        kill_tree(first.pid)
        target.unlink()
        while sum(landed.values()) < kills or not target.is_file():
            place = run_and_kill(start, log, moments, seconds + 0.5)
            landed.update([place] if place else [])
    assert watch.faults == []
    figures(f"{kills} kills, a reader looked {watch.looks} times", landed_in=landed)
