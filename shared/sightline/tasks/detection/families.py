"""Networks of detection tasks besides the default, by their name in ``model.network``."""

from __future__ import annotations

TRANSFORMERS = {"rfdetr": "sightline.tasks.detection.transformer_settings:RfDetr"}
MASK_TRANSFORMERS = {"rfdetr": "sightline.tasks.detection.transformer_settings:RfDetrWithMasks"}
