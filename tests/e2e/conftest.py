"""A whole world in a folder: drawn plates, a data repository, a home; and the pipeline as a person starts it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sightline.storage import open_uri

ROOT = Path(__file__).parents[2]

TINY = [
    "model.image_size=96",
    "model.fpn_channels=16",
    "model.head_channels=32",
    "model.mask_channels=16",
    "model.anchor_sizes=[6, 12, 24, 48]",
    "train.iterations=6",
    "train.batch_size=2",
    "train.warmup_iterations=1",
    "train.validate_every=3",
    "train.checkpoint_every=1",
    "train.log_every=1",
    "train.workers=0",
    "evaluate.drawn_images=2",
    "evaluate.minimum=0",
]
"""Overrides that make a run take seconds; the model learns nothing, and becomes champion nevertheless."""


class World:
    """One home with a data repository, and commands run as a person would run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.photos = folder / "photos"
        self.environment = {
            **os.environ,
            "HOME": str(folder / "empty-home"),
            "SIGHTLINE_HOME": str(self.home),
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}",
            "OMP_NUM_THREADS": "1",
        }
        self.environment.pop("SIGHTLINE_RUN_ID", None)
        (folder / "empty-home").mkdir(parents=True)

    def sightline(self, *arguments: str, expect: int = 0) -> str:
        return self._run([sys.executable, "-m", "sightline", *arguments], expect)

    def pipeline(self, *arguments: str, expect: int = 0) -> str:
        return self._run([sys.executable, str(ROOT / "pipeline.py"), *arguments], expect)

    def run(self, tag: str, *arguments: str, expect: int = 0) -> str:
        return self.pipeline(*self.run_arguments(tag, *arguments), expect=expect)

    def run_arguments(self, tag: str, *arguments: str) -> list[str]:
        overrides = [part for override in [*TINY, f"data.tag={tag}"] for part in ("--set", override)]
        return ["run", "--local", "--recipe", "plates", *overrides, *arguments]

    def killed_run(self, tag: str, step: str, *, log_line: str) -> None:
        """Start a run and SIGKILL its whole process group as soon as the log shows ``log_line`` in ``step``."""
        command = [sys.executable, str(ROOT / "pipeline.py"), *self.run_arguments(tag)]
        with subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            for line in process.stdout:
                if log_line in line:
                    break
            else:
                pytest.fail(f"{step}: the log never showed {log_line!r}")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(0.1)

    def runs(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.home.glob("work/runs/*/run.json"))]

    def journal(self, run_id: str) -> dict[str, dict]:
        paths = (self.home / "work" / "runs" / run_id / "tasks").glob("*.json")
        return {path.stem: json.loads(path.read_text()) for path in paths}

    def draw(self, images: int, seed: int = 1) -> None:
        self.sightline("demo", "draw", str(self.photos), "--images", str(images), "--seed", str(seed))

    def publish(self, version: str) -> None:
        if not (self.folder / "data").exists():
            self.sightline("data", "init", str(self.folder / "data"), "--remote", str(self.folder / "remote"))
        self.sightline("data", "add", str(self.photos), "--dataset", "plates", "--version", version)

    def _run(self, command: list[str], expect: int) -> str:
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=600, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == expect, f"{' '.join(command)} ended with {done.returncode}:\n{output}"
        return output


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Drawn plates under the tag ``plates_ann_v1``."""
    world = World(tmp_path_factory.mktemp("world"))
    world.draw(images=24)
    world.publish("v1")
    yield world
    shutil.rmtree(world.folder)  # hundreds of megabytes of models


def weights_digest(uri):
    """Of the tensors alone: the header names the bucket, which differs."""
    storage, key = open_uri(uri)
    data, _ = storage.read_bytes(key)
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
