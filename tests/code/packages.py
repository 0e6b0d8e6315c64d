"""Packages to publish, and processes that stand for pods."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REAL = ROOT / "shared" / "sightline"


def small_package(folder, text="first"):
    """A package of a few files; ``text`` makes the difference between two of them."""
    files = {
        "__init__.py": "",
        "version.py": f"TEXT = {text!r}\n",
        "py.typed": "",
        "config/recipes/a.yaml": "seed: 1\n",
        "report/templates/page.html": "<p>Größe</p>\r\n",
        "database/migrations/versions/0001_first.py": "",
    }
    for name, content in files.items():
        path = folder / "sightline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    return folder / "sightline"


def edited_package(folder, word):
    """Sightline itself with an edit: ``sightline.errors.EDITED`` is ``word``."""
    shutil.copytree(REAL, folder / "sightline", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "sightline" / "errors.py").open("a") as stream:
        stream.write(f"\nEDITED = {word!r}\n")
    return folder / "sightline"


def snapshot_folder(volume, revision):
    return volume / "snapshots" / revision


def unprotect(folder):
    """Let somebody meddle with a snapshot."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def pod(program, cwd, check=True, **variables):
    """Run a program as a pod of the image does: Sightline is installed, and not imported yet."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "shared"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: str(value) for name, value in variables.items()},
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done
