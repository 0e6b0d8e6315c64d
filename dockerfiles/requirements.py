"""Print what pyproject.toml asks for, without Sightline itself: ``requirements.py EXTRA...``, one requirement a line.

The dependencies have a layer of their own, which outlives every change of the code.
"""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print the dependencies and those of the extras that the arguments name."""
    project = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in sys.argv[1:]:
        wanted += project["optional-dependencies"][extra]
    sys.stdout.write("".join(f"{requirement}\n" for requirement in wanted))


if __name__ == "__main__":
    main()
