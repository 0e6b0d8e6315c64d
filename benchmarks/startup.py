"""How long the commands take to start: import, help and compile, against a bare interpreter in the same run."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, show

ROOT = Path(__file__).parents[1]
RUNS = 7


def median_seconds(*arguments: str) -> float:
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            ("import sightline", ("-c", "import sightline"), 0.3),
            ("import sightline.config.decode", ("-c", "import sightline.config.decode"), None),
            ("import kfp", ("-c", "import kfp"), None),
            ("pipeline.py --help", ("pipeline.py", "--help"), 1.0),
            ("pipeline.py compile", ("pipeline.py", "compile", "-o", f"{folder}/pipeline.yaml"), 3.0),
        ]
        bare = median_seconds("-c", "pass")
        figures = []
        for name, arguments, target in cases:
            seconds = median_seconds(*arguments)
            peer = f"bare interpreter {bare:.3f} s"
            promise = ("", None) if target is None else (f"< {target:g} s", seconds < target)
            figures.append(Figure(f"{name}, median of {RUNS}", f"{seconds:.3f} s", peer, bare / seconds, *promise))
    return figures


if __name__ == "__main__":
    show("Start", measure())
