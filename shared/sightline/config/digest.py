"""Digests of configurations: with equal digests, a step does the same work."""

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
_PLACES: dict[str, Any] = {
    "data": {"repository", "jobs", "timeout_seconds"},
    "model": {"weights_mirror"},
    "train": {"workers", "trackers", "processes", "nodes", "checkpoint_minutes", "cache_ram_gb", "cache_disk_gb"},
}
"""Fields for locations and speed, which do not affect results and are not part of the digest."""

_RANDOM_WEIGHTS = ""
"""How the first releases wrote ``none``."""

_ANY_TASK = {"task": DEFAULT_TASK}
"""Fixed in record's digest: all tasks train on the same training sets."""

_FIRST_FIELDS = frozenset({
    "task", "reading", "seed", "data.tag", "data.classes", "data.ignored_labels", "data.aliases",
    "data.splits.train", "data.splits.val", "data.splits.test", "data.group_pattern", "data.near_duplicates",
    "data.near_duplicate_distance", "data.max_pixels", "data.faults.unknown_label", "data.faults.outside_image",
    "data.faults.not_finite", "data.faults.zero_area", "data.faults.duplicate_shape",
    "data.faults.unsupported_shape", "data.faults.unknown_shape", "data.faults.wrong_image_size",
    "data.faults.missing_image", "data.faults.embedded_differs", "data.faults.broken_image",
    "data.faults.broken_json", "data.faults.unsafe_path", "data.faults.duplicate_image", "model.backbone",
    "model.weights", "model.image_size", "model.fpn_channels", "model.head_channels", "model.mask_channels",
    "model.mask_layers", "model.anchor_sizes", "model.anchor_ratios", "model.proposals", "model.sampled_proposals",
    "model.positive_share", "model.max_detections", "model.score_threshold", "model.nms_iou", "train.iterations",
    "train.batch_size", "train.learning_rate", "train.weight_decay", "train.warmup_iterations", "train.clip_norm",
    "train.validate_every", "train.checkpoint_every", "train.log_every", "train.device", "train.best_metric",
    "train.augmentation.flip", "train.augmentation.brightness", "train.augmentation.contrast",
    "train.augmentation.scale", "evaluate.select_by", "evaluate.min_improvement", "evaluate.score_threshold",
    "evaluate.drawn_images", "test.images", "test.score_threshold",
})  # fmt: skip
"""The fields of the first release: always part of the digest.

All later fields are part of the digest only if they differ from their defaults, so that a new field does not change the
digest of finished work.  Do not add new fields here.  If the default of a field that is not listed is changed, add the
field, because its absence would otherwise mean a different value than before.
"""


def relevant_part(step: StepName, config: Config) -> dict[str, Any]:
    """The part of the configuration that ``step`` depends on, as JSON values."""
    part = config.model_dump(mode="json", include=_SECTIONS[step], exclude=_PLACES)
    if step == "record":
        part["data"].pop("fold")  # all folds are trained on one training set
    elif config.data.fold:
        part["data"] = {"fold": config.data.fold}
    return part


def config_digest(step: StepName, config: Config) -> str:
    """SHA-256 (hexadecimal) of the part of the configuration that ``step`` depends on."""
    from sightline.config.defaults import defaults_of

    defaults = defaults_of(type(config)) | {"model": defaults_of(type(config.model))}
    part = relevant_part(step, config)
    if "model" in part and not config.model.is_pretrained:
        part["model"]["weights"] = _RANDOM_WEIGHTS
    return _digest(step, part, defaults)


def record_digest(configuration: Mapping[str, Any]) -> str:
    """:func:`config_digest` of record, for a complete configuration stored by a run, without validation."""
    from sightline.config.defaults import default_document

    part = {name: configuration.get(name) for name in _SECTIONS["record"]}
    if isinstance(part["data"], dict):
        ignored = _PLACES["data"] | {"fold"}
        part["data"] = {name: value for name, value in part["data"].items() if name not in ignored}
    return _digest("record", part, default_document())


def step_key(step: StepName, config: Config, *inputs: str) -> str:
    """The key of a finished result: 16 hexadecimal digits, computed from the configuration and all other inputs.

    Args:
        step: The step.
        config: The complete configuration; only the part that the step depends on is used.
        inputs: Commits, digests, and the digest of the step's code (:func:`sightline.code.reach.step_code`).
    """
    text = json.dumps([step, config_digest(step, config), *inputs])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(step: StepName, part: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    part, defaults = _with_first_augmentation(part), _with_first_augmentation(defaults)
    document = _without_new_defaults(part, defaults) | (_ANY_TASK if step == "record" else {})
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _with_first_augmentation(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of the configuration with the augmentation as the first release had it, if it could express it."""
    from sightline.config.augmentation import as_first_release, complete

    train = part.get("train")
    entries = complete(train.get("augmentation")) if isinstance(train, Mapping) else None
    if not isinstance(train, Mapping) or not isinstance(entries, list):
        return part
    mapping = as_first_release(entries)
    return {**part, "train": {**train, "augmentation": entries if mapping is None else mapping}}


def _without_new_defaults(part: Mapping[str, Any], defaults: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """A part of the configuration without later fields that have their default values."""
    kept: dict[str, Any] = {}
    for name, value in part.items():
        field = f"{path}{name}"
        if field in _FIRST_FIELDS or name not in defaults:
            kept[name] = value
        elif isinstance(value, Mapping) and isinstance(defaults[name], Mapping):
            section = _without_new_defaults(value, defaults[name], f"{field}.")
            kept |= {name: section} if section else {}
        elif value != defaults[name]:
            kept[name] = value
    return kept
