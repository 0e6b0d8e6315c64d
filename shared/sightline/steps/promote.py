"""Promote: makes the selected models champions, by compare-and-swap; then updates the database.

A run that is killed between any two of these finds the decision of evaluate and completes it.

Only where another run was faster a model is measured: its champion, for the detections of the candidates are kept on
the work volume.  That is rare and takes no training, so promote holds no accelerator: without one it uses the CPU,
whatever ``train.device`` says.
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
    """Carry out the decision of evaluate; if another run was faster, compare with its champion first.

    Args:
        config: The whole configuration.
        code: Stands for the code of evaluate.
        train: The candidates.

    Returns:
        The decision that was carried out.

    Raises:
        StepError: Champions change faster than they can be measured.
        SightlineError: Whatever :func:`sightline.steps.evaluate.run` raises.
    """
    storage = open_storage(config.storage.uri)
    dataset = DatasetTag.parse(train.training_tag).dataset
    device = "auto" if config.train.device == "cuda" else config.train.device
    decide = evaluate.decide  # the log of evaluate has the decision, but not one that follows another run's champion
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
