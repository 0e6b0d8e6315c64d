"""A pod installs only what its step needs: what the base extra must do without is made impossible to import."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sightline.extras import DISTRIBUTION

BLOCK = "import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"

TORCH = ("torch", "torchvision", "timm", "safetensors")
CLOUD = ("google.cloud", "pymysql", "kfp", "kubernetes", "tensorboard")


def run_without(blocked, script):
    command = [sys.executable, "-c", BLOCK.format(blocked=blocked) + script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "sightline.runs.resolve",
        "sightline.steps.record",
        "sightline.steps.task",
        "sightline.runs.local_run",
        "sightline.cli.config",
        "sightline.cli.data",
        "sightline.cli.db",
        "sightline.cli.demo",
        "sightline.cli.labelme",
    ],
)
def test_the_base_extra_is_enough_for(module):
    run_without(TORCH + CLOUD, f"import {module}\n")


def test_the_base_extra_resolves_a_configuration():
    script = "from sightline.runs.resolve import run\nprint(run('plates', '', 'plates_ann_v1', '').config.data.tag)\n"
    assert run_without(TORCH + CLOUD, script) == "plates_ann_v1\n"


def test_without_torch_a_model_command_says_what_to_install(tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"x")
    script = f"from sightline.cli import main\nsys.argv = ['sightline', 'model', 'show', {str(model)!r}]\nmain()\n"
    command = [sys.executable, "-c", BLOCK.format(blocked=TORCH) + script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "'.[vision]'" in done.stderr


def test_no_message_or_page_installs_another_project():
    """``sightline`` on the package index is somebody else's: only the checkout or a wheel is installed."""
    root = Path(__file__).parents[1]
    texts = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("shared/sightline/**/*.py"), root / "Makefile"]
    wrong = re.compile(r"pip install[^\n]*\bsightline(?![-_\w./])")
    assert [str(path) for path in texts if wrong.search(path.read_text(encoding="utf-8"))] == []
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION
