"""From a training set on disk to trained models on disk."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from sightline.config.decode import is_for_gpu, small_recipe
from sightline.config.digest import relevant_part
from sightline.config.schema import Config
from sightline.config.train import Train
from sightline.data.annotations import SplitName
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.bottleneck import LoadingFacts, data_wait_advice
from sightline.data.loading.dataset import CACHE_FOLDER, CocoDataset
from sightline.data.loading.workers import choose_workers
from sightline.data.recording.folds import read_training_split
from sightline.data.repository.checkout import Checkout
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.group import Group
from sightline.engine.hooks.base import open_hooks
from sightline.engine.initial_weights import load_initial_weights
from sightline.engine.loop import train
from sightline.engine.optimizer import build_optimizer
from sightline.engine.pace import Pace, log_device
from sightline.engine.precision import Precision
from sightline.engine.preflight import check_feasible, overfit_one_batch
from sightline.engine.state import Training, TrainingState, Validation
from sightline.errors import DataError
from sightline.models.device import choose_device
from sightline.models.model_file import ModelCard, read_card
from sightline.models.preprocessing import Preprocessing
from sightline.models.stages import freeze
from sightline.pod import current_run_id
from sightline.registry.results import RecordResult
from sightline.tasks.base import Task, load_task
from sightline.tracking import TrackedTraining, flat_parameters, mlflow_uri, open_trackers


def train_network(
    config: Config,
    code_rev: str,
    record: RecordResult,
    source: Checkout,
    *,
    files: Path,
    checkpoints: Checkpoints,
    group: Group | None = None,
) -> TrainingState:
    """Train the network of a configuration; an interrupted training resumes from its newest checkpoint.

    Args:
        config: The whole configuration.
        code_rev: The code revision, for the model's description.
        record: The training set.
        source: Its files on this machine.
        files: Folder for the models and the trackers' files.
        checkpoints: Where the state of the training is kept.
        group: The processes of the training; None: only this one.

    Returns:
        The state after the last iteration.

    Raises:
        DataError: The training set has other classes than the configuration, or an empty split.
        ConfigurationError: The network cannot be built, the device is not available, or the best metric does not exist.
        StepError: Training cannot continue.
    """
    device = choose_device(config.train.device)
    log_device(device)
    training = open_training(config, code_rev, record, source, files=files, device=device, group=group or Group())
    resume = _begin_or_resume(config, training, checkpoints)
    hooks = open_hooks(config.train.hooks)
    pace = Pace(
        training.total,
        device,
        for_gpu=is_for_gpu(config.task, config.model),
        small_recipe=small_recipe(config.task),
        short_names=training.task.short_names,
        advice=partial(data_wait_advice, facts=_loading_facts(training)),
    )
    names = config.train.trackers if training.group.is_first else ()
    tracked = TrackedTraining(
        files, resume, files.parent.name, record.dataset, _tags(code_rev, record), mlflow_uri(config)
    )
    with closing(open_trackers(names, tracked)) as training.tracker:
        training.tracker.log_parameters(flat_parameters(relevant_part("train", config)))
        try:
            state = train(training, hooks, checkpoints, pace)
        except BaseException as error:
            training.tracker.failed(error)
            raise
        for path in sorted(files.glob("*.safetensors")) if training.group.is_first else ():
            training.tracker.log_model(path, path.stem, read_card(path).metrics)
    return state


def _begin_or_resume(config: Config, training: Training, checkpoints: Checkpoints) -> int:
    """Prepare a new training, or find the one to resume; returns the iteration of its checkpoint, or 0."""
    state = checkpoints.read_state()
    if not state.iteration:
        check_feasible(training)
        load_initial_weights(config, training)
        if config.train.sanity:
            overfit_one_batch(training)
        state = training.state
    training.card = replace(training.card, weights=state.weights, weights_sha256=state.weights_sha256)
    return state.iteration


def open_training(
    config: Config,
    code_rev: str,
    record: RecordResult,
    source: Checkout,
    *,
    files: Path,
    device: torch.device,
    group: Group,
) -> Training:
    """Build everything that a training needs, with random weights.

    Raises:
        DataError: The training set has other classes than the configuration, or an empty split.
        ConfigurationError: The network or its optimizer cannot be built.
    """
    task = load_task(config.task)
    training_set = source.path / "training" / record.dataset
    splits: tuple[SplitName, ...] = ("train", "val")
    documents = {split: read_training_split(training_set, split, config.data.fold) for split in splits}
    for split, document in documents.items():
        _require_usable(document, split, config, record.training_tag)
    config = config.model_copy(update={"model": task.fitted(config.model, documents["train"])})
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
    torch.manual_seed(config.seed)
    network = task.build_network(config.model, len(config.data.classes))
    return assemble(
        task,
        network,
        dataset,
        Validation(documents["val"], source.path, config.data.max_pixels),
        config.train,
        seed=config.seed,
        device=device,
        group=group,
        card=_card(config, code_rev, record, documents["train"]),
        files=files,
    )


def assemble(
    task: Task,
    network: nn.Module,
    dataset: CocoDataset,
    validation: Validation,
    settings: Train,
    *,
    seed: int,
    device: torch.device,
    card: ModelCard,
    files: Path,
    group: Group | None = None,
) -> Training:
    """Put a training together: the network on its device, frozen where the settings say so, and its optimizer."""
    network.to(device)
    freeze(network, stages=settings.frozen_stages, norms=settings.frozen_norms)
    return Training(
        task=task,
        network=network,
        evaluated=network,
        dataset=dataset,
        validation=validation,
        settings=settings,
        seed=seed,
        device=device,
        group=group or Group(),
        optimizer=build_optimizer(network, settings),
        precision=Precision(settings.precision, device),
        card=card,
        images=dataset.pass_length,
        files=files,
        micro_batch=settings.micro_batch,
    )


def _loading_facts(training: Training) -> LoadingFacts:
    settings, group = training.settings, training.group
    on_gpu = training.device.type == "cuda"
    largest = training.dataset.largest_image_bytes * -(-settings.batch_size // group.size)
    workers = choose_workers(settings.workers, batch_bytes=largest, on_gpu=on_gpu, processes=group.local_size)
    return training.dataset.loading_facts(workers)


def _tags(code_rev: str, record: RecordResult) -> dict[str, str]:
    return {
        "sightline.training_tag": record.training_tag,
        "sightline.training_commit": record.training_commit,
        "sightline.dataset_digest": record.digest,
        "sightline.code_rev": code_rev,
        "sightline.run_id": current_run_id(),
    }


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
        architecture=config.model.model_copy(update={"weights_mirror": ""}),  # which mirror does not change the model
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
