"""Helper code on a volume: publishing it, activating it in a pod, and what its imports cost without compiled files."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, show
from sightline.code import make_snapshot, publish_to_bucket, publish_to_volume
from sightline.storage import open_storage

ROOT = Path(__file__).parents[1]
RUNS = 7
STEP = "import sightline.steps.task, sightline.steps.record"
TIMED = """
import time
began = time.perf_counter()
{}
print(time.perf_counter() - began)
"""


def seconds_in_pods(lines: str, shared: Path, **variables: str) -> float:
    """Median time that some lines take in a fresh process that has the Sightline of an image at ``shared``."""
    environment = {**os.environ, "PYTHONPATH": str(shared), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-c", TIMED.format(lines)]
    answers = [
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=shared).stdout
        for _ in range(RUNS)
    ]
    return statistics.median(float(answer) for answer in answers)


def image(folder: Path) -> Path:
    """The package as an image has it: with compiled files."""
    shared = folder / "image"
    shutil.copytree(ROOT / "shared", shared, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(shared)], check=True)
    return shared


def published(folder: Path) -> tuple[float, float, str]:
    """Median seconds of publishing the package to an empty volume and to an empty bucket, and the revision."""
    to_volume, to_bucket = [], []
    for number in range(RUNS):
        began = time.perf_counter()
        publish_to_volume(make_snapshot(), folder / f"volume{number}")
        to_volume.append(time.perf_counter() - began)
        began = time.perf_counter()
        publish_to_bucket(make_snapshot(), open_storage(str(folder / f"bucket{number}")))
        to_bucket.append(time.perf_counter() - began)
    return statistics.median(to_volume), statistics.median(to_bucket), make_snapshot().revision


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shared, (to_volume, to_bucket, revision) = image(folder), published(folder)
        (folder / "settings.yaml").write_text(f"storage: {{uri: '{folder}/bucket0'}}\n")
        pod = {"SIGHTLINE_CODE": f"{folder}/volume0", "SIGHTLINE_SETTINGS": f"{folder}/settings.yaml"}
        activate = f"from sightline_bootstrap import activate; activate('{revision}')"
        pin = "from sightline_bootstrap import pin; pin('current')"
        bare = seconds_in_pods("pass", shared)
        activated, pinned = seconds_in_pods(activate, shared, **pod), seconds_in_pods(pin, shared, **pod)
        of_image, of_snapshot = seconds_in_pods(STEP, shared), seconds_in_pods(f"{activate}\n{STEP}", shared, **pod)
    both = to_volume + activated
    peer = f"code_rev=image {of_image:.3f} s"
    return [
        figure("publish to a volume and activate", both, 2.0),
        figure("publish to a bucket", to_bucket, 2.0),
        figure("activate in a pod", activated, 0.15),
        figure("pin code_rev=current in resolve", pinned - bare, None),
        figure("activate and import a step without torch", of_snapshot, None, peer, of_image / of_snapshot),
    ]


def figure(name: str, seconds: float, target: float | None, peer: str = "", ratio: float | None = None) -> Figure:
    promise = ("", None) if target is None else (f"< {target:g} s", seconds < target)
    return Figure(f"{name}, median of {RUNS}", f"{seconds:.3f} s", peer, ratio, *promise)


if __name__ == "__main__":
    show("Helper code on a volume", measure())
