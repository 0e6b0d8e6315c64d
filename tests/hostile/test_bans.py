"""The calls that would undo the limits are refused by the linter."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = {
    "from PIL import Image\nImage.open('a')": "PIL.Image.open",
    "import PIL.Image\nPIL.Image.open('a')": "PIL.Image.open",
    "import json\njson.loads('1')": "json.loads",
    "import yaml\nyaml.safe_load('1')": "yaml.safe_load",
    "import torch\ntorch.load('a.pt', weights_only=True)": "torch.load",
    "import torch\ntorch.hub.load('a', 'b')": "torch.hub",
    "import numpy as np\nnp.load('a')": "numpy.load",
    "import pickle": "pickle",
    "from pickle import loads": "pickle.loads",
    "import joblib": "joblib",
    "import shelve": "shelve",
    "import tarfile": "tarfile",
    "from zipfile import ZipFile": "zipfile.ZipFile",
    "import shutil\nshutil.unpack_archive('a')": "shutil.unpack_archive",
}


def lint(code, place):
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--no-cache", "--output-format", "concise"]
    command += ["--stdin-filename", str(ROOT / place), "-"]
    return subprocess.run(command, input=code, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("place", ["shared/sightline/steps/x.py", "components/train/x.py", "pipeline.py"])
def test_the_linter_refuses_what_would_undo_a_limit(place):
    output = lint("\n".join(BANNED), place)
    for name in BANNED.values():
        assert (
            f"TID251 `{name.rpartition('.')[0] if name.startswith(('pickle.', 'zipfile.')) else name}` is banned"
            in output
        )


def test_weights_are_unpickled_and_downloaded_in_one_place():
    code = "import torch\ntorch.load('a.pt', weights_only=True)\ntorch.hub.download_url_to_file('a', 'b')"
    assert lint(code, "shared/sightline/models/weights/sources.py").count("is banned") == 2
    assert lint(code, "shared/sightline/models/weights/tensors.py").count("is banned") == 0
