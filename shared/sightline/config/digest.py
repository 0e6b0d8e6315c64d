"""Digests of configurations: equal digests mean that a step would do the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from sightline.config.task_declarations import DEFAULT_TASK

if TYPE_CHECKING:
    from sightline.config.schema import Config

StepName = Literal["record", "train", "evaluate", "test"]

_COMMON: set[str] = {"task", "seed"}
_SECTIONS: dict[StepName, set[str]] = {
    "record": {"data"},
    "train": _COMMON | {"model", "train", "reading"},
    "evaluate": _COMMON | {"model", "train", "evaluate", "reading"},
    "test": _COMMON | {"model", "train", "evaluate", "test", "reading"},
}
_PLACES: dict[str, set[str]] = {"data": {"repository", "jobs", "timeout_seconds"}, "train": {"workers", "trackers"}}
"""Fields that say where and how fast, not what: they leave the digest alone."""

_ANY_TASK = {"task": DEFAULT_TASK}
"""What record's digest has always held: every task trains on the same training sets, so none has its own."""

_ADDED: dict[str, set[str]] = {"evaluate": {"minimum", "replace_unreadable"}}
"""Fields that came after the first release: at their defaults they leave the digest as it was without them."""


def relevant_part(step: StepName, config: Config) -> dict[str, Any]:
    """The part of the configuration that ``step`` depends on, as JSON holds it."""
    part = config.model_dump(mode="json", include=_SECTIONS[step], exclude=_PLACES)
    part |= _ANY_TASK if step == "record" else {}
    for section, names in _ADDED.items():
        fields = type(getattr(config, section)).model_fields
        for name in names:
            if section in part and part[section][name] == fields[name].default:
                del part[section][name]
    return part


def config_digest(step: StepName, config: Config) -> str:
    """SHA-256 (hexadecimal) of the part of the configuration that ``step`` depends on."""
    document = relevant_part(step, config)
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def record_digest(configuration: Mapping[str, Any]) -> str:
    """:func:`config_digest` of record, of a whole configuration as a run stored it; nothing is validated."""
    part = {name: configuration.get(name) for name in _SECTIONS["record"]} | _ANY_TASK
    if isinstance(part["data"], dict):
        part["data"] = {name: value for name, value in part["data"].items() if name not in _PLACES["data"]}
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def step_key(step: StepName, config: Config, *inputs: str) -> str:
    """Name of a finished result: 16 hexadecimal digits over the configuration and everything else it was made from.

    Args:
        step: The step.
        config: The whole configuration; only what the step depends on counts.
        inputs: Commits, digests, and what stands for the code of the step (:func:`sightline.code.reach.step_code`).
    """
    text = json.dumps([step, config_digest(step, config), *inputs])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
