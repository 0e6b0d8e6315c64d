"""Whether a model file, loaded back from the result bucket, is the network that was trained.

Training keeps the predictions of the network in memory for a few images of the val split; the evaluation compares them
with those of the loaded file, and its metrics with those that training measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sightline.evaluation.inference import predictions_from_json, predictions_to_json
from sightline.tasks.exporters import Agreement, agreement, has_comparison

if TYPE_CHECKING:
    from sightline.data.formats.coco import CocoImage
    from sightline.tasks.base import Prediction

TOLERANCE = 0.005
"""Largest difference between a metric before a model was saved and after it was loaded, which rounding explains."""

REFERENCE_IMAGES = 4
REFERENCE_BYTES = 2**18
"""Limits of the predictions that are kept of each model; they are part of every checkpoint."""

_SHOWN = 4


def reference_predictions(predictions: Sequence[Prediction]) -> str:
    """The predictions that training keeps of a model, as JSON text; empty without predictions.

    Args:
        predictions: The predictions of the network in memory; the first ones are taken, as many as the limits allow.
    """
    for images in range(min(len(predictions), REFERENCE_IMAGES), 0, -1):
        text = predictions_to_json(predictions[:images])
        if len(text) <= REFERENCE_BYTES:
            return text
    return ""


def compare_predictions(
    reference: str, found: Sequence[Prediction], images: Sequence[CocoImage], task: str, image_size: int
) -> Agreement | None:
    """Compare the predictions of the network in memory with those of the loaded file.

    Args:
        reference: From :func:`reference_predictions`.
        found: The predictions of the loaded file.
        images: The images that they are for.
        task: Name of the task.
        image_size: Size of the network's input, pixels.

    Returns:
        None if there are no images in common, or the task cannot compare predictions.

    Raises:
        DocumentError: The text is not valid.
    """
    loaded = {one.image_id: one for one in found}
    scales = {image["id"]: image_size / max(image["width"], image["height"]) for image in images}
    kept = predictions_from_json(reference, type(found[0])) if reference and found else []
    pairs = [(one, loaded[one.image_id], scales[one.image_id]) for one in kept if one.image_id in loaded]
    return agreement(task, pairs) if pairs and has_comparison(task) else None


def parity(trained: Mapping[str, float], loaded: Mapping[str, float], predictions: Agreement | None = None) -> str:
    """Compare a model in memory with its file, loaded back from the result bucket.

    Args:
        trained: Metrics on the val split that training measured before it saved the model.
        loaded: Metrics of the loaded model on the same split.
        predictions: The agreement of the predictions; None if they were not compared.

    Returns:
        One sentence without a full stop, which begins with "other" if something differs; empty if there was nothing to
        compare.

    Example:
        >>> parity({"box_AP": 0.5}, {"box_AP": 0.5, "EIR": 1.0})
        'the same metrics as before it was saved (box_AP)'
        >>> parity({"box_AP": 0.5}, {"box_AP": 0.4})
        'other metrics than before it was saved: box_AP 0.4000 instead of 0.5000'
    """
    common = [name for name in loaded if name in trained]
    differing = [name for name in common if abs(trained[name] - loaded[name]) > TOLERANCE]
    faults: list[tuple[str, str]] = []
    agreed: list[tuple[str, str]] = []
    if predictions is not None:
        (agreed if predictions.holds else faults).append(("predictions", predictions.line()))
    if differing:
        shown = (f"{name} {loaded[name]:.4f} instead of {trained[name]:.4f}" for name in differing[:_SHOWN])
        faults.append(("metrics", ", ".join(shown)))
    elif common:
        more = f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else ""
        agreed.append(("metrics", f"{', '.join(common[:_SHOWN])}{more}"))
    if faults:
        what = " and ".join(name for name, _ in faults)
        return f"other {what} than before it was saved: {'; '.join(text for _, text in faults)}"
    what = " and ".join(name for name, _ in agreed)
    return f"the same {what} as before it was saved ({'; '.join(text for _, text in agreed)})" if agreed else ""
