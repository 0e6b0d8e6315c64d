"""Seconds from a tag on Google Storage to its files in a folder, against `dvc pull` at its best number of jobs.

Both sides run as processes of their own: Python's start, imports and, for Sightline, cloning the data repository count.
DVC pulls into a clone that is there already.  python benchmarks/pull.py
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, show
from sightline.data.dvc.manifest import manifest_bytes, manifest_md5
from sightline.data.dvc.objects import object_key
from sightline.data.git.commands import dvc, git
from sightline.data.repository.creation import init_repository
from sightline.data.tags import DatasetTag
from sightline.storage import Upload, open_storage
from tests.servers.google_storage import google_storage

FILES, MANY_FILES, BYTES = 1_501, 15_000, 20_000
JOBS = (2, 8, 16)
ROUNDS = 5
PULL = (
    "import sys; from pathlib import Path; from sightline.data.repository.checkout import checkout;"
    "from sightline.data.workspace import Workspace;"
    "checkout(Workspace(sys.argv[1], Path(sys.argv[3])), sys.argv[2]);"
    # Not ru_maxrss: that begins with the memory of the process which started this one.
    "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
)


def publish(repository: Path, remote: str, tag: DatasetTag, files: int) -> None:
    """A version with random files, put together without DVC, which takes minutes to push it."""
    numbers = random.Random(files)
    folder = repository / tag.folder
    folder.mkdir(parents=True)
    manifest = {}
    for number in range(files):
        data = numbers.randbytes(BYTES)
        (folder / f"{number:06}.jpg").write_bytes(data)
        manifest[f"{number:06}.jpg"] = hashlib.md5(data).hexdigest()
    listed = repository / "list"
    listed.write_bytes(manifest_bytes(manifest))

    def uploads() -> Iterator[Upload]:
        for name, md5 in manifest.items():
            yield Upload(folder / name, object_key(md5))
        yield Upload(listed, object_key(manifest_md5(manifest)))

    for outcome in open_storage(f"{remote}/{tag.room}").upload_many(uploads()):
        if outcome.error:
            raise outcome.error
    size = files * BYTES
    (repository / tag.dvc_file).write_text(
        f"outs:\n- md5: {manifest_md5(manifest)}\n  size: {size}\n  nfiles: {files}\n  hash: md5\n"
        f"  path: {tag.dataset}\n  remote: {tag.room}\n"
    )
    shutil.rmtree(folder)
    listed.unlink()
    for arguments in (["add", "--force", tag.dvc_file], ["commit", "--quiet", "-m", str(tag)], ["tag", str(tag)]):
        git(*arguments, cwd=repository, timeout_seconds=60)


def pull(repository: Path, tag: DatasetTag, work: Path) -> tuple[float, float]:
    """Seconds, and the most memory that the process had, in MB."""
    began = time.perf_counter()
    arguments = [sys.executable, "-c", PULL, str(repository), str(tag), str(work)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, int(done.stdout) / 1024


class DvcClone:
    """A clone of one version into which DVC pulls."""

    def __init__(self, repository: Path, tag: DatasetTag, path: Path) -> None:
        git("clone", "--quiet", "--branch", str(tag), str(repository), str(path), timeout_seconds=60)
        self.path, self.tag = path, tag

    def pull(self, jobs: int, *, cold: bool) -> float:
        shutil.rmtree(self.path / self.tag.folder, ignore_errors=True)
        if cold:
            shutil.rmtree(self.path / ".dvc" / "cache", ignore_errors=True)
            shutil.rmtree(self.path / ".dvc" / "tmp", ignore_errors=True)
        began = time.perf_counter()
        dvc("pull", "--quiet", "--jobs", str(jobs), self.tag.dvc_file, cwd=self.path, timeout_seconds=600)
        return time.perf_counter() - began


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, google_storage() as rig:
        folder, remote = Path(name), f"gs://{rig.new_bucket()}"
        os.environ.update(rig.environment)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles an installed package at every start
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        repository, few, many = folder / "data", DatasetTag("bench", "ann", "few"), DatasetTag("bench", "ann", "many")
        init_repository(repository, remote)
        publish(repository, remote, few, FILES)
        publish(repository, remote, many, MANY_FILES)
        clone = DvcClone(repository, few, folder / "clone")
        theirs: dict[int, list[float]] = {jobs: [] for jobs in JOBS}
        theirs_warm, cold, warm, memory = [], [], [], []
        for number in range(ROUNDS):
            for jobs in JOBS:
                theirs[jobs].append(clone.pull(jobs, cold=True))
                work = folder / f"work-{number}-{jobs}"
                seconds, megabytes = pull(repository, few, work)
                cold.append(seconds)
                memory.append(megabytes)
                shutil.rmtree(work / "checkouts")
                warm.append(pull(repository, few, work)[0])
                shutil.rmtree(work)
            theirs_warm.append(clone.pull(2, cold=False))
        _, much = pull(repository, many, folder / "many")
    medians = {jobs: statistics.median(values) for jobs, values in theirs.items()}
    jobs = min(medians, key=lambda jobs: medians[jobs])
    peer, against = medians[jobs], f"dvc pull -j {jobs}: {medians[jobs]:.2f} s"
    theirs_again, ours, again, few_mb = map(statistics.median, (theirs_warm, cold, warm, memory))
    return [
        Figure(f"pull {FILES:,} files of 20 kB", f"{ours:.2f} s", against, peer / ours, ">= 2.5 x", peer / ours >= 2.5),
        Figure("the same, cache full", f"{again:.2f} s", against, peer / again, ">= 10 x", peer / again >= 10),
        Figure("the same, cache full", f"{again:.2f} s", f"dvc, the same: {theirs_again:.2f} s", theirs_again / again),
        Figure(
            f"memory of a pull of {MANY_FILES:,} files, its main process", f"{much:.0f} MB",
            f"{FILES:,} files: {few_mb:.0f} MB", much / few_mb, "< 1.5 x", much < 1.5 * few_mb,
        ),
    ]  # fmt: skip


def main() -> None:
    show("Pull of a version from Google Storage", measure())


if __name__ == "__main__":
    main()
