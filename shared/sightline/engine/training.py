"""From a training set on disk to trained models on disk."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import torch

from sightline.config.digest import relevant_part
from sightline.config.schema import Config
from sightline.data.formats.coco import CocoDocument, read_coco
from sightline.data.loading.dataset import CACHE_FOLDER, CocoDataset
from sightline.data.repository.checkout import Checkout
from sightline.engine.checkpoint import TrainingState, read_state
from sightline.engine.loop import Validation, train
from sightline.errors import DataError
from sightline.models.device import choose_device
from sightline.models.model_file import ModelCard, read_card
from sightline.models.preprocessing import Preprocessing
from sightline.registry.results import Candidate, RecordResult
from sightline.storage.uris import fetch
from sightline.tasks.base import load_task
from sightline.tracking import open_trackers


def train_network(
    config: Config, code_rev: str, record: RecordResult, source: Checkout, *, checkpoint: Path, files: Path
) -> TrainingState:
    """Train the network of a configuration; an interrupted training resumes from its checkpoint.

    Args:
        config: The whole configuration.
        code_rev: The code revision, for the model's description.
        record: The training set.
        source: Its files on this machine.
        checkpoint: File with the state of the training.
        files: Folder for the models, ``best.safetensors`` and ``last.safetensors``, and the trackers' files.

    Returns:
        The state after the last iteration.

    Raises:
        DataError: The training set has other classes than the configuration, or an empty split.
        ConfigurationError: The network cannot be built, the device is not available, or the best metric does not exist.
        StepError: Training cannot continue.
    """
    device = choose_device(config.train.device)
    task = load_task(config.task)
    training_set = source.path / "training" / record.dataset
    documents = {split: read_coco(training_set / f"{split}.json") for split in ("train", "val")}
    for split, document in documents.items():
        _require_usable(document, split, config, record.training_tag)
    torch.manual_seed(config.seed)
    network = task.build_network(config.model, len(config.data.classes))
    if config.model.weights:
        task.load_backbone(network, fetch(config.model.weights, checkpoint.parent / "weights"))
    dataset = CocoDataset(
        documents["train"],
        source.path,
        image_size=config.model.image_size,
        max_pixels=config.data.max_pixels,
        augmentation=config.train.augmentation,
        seed=config.seed,
        loading=config.train,
        cache_folder=Path(config.work.dir) / CACHE_FOLDER,
    )
    resume = read_state(checkpoint).iteration
    with closing(open_trackers(config.train.trackers, files, resume_iteration=resume)) as trackers:
        return train(
            task,
            network,
            dataset,
            Validation(documents["val"], source.path, config.data.max_pixels),
            config.train,
            seed=config.seed,
            device=device,
            card=_card(config, code_rev, record, documents["train"]),
            checkpoint=checkpoint,
            models=files,
            report=trackers.log_metrics,
        )


def _require_usable(document: CocoDocument, split: str, config: Config, tag: str) -> None:
    classes = tuple(category["name"] for category in document["categories"])
    if classes != config.data.classes:
        raise DataError(
            f"{tag}: recorded with the classes {', '.join(classes)}, but data.classes are "
            f"{', '.join(config.data.classes)}; record a new version with these classes"
        )
    if not document["images"]:
        raise DataError(
            f"{tag}: the {split} split has no image; label more images, or give it a larger share in data.splits"
        )


def _card(config: Config, code_rev: str, record: RecordResult, document: CocoDocument) -> ModelCard:
    return ModelCard(
        task=config.task,
        architecture=config.model,
        classes=config.data.classes,
        category_ids=tuple(category["id"] for category in document["categories"]),
        preprocessing=Preprocessing(config.model.image_size),
        reading=config.reading,
        configuration=relevant_part("train", config),
        training_tag=record.training_tag,
        training_commit=record.training_commit,
        dataset_digest=record.digest,
        code_rev=code_rev,
        iteration=0,
        metrics={},
    )


def list_candidates(files: Path, base: str) -> list[Candidate]:
    """The best and the last model; if both are the same, the last one's file is removed and left out.

    Args:
        files: Folder with the models.
        base: URI that the files are published under.
    """
    candidates: list[Candidate] = []
    for name in ("best", "last"):
        path = files / f"{name}.safetensors"
        if not path.exists():
            continue
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if any(candidate.sha256 == sha256 for candidate in candidates):
            path.unlink()
            continue
        card = read_card(path)
        candidates.append(Candidate(name, f"{base}/{path.name}", sha256, card.iteration, dict(card.metrics)))
    return candidates
