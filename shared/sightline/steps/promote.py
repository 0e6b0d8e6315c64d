"""Promote: makes the selected models champions, by compare-and-swap; then updates the database.

A run that is killed at any point finds the decision of evaluate when it is repeated, and completes it.

A model is measured only if another run changed the champion meanwhile: that champion, because the detections of the
candidates are kept on the work volume.  This is rare and involves no training, so promote uses no accelerator: without
one it runs on the CPU, regardless of ``train.device``.
"""

from __future__ import annotations

import logging

from sightline.config.schema import Config
from sightline.data.tags import DatasetTag
from sightline.errors import PreconditionFailedError, StepError
from sightline.registry.promotion import promote
from sightline.registry.results import EvaluateResult, TrainResult
from sightline.steps import evaluate
from sightline.storage import open_storage

MAX_ATTEMPTS = 5

_log = logging.getLogger(__name__)


def run(config: Config, code: str, train: TrainResult) -> EvaluateResult:
    """Apply the decision of evaluate; if another run was faster, compare with its champion first.

    Args:
        config: The complete configuration.
        code: Digest of evaluate's code.
        train: The candidates.

    Returns:
        The decision that was applied.

    Raises:
        StepError: Champions change faster than they can be measured.
        SightlineError: Errors of :func:`sightline.steps.evaluate.run`.
    """
    storage = open_storage(config.storage.uri)
    dataset = DatasetTag.parse(train.training_tag).dataset
    device = "auto" if config.train.device == "cuda" else config.train.device
    decide = evaluate.decide  # evaluate has logged the decision, unless another run's champion changed it
    if config.data.fold:
        return decide(config, code, train, device=device)
    for _ in range(MAX_ATTEMPTS):
        result = decide(config, code, train, device=device)
        try:
            promote(config, dataset, storage, result)
        except PreconditionFailedError:
            _log.info("another run changed a champion of %s; comparing with the new one", dataset)
            decide = evaluate.run
            continue
        return result
    raise StepError(
        f"the champions of {dataset} changed {MAX_ATTEMPTS} times while they were measured; "
        "run the pipeline again when the other runs are done"
    )
