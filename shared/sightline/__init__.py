"""Sightline: from labeled images to a selected, tested and traceable vision model.

In Python: ``sightline.load_predictor("champion:plates").predict("plate.jpg")``; see docs/python.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.prediction.document import prediction_document as prediction_document
    from sightline.prediction.exported import ExportedModel as ExportedModel
    from sightline.prediction.models import find_model as find_model
    from sightline.prediction.models import load_predictor as load_predictor
    from sightline.tasks.base import Predictor as Predictor
    from sightline.tasks.detection.readings import readings_of as readings_of
    from sightline.version import __version__ as __version__

_PUBLIC = {
    "ExportedModel": "sightline.prediction.exported",
    "Predictor": "sightline.tasks.base",
    "__version__": "sightline.version",
    "find_model": "sightline.prediction.models",
    "load_predictor": "sightline.prediction.models",
    "prediction_document": "sightline.prediction.document",
    "readings_of": "sightline.tasks.detection.readings",
}
"""Public name -> its module, imported on use, so that ``import sightline`` is fast."""


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sightline' has no attribute {name!r}; it has {', '.join(sorted(_PUBLIC))}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
