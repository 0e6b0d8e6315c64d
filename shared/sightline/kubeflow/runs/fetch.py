"""Download the results of a run from the result bucket: reports, summaries and its best candidates."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from sightline.config.decode import decode, split_overrides
from sightline.config.digest import config_digest
from sightline.config.schema import Config
from sightline.data.output_folder import OutputFolder
from sightline.data.tags import DatasetTag
from sightline.errors import NotThereError, StorageError
from sightline.evaluation.subjects import subjects
from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.runs.lookup import Run
from sightline.kubeflow.runs.preflight import cluster_settings
from sightline.logs import Progress
from sightline.registry import store
from sightline.registry.results import EvaluateResult, RecordResult, TestResult
from sightline.registry.selected_models import MODEL_FILE
from sightline.storage import Storage, open_storage

FILES = ("report.html", "summary.json", "report.json")
"""The files that are fetched of each step, if they exist."""


def fetch(kubeflow: Kubeflow, run: Run, folder: Path) -> Iterator[Path]:
    """Copy reports, summaries and the best candidates of a run into a folder.

    If this run reused the result of a step, the step is fetched from the run that produced it.  A champion that is kept
    is a model of another run and is not fetched; use ``champion:DATASET`` in commands that take a model.

    Args:
        kubeflow: The Kubeflow of the run; its settings contain the bucket.
        run: The run.
        folder: Created if missing; receives ``index.html`` (the page of the run), ``<step>/report.html``,
            ``<step>/summary.json``, ``<metric>/model.safetensors`` (the best candidate by that metric), and
            ``fetched.jsonl`` with the list of files.

    Yields:
        The files that were written.

    Raises:
        DataError: A file would be overwritten that fetch did not write or that was changed since; nothing was written.
        NotThereError: The bucket has no results of this run.
        StorageError: The bucket cannot be read from here.
    """
    config = _config(run)
    storage = open_storage(_bucket(kubeflow, run, config))
    tag = str(DatasetTag.parse(config.data.tag).training)
    recorded = _result(storage, RecordResult, tag, run, config)
    evaluated = _result(storage, EvaluateResult, tag, run, config)
    tested = _result(storage, TestResult, tag, run, config)
    wanted: dict[PurePosixPath, str] = {}
    for step, files in (
        ("record", recorded and store.folder_of(storage, recorded)),
        ("evaluate", evaluated and store.folder_of(storage, evaluated)),
        ("test", tested and store.folder_of(storage, tested)),
    ):
        wanted |= {PurePosixPath(step, name): key for name, key in _files(storage, files)} if files else {}
    page = f"runs/{run.run_id}/index.html"
    if storage.stat(page) is not None:
        wanted[PurePosixPath("index.html")] = page
    for metric, uri in _candidates(evaluated) if evaluated else ():
        wanted[PurePosixPath(metric, MODEL_FILE)] = uri.removeprefix(storage.uri + "/")
    if not wanted:
        raise NotThereError(
            f"{storage.uri} has no results of run {run.run_id} ({run.state}); see `status {run.run_id[:8]}`"
        )
    target = OutputFolder(folder, "fetched", "fetch", "-o")
    target.require_free(wanted, [])
    target.begin()
    part = folder / f".fetch.{os.getpid()}.part"
    try:
        with Progress("fetch", unit="bytes") as progress:
            for file, key in wanted.items():
                storage.download(key, part, progress)
                yield target.put(file, part)
    finally:
        part.unlink(missing_ok=True)


def _candidates(evaluated: EvaluateResult) -> Iterator[tuple[str, str]]:
    """Metric and model file of the best candidates; results of an earlier release only contain the selected models."""
    models = [one for one in subjects(evaluated) if one.role != "champion"]
    return ((metric, model.uri) for model in models for metric in model.metrics)


def _config(run: Run) -> Config:
    tag = str(run.parameters.get("dataset_tag", ""))
    overrides = split_overrides(str(run.parameters.get("overrides", "")))
    return decode(str(run.parameters.get("recipe", "")), [*overrides, *([f"data.tag={tag}"] if tag else [])])


def _bucket(kubeflow: Kubeflow, run: Run, config: Config) -> str:
    """The bucket: an override of the run, otherwise the cluster's settings, or those of this machine."""
    settings: Mapping[str, object] = cluster_settings(kubeflow.cluster).get("storage") or {}
    named = any(line.startswith("storage.uri=") for line in split_overrides(str(run.parameters.get("overrides", ""))))
    uri = config.storage.uri if named else str(settings.get("uri") or config.storage.uri)
    if uri.startswith("file://") and not Path(uri.removeprefix("file://")).is_dir():
        raise StorageError(
            f"the result bucket {uri} is a folder on the cluster's work volume and cannot be read from here; mount the "
            "volume there, or set storage.uri in ConfigMap sightline-settings to a gs:// bucket"
        )
    return uri


def _result(storage: Storage, kind: type[store.Result], tag: str, run: Run, config: Config) -> store.Result | None:
    own = store.result_of_run(storage, kind, tag, run.run_id)
    return own or store.latest_result(storage, kind, tag, config_digest(store.STEP_OF[kind], config))


def _files(storage: Storage, folder: str) -> Iterator[tuple[str, str]]:
    """Name and key of the files of a step that are fetched."""
    there = set(storage.names(f"{folder}/"))
    return ((name, f"{folder}/{name}") for name in FILES if f"{folder}/{name}" in there)
