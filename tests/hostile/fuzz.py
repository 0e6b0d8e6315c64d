"""Coverage-guided fuzzing of one reader: ``python -m tests.hostile.fuzz manifest --executions 1000000``.

Inputs that reached new code are kept in ``.fuzz/<target>`` and are where the next run begins.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sightline"]):
    from tests.hostile.targets import TARGETS, Target


def main() -> None:
    """Run one target; the exit code is 1, and the input is shown, when it raises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--max-bytes", type=int, default=2048)
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    folder = Path(".fuzz", arguments.target)
    _prepare(folder, target)
    counter = Counter(target, arguments.target, arguments.executions)
    options = [f"-atheris_runs={arguments.executions}", f"-max_len={arguments.max_bytes}", "-verbosity=0"]
    options += [f"-dict={folder}.dict", f"-artifact_prefix={folder}-", "-timeout=10", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *options, str(folder)], counter)
    atheris.Fuzz()


class Counter:
    """Calls the target, and prints how many executions there were once they are done."""

    def __init__(self, target: Target, name: str, executions: int) -> None:
        self.target, self.name, self.left = target, name, executions
        self.executions, self.started = executions, time.monotonic()

    def __call__(self, data: bytes) -> None:
        """One execution."""
        self.target.run(data)
        self.left -= 1
        if self.left == 0:
            # libFuzzer's alarm for inputs that take long would end the process while it shuts down.
            signal.setitimer(signal.ITIMER_REAL, 0)
            seconds = time.monotonic() - self.started
            done = f"{self.executions:,} executions, {self.executions / seconds:,.0f}/s"
            sys.stdout.write(f"fuzz {self.name}: {done}, no unexpected exception\n")
            sys.stdout.flush()


def _prepare(folder: Path, target: Target) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(target.seeds):
        (folder / f"seed-{index}").write_bytes(seed)
    lines = ["".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogatepass")) for word in target.words]
    Path(f"{folder}.dict").write_text("".join(f'"{line}"\n' for line in lines), encoding="ascii")


if __name__ == "__main__":
    main()
