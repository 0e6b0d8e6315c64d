"""A model file of 200 MB into a bucket, verified, against a bare google-cloud-storage upload in the same run.

Both go to the emulator, one after the other, in turns: what is compared is the work on this side, which reads the file
twice, because the checksum goes ahead of the bytes.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from google.cloud.storage import Client

from benchmarks.figures import Figure, show
from sightline.storage import open_storage
from tests.servers.google_storage import google_storage

SIZE = 200_000_000
RUNS = 7
TARGET = 1.3


def turns(bare: Callable[[], object], ours: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Seconds of each, after one of each that does not count."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(RUNS + 1):
        for works in [(0, bare), (1, ours)] if turn % 2 else [(1, ours), (0, bare)]:
            began = time.perf_counter()
            works[1]()
            if turn:
                seconds[works[0]].append(time.perf_counter() - began)
    return seconds


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory() as folder, google_storage() as rig:
        os.environ.update(rig.environment)
        model = Path(folder) / "model.safetensors"
        model.write_bytes(os.urandom(SIZE))
        name = rig.new_bucket()
        storage, bucket = open_storage(f"gs://{name}"), Client(project="bench").bucket(name)
        bare, ours = turns(
            lambda: bucket.blob("bare").upload_from_filename(model),
            lambda: storage.upload(model, "ours"),
        )
        stored, uploaded = storage.stat("bare"), storage.stat("ours")
        assert stored is not None
        assert uploaded is not None
        assert (stored.size, stored.crc32c) == (uploaded.size, uploaded.crc32c) == (SIZE, stored.crc32c)
    # Neighbours in time are compared with each other: the machine may be busier at one time than at another.
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    return [
        Figure(
            f"upload of {SIZE / 1e6:.0f} MB, verified, median of {RUNS}",
            f"{statistics.median(ours):.2f} s",
            f"bare google-cloud-storage {statistics.median(bare):.2f} s",
            1 / ratio,
            f"within {TARGET} x of its time ({ratio:.2f})",
            ratio <= TARGET,
        )
    ]


if __name__ == "__main__":
    show("upload", measure())
