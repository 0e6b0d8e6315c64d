"""What happens when a loss or its gradient is not finite."""

from __future__ import annotations

import json
import logging
import math

from PIL import Image

from sightline.engine.checkpoint import take_snapshot
from sightline.engine.state import Training
from sightline.errors import StepError
from sightline.files import write_atomically

FOLDER = "not-finite"

_log = logging.getLogger(__name__)


def allows_step(training: Training) -> bool:
    """Whether the gradients may change the weights.

    A few iterations in a row are left out.  With float16, gradients that overflow are ordinary, and lower the scale.

    Raises:
        StepError: Too many iterations in a row; batch and state were saved.
    """
    state = training.state
    if math.isfinite(training.loss + training.gradient_norm):
        state.not_finite = 0
        return True
    if math.isfinite(training.loss) and training.precision.tolerates_overflow:
        return True  # the scaler leaves the step out
    state.not_finite += 1
    parts = ", ".join(f"{name} {loss:g}" for name, loss in training.losses.items())
    what = (
        f"iteration {state.iteration}: the loss or its gradient is not finite ({parts}; gradient norm "
        f"{training.gradient_norm:g}; learning rate {training.learning_rate:g})"
    )
    if state.not_finite <= training.settings.skip_not_finite:
        _log.warning(
            "%s; leaving it out, %d of at most %d in a row", what, state.not_finite, training.settings.skip_not_finite
        )
        training.precision.skip()
        return False
    folder = _save(training)
    raise StepError(
        f"{what}; its images and the state are in {folder}; try a smaller train.learning_rate, a longer "
        "train.warmup_iterations or a smaller train.clip_norm"
    )


def _save(training: Training) -> str:
    """Save the images and annotations of the batch, and the state before the step."""
    folder = training.files / FOLDER
    folder.mkdir(exist_ok=True)
    described = []
    for sample in training.batch:
        name = f"image-{sample.image_id}-rank{training.group.rank}.png"
        Image.fromarray(sample.image).save(folder / name)
        boxes = sample.boxes_xyxy.tolist()
        described.append({"image_id": sample.image_id, "file": name, "boxes": boxes, "labels": sample.labels.tolist()})
    document = {"iteration": training.state.iteration, "losses": {k: str(v) for k, v in training.losses.items()}}
    write_atomically(
        folder / f"batch-rank{training.group.rank}.json", json.dumps(document | {"images": described}, indent=1)
    )
    if training.group.is_first:
        take_snapshot(training, {}).write(folder / "state.safetensors")
    return str(folder)
