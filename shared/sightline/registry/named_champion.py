"""Finding a champion by the name that commands and ``model.weights`` take: ``champion:DATASET``."""

from __future__ import annotations

import re

from sightline.config.published_weights import CHAMPION
from sightline.errors import ModelFileError
from sightline.registry.champions import DEFAULT_TASK, ChampionName, ChampionPointer, read_champion
from sightline.storage import Storage

_NAME = r"champions/(?P<dataset>[^/]+)/(?:(?P<task>[^/]+)/)?(?P<metric>[^/]+)"
_POINTER = re.compile(rf"{_NAME}\.json")
_ENTRY = re.compile(rf"{_NAME}/history/[0-9]{{6,}}\.json")


def find_champion(storage: Storage, model: str) -> ChampionPointer:
    """The champion given as ``champion:DATASET``, ``champion:DATASET/METRIC`` or ``champion:DATASET/TASK/METRIC``.

    The task may be left out where the dataset has one champion by that metric.

    Args:
        storage: The result bucket.
        model: Its name.

    Raises:
        ModelFileError: There is none, or there are several.
        StorageError: The bucket cannot be read.
    """
    name = model.removeprefix(CHAMPION)
    dataset, slash, metric = name.partition("/")
    if not dataset or (slash and not metric):
        raise ModelFileError(f"{CHAMPION}{name}: expected {CHAMPION}DATASET or {CHAMPION}DATASET/METRIC")
    pointers = {_name_of(pointer): pointer for pointer in champion_pointers(storage, dataset)}
    if not pointers:
        known = sorted({key.split("/")[1] for key in storage.names("champions/") if key.count("/") in {2, 3}})
        said = f"it has champions of {', '.join(known)}" if known else "it has no champions"
        raise ModelFileError(
            f"{storage.uri} has no champion of the dataset {dataset}; {said}; train, evaluate and promote a model, or "
            "set storage.uri in the settings file"
        )
    if metric in pointers:
        return pointers[metric]
    if metric:
        by_metric = {name: pointer for name, pointer in pointers.items() if pointer.metric == metric}
        if not by_metric:
            raise ModelFileError(
                f"{dataset} has no champion by {metric}; it has champions by {', '.join(sorted(pointers))}"
            )
        pointers = by_metric
    if len({pointer.sha256 for pointer in pointers.values()}) > 1:
        choices = ", ".join(
            f"{CHAMPION}{dataset}/{name} ({pointer.sha256[:12]}, {_value_of(pointer)})"
            for name, pointer in sorted(pointers.items())
        )
        raise ModelFileError(f"{dataset} has several champions; choose one: {choices}")
    return next(iter(pointers.values()))


def champion_pointers(storage: Storage, dataset: str) -> list[ChampionPointer]:
    """The champions of a dataset; of all datasets if ``dataset`` is empty."""
    found = []
    for name in champion_names(storage, dataset):
        pointer, _ = read_champion(storage, name.dataset, name.metric, name.task)
        found += [pointer] if pointer is not None else []
    return found


def champion_names(storage: Storage, dataset: str) -> list[ChampionName]:
    """The names of the champions of a dataset, of all datasets if ``dataset`` is empty; their pointers are not read.

    A champion whose pointer was removed is known by its history.
    """
    found: dict[ChampionName, None] = {}
    for key in storage.names(f"champions/{dataset}/" if dataset else "champions/"):
        match = _POINTER.fullmatch(key) or _ENTRY.fullmatch(key)
        if match:
            found.setdefault(ChampionName(match["dataset"], match["metric"], match["task"] or DEFAULT_TASK))
    return list(found)


def _name_of(pointer: ChampionPointer) -> str:
    """The part of a champion's name after the dataset: the metric, with the task unless it is the default task."""
    return pointer.metric if pointer.task == DEFAULT_TASK else f"{pointer.task}/{pointer.metric}"


def _value_of(pointer: ChampionPointer) -> str:
    return "not measured" if pointer.value is None else f"{pointer.value:.4f}"
