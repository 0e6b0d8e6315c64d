"""How long the commands take to start: import, help and compile, against a bare interpreter in the same run."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 7


def median_seconds(*arguments: str) -> float:
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            ("bare interpreter", ("-c", "pass"), None),
            ("import sightline", ("-c", "import sightline"), 0.3),
            ("import sightline.config.decode", ("-c", "import sightline.config.decode"), None),
            ("import kfp", ("-c", "import kfp"), None),
            ("pipeline.py --help", ("pipeline.py", "--help"), 1.0),
            ("pipeline.py compile", ("pipeline.py", "compile", "-o", f"{folder}/pipeline.yaml"), 5.0),
        ]
        bare = 0.0
        for name, arguments, target in cases:
            seconds = median_seconds(*arguments)
            bare = bare or seconds
            limit = f"  target < {target:g} s" if target else ""
            print(f"{name:32} {seconds:6.3f} s  {seconds / bare:6.1f} x bare{limit}")


if __name__ == "__main__":
    main()
