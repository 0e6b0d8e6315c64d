"""Configuration checks beyond the schema: names that must exist elsewhere, and files that must exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightline.config.decode import refuse_faults
from sightline.config.metric_choice import check_best_metric, check_select_by
from sightline.config.schema import Config
from sightline.data.tags import DatasetTag
from sightline.errors import ConfigurationError, SightlineError


def check_configuration(config: Config, *, elsewhere: bool = False) -> None:
    """Reject a configuration with which a step would fail later, possibly after hours.

    Args:
        config: The complete configuration.
        elsewhere: Whether the steps run on another machine, so that local paths and files cannot be checked.

    Raises:
        ConfigurationError: With all faults.
    """
    checks: list[Callable[[Config], None]] = [_tag, _backbone, _warmup, check_best_metric, check_select_by, _reading]
    if not elsewhere:
        checks += [_weights, _storage, _database]
    faults = []
    for check in checks:
        try:
            check(config)
        except SightlineError as error:
            faults.append(str(error))
    refuse_faults(config.recipe, faults)


def _tag(config: Config) -> None:
    if not config.data.tag:  # commands that check a recipe need no version
        return
    try:
        tag = DatasetTag.parse(config.data.tag)
    except ConfigurationError as error:
        raise ConfigurationError(f"data.tag: {error}") from error
    if tag.kind != "ann":
        raise ConfigurationError(
            f"data.tag: {tag} is a training tag; record starts from annotations: set it to {tag.annotations}"
        )


def _backbone(config: Config) -> None:
    from sightline.models.backbone_check import check_backbone

    check_backbone(config.model)


def _weights(config: Config) -> None:
    if not config.model.weights:
        return
    from sightline.models.safetensors_file import read_metadata
    from sightline.storage.uris import open_uri

    storage, key = open_uri(config.model.weights)
    if storage.stat(key) is None:
        raise ConfigurationError(
            f"model.weights: there is no file {config.model.weights}; expected the path or URI of a .safetensors file, "
            "or leave it empty for random weights"
        )
    if storage.uri.startswith("file:"):
        read_metadata(Path(config.model.weights.removeprefix("file://")).expanduser())


def _warmup(config: Config) -> None:
    train = config.train
    if not train.epochs and train.warmup_iterations > train.iterations:
        raise ConfigurationError(
            f"train.warmup_iterations: {train.warmup_iterations} is more than train.iterations = {train.iterations}, "
            "so the learning rate would never reach its value; shorten the warm-up, for example "
            f"--set train.warmup_iterations={train.iterations // 10}"
        )


def _reading(config: Config) -> None:
    from sightline.tasks.readers.registry import open_reader

    open_reader(config.reading, config.data.classes)


def _storage(config: Config) -> None:
    from sightline.storage import require_known

    require_known(config.storage.uri)


def _database(config: Config) -> None:
    from sightline.database.engine.address import require_supported

    require_supported(config.database.url)
