"""labelme's own examples, where this machine has them."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "labelme"

REAL_LABELME = Path(os.environ.get("SIGHTLINE_LABELME_DATA") or _BESIDE)
"""The folder of the examples."""

needs_real_labelme = pytest.mark.skipif(
    not REAL_LABELME.is_dir(),
    reason="labelme's examples are neither in SIGHTLINE_LABELME_DATA nor beside the repository",
)
