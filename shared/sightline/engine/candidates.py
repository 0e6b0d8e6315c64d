"""The models that a training keeps: the best ones so far while it runs, and all candidates at its end."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from sightline.engine.checkpoints import Checkpoints, ranked_name
from sightline.engine.state import Ranked, Training
from sightline.errors import ConfigurationError
from sightline.evaluation.parity import reference_predictions
from sightline.files import write_atomically
from sightline.models.model_file import read_card, save_model
from sightline.registry.results import Candidate

_REFERENCE = ".predictions.json"


def keep_if_good(training: Training, checkpoints: Checkpoints) -> bool:
    """Save the network if it is among the best by ``train.best_metric``; returns whether it is the best.

    Models are named by their iteration, so that a training that was killed after saving one, and resumes before it,
    saves the same file again.

    Raises:
        ConfigurationError: The validation did not compute the metric.
    """
    state, settings = training.state, training.settings
    require_metric(settings.best_metric, training.metrics)
    entry = Ranked(state.iteration, training.metrics, _reference(training))
    ranking = sorted([*state.ranking, entry], key=lambda one: -one.metrics[settings.best_metric])
    state.ranking = ranking[: settings.keep_best]
    if entry in state.ranking and training.group.is_first:
        save_model(checkpoints.path(ranked_name(entry.iteration)), training.evaluated, training.card)
    state.best_iteration, state.best_metrics = ranking[0].iteration, ranking[0].metrics
    return state.ranking[0] is entry


def save_all(training: Training, checkpoints: Checkpoints) -> None:
    """Put the models of a finished training into its files: ``best``, ``best_2`` and so on, ``last``, ``last_live``.

    What a model predicted in memory stands beside it: within, rounding would change the hash of a resumed training.
    """
    for place, ranked in enumerate(training.state.ranking, start=1):
        name = "best" if place == 1 else f"best_{place}"
        _copy(checkpoints.path(ranked_name(ranked.iteration)), training.files / f"{name}.safetensors")
        _write_reference(training.files, name, ranked.reference)
    save_model(training.files / "last.safetensors", training.evaluated, training.card)
    _write_reference(training.files, "last", _reference(training))
    if training.evaluated is not training.network:  # these weights were not validated
        card = replace(training.card, metrics={}, thresholds={})
        save_model(training.files / "last_live.safetensors", training.network, card)


def _reference(training: Training) -> str:
    """The predictions of the network for the first images of the val split; empty if it was not validated now."""
    if training.card.iteration != training.state.iteration:
        return ""
    found = {prediction.image_id: prediction for prediction in training.predictions}
    images = [image["id"] for image in training.validation.truth["images"]]
    return reference_predictions([found[image_id] for image_id in images if image_id in found])


def _write_reference(files: Path, name: str, reference: str) -> None:
    if reference:
        write_atomically(files / f"{name}{_REFERENCE}", reference)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:  # a volume without hard links
        shutil.copyfile(source, part)
    part.replace(target)


def require_metric(metric: str, known: Collection[str]) -> None:
    """Require that ``train.best_metric`` is among the metrics of a validation.

    Raises:
        ConfigurationError: It is not.
    """
    if metric not in known:
        computed = f"only {', '.join(known)}; choose one of these, or" if known else "nor any other metric;"
        raise ConfigurationError(
            f"train.best_metric: validation did not compute {metric}, {computed} check that the val split has "
            "annotations"
        )


def list_candidates(files: Path, base: str) -> list[Candidate]:
    """The models of a finished training, best first; a file with the same contents as an earlier one is removed.

    Args:
        files: Folder with the models.
        base: URI that the files are published under.
    """
    candidates: list[Candidate] = []
    for path in sorted(
        files.glob("*.safetensors"), key=lambda path: (not path.stem.startswith("best"), len(path.stem), path.stem)
    ):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        reference = path.with_name(f"{path.stem}{_REFERENCE}")
        if any(candidate.sha256 == sha256 for candidate in candidates):
            path.unlink()
            reference.unlink(missing_ok=True)
            continue
        card = read_card(path)
        kept = f"{base}/{reference.name}" if reference.is_file() else ""
        uri = f"{base}/{path.name}"
        candidates.append(Candidate(path.stem, uri, sha256, card.iteration, dict(card.metrics), kept))
    return candidates
