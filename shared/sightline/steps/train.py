"""Train: creates candidates in the result bucket from a training tag."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import closing
from pathlib import Path

import torch

from sightline.code.reach import step_code
from sightline.config.digest import config_digest, relevant_part, step_key
from sightline.config.schema import Config
from sightline.data.formats.coco import CocoDocument, read_coco
from sightline.data.loading.batches import CACHE_BYTES
from sightline.data.loading.dataset import CocoDataset
from sightline.data.repository.checkout import Checkout
from sightline.database import ModelRecord, ModelUse, open_database
from sightline.engine.checkpoint import TrainingState, read_state
from sightline.engine.loop import Validation, train
from sightline.errors import DataError
from sightline.evaluation.environment import environment
from sightline.evaluation.inference import training_set_on_disk
from sightline.lock import exclusive_lock
from sightline.logs import logging_to
from sightline.models.device import choose_device
from sightline.models.model_file import ModelCard, read_card
from sightline.models.preprocessing import Preprocessing
from sightline.pod import current_run_id
from sightline.registry.results import Candidate, RecordResult, TrainResult
from sightline.registry.store import find_result, folder_key, publish_result, run_of
from sightline.registry.training_history import HISTORY, History
from sightline.runs.training_logs import note_training_logs
from sightline.storage.base import Storage
from sightline.storage.uris import fetch, open_storage
from sightline.tasks.base import load_task
from sightline.tracking import open_trackers

_log = logging.getLogger(__name__)


def run(config: Config, code_rev: str, record: RecordResult) -> TrainResult:
    """Train on a training set; finished trainings are reused, and interrupted ones are resumed.

    Args:
        config: The complete configuration.
        code_rev: The code revision, for the model's description; the key contains the digest of the step's code.
        record: The training set.

    Raises:
        RepositoryError: The training set cannot be fetched, or waiting for another process with the same training
            timed out.
        DataError: The training set cannot be used.
        ConfigurationError: The network or device cannot be created, or the best metric does not exist.
        StepError: Training cannot continue.
    """
    storage = open_storage(config.storage.uri)
    key = step_key("train", config, record.digest, step_code("train"))
    lock = Path(config.work.dir) / "train" / f"{key}.lock"
    note_training_logs(Path(config.work.dir), Path(config.work.dir) / "train" / key / "files")
    result = find_result(storage, TrainResult, record.training_tag, key)
    if result is None:
        with exclusive_lock(lock, config.work.lock_timeout_seconds):
            result = find_result(storage, TrainResult, record.training_tag, key)
            if result is None:
                result = _train_and_publish(config, code_rev, record, storage, key)
    else:
        _log.info("trained already: %s", storage.uri_of(folder_key("train", record.training_tag, key)))
    _register(config, code_rev, result, run_of(storage, result))
    return result


def _train_and_publish(config: Config, code_rev: str, record: RecordResult, storage: Storage, key: str) -> TrainResult:
    folder = Path(config.work.dir) / "train" / key
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.rglob(".*"):  # temporary files of a killed process, of Sightline and safetensors
        unfinished.unlink()
    with (
        logging_to(files / "log.txt"),
        training_set_on_disk(config, record.training_tag, record.training_commit) as source,
    ):
        state = _train(config, code_rev, record, source, checkpoint=folder / "checkpoint.safetensors", files=files)
    (files / "history.json").write_text(json.dumps(HISTORY.encode(History(state.history)), indent=1), encoding="utf-8")
    base = storage.uri_of(folder_key("train", record.training_tag, key))
    result = TrainResult(
        training_tag=record.training_tag,
        training_commit=record.training_commit,
        candidates=_candidates(files, base),
        iterations=state.iteration,
        history=f"{base}/history.json",
        log=f"{base}/log.txt",
        seconds=state.seconds,
        environment=environment(config.train.device),
    )
    digest = config_digest("train", config)
    return publish_result(storage, result, record.training_tag, key, files=files, config_digest=digest)


def _train(
    config: Config, code_rev: str, record: RecordResult, source: Checkout, *, checkpoint: Path, files: Path
) -> TrainingState:
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
        cache_bytes=CACHE_BYTES // max(1, config.train.workers),
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


def _candidates(files: Path, base: str) -> list[Candidate]:
    """The best and the last model; the last one is left out if it is the best."""
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


def _register(config: Config, code_rev: str, result: TrainResult, made_by: str) -> None:
    """Register the candidates, the run that created them, and their roles in this run."""
    with closing(open_database(config.database.url)) as database:
        for candidate in result.candidates:
            database.register_model(
                ModelRecord(
                    sha256=candidate.sha256,
                    uri=candidate.uri,
                    task=config.task,
                    training_tag=result.training_tag,
                    run_id=made_by or None,
                    code_rev=code_rev,
                )
            )
            database.record_metrics(candidate.sha256, result.training_tag, "val", candidate.metrics)
        if run_id := current_run_id():
            uses = [ModelUse(candidate.sha256, candidate.name) for candidate in result.candidates]
            database.record_uses(run_id, uses)
