"""Train: creates candidates in the result bucket from a training tag."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.code.reach import step_code
from sightline.config.digest import config_digest, step_key
from sightline.config.schema import Config
from sightline.database import ModelRecord, ModelUse, open_database
from sightline.evaluation.environment import environment
from sightline.evaluation.inference import training_set_on_disk
from sightline.lock import exclusive_lock
from sightline.logs import logging_to
from sightline.pod import current_run_id
from sightline.registry.results import RecordResult, TrainResult
from sightline.registry.store import CHECKPOINTS, find_result, folder_key, publish_result, run_of
from sightline.registry.training_history import HISTORY, History
from sightline.runs.training_logs import note_training_logs
from sightline.storage.base import Storage
from sightline.storage.uris import open_storage

if TYPE_CHECKING:
    from sightline.engine.launch import OnNodes

_log = logging.getLogger(__name__)


def run(config: Config, code_rev: str, record: RecordResult, on_nodes: OnNodes | None = None) -> TrainResult:
    """Train on a training set; finished trainings are reused, and interrupted ones are resumed.

    Args:
        config: The complete configuration.
        code_rev: The code revision, for the model's description; the key contains the digest of the step's code.
        record: The training set.
        on_nodes: Starts processes on other nodes; None: ``train.nodes`` must be 1.

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
                result = _train_and_publish(config, code_rev, record, storage, key, on_nodes=on_nodes)
    else:
        _log.info("trained already: %s", storage.uri_of(folder_key("train", record.training_tag, key)))
    _register(config, code_rev, result, run_of(storage, result))
    return result


def _train_and_publish(
    config: Config, code_rev: str, record: RecordResult, storage: Storage, key: str, *, on_nodes: OnNodes | None
) -> TrainResult:
    from sightline.engine.candidates import list_candidates  # importing torch takes seconds
    from sightline.engine.job import Job
    from sightline.engine.launch import count_processes, start_training

    processes = count_processes(config.train)
    folder = Path(config.work.dir) / "train" / key
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.rglob(".*"):  # temporary files of a killed process, of Sightline and safetensors
        unfinished.unlink()
    target = folder_key("train", record.training_tag, key)
    with (
        logging_to(files / "log.txt"),
        training_set_on_disk(config, record.training_tag, record.training_commit) as source,
    ):
        job = Job(config, code_rev, record, source, folder, copy=f"{target}/{CHECKPOINTS}")
        checkpoints = job.checkpoints()
        state = start_training(job, checkpoints, processes, on_nodes)
    (files / "history.json").write_text(json.dumps(HISTORY.encode(History(state.history)), indent=1), encoding="utf-8")
    base = storage.uri_of(target)
    result = TrainResult(
        training_tag=record.training_tag,
        training_commit=record.training_commit,
        candidates=list_candidates(files, base),
        iterations=state.iteration,
        history=f"{base}/history.json",
        log=f"{base}/log.txt",
        seconds=state.seconds,
        environment=environment(config.train.device),
    )
    digest = config_digest("train", config)
    published = publish_result(storage, result, record.training_tag, key, files=files, config_digest=digest)
    checkpoints.remove()
    return published


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
            uses = [ModelUse(candidate.sha256, _role(candidate.name)) for candidate in result.candidates]
            database.record_uses(run_id, uses)


def _role(name: str) -> str:
    """The role of a candidate in its run; runs have one best and one last model, and any number of others."""
    return name if name in {"best", "last"} else "candidate"
