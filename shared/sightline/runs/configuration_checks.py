"""Configuration checks beyond the schema: names that must exist elsewhere, and files that must exist."""

from __future__ import annotations

from collections.abc import Callable

from sightline.config.decode import refuse_faults
from sightline.config.metric_choice import check_best_metric, check_gate, check_select_by
from sightline.config.own_code import check_user_metrics, lacks_package
from sightline.config.published_weights import is_address
from sightline.config.schema import Config
from sightline.config.task_declarations import check_of_task
from sightline.data.tags import DatasetTag
from sightline.errors import ConfigurationError, SightlineError, StorageError
from sightline.names import is_own_code


def check_configuration(config: Config, *, elsewhere: bool = False) -> None:
    """Reject a configuration with which a step would fail later, possibly after hours.

    Args:
        config: The complete configuration.
        elsewhere: Whether the steps run on another machine, so that local paths and files cannot be checked.

    Raises:
        ConfigurationError: With all faults.
    """
    checks: list[Callable[[Config], None]] = [
        _tag,
        _network,
        check_of_task,
        _mirror,
        _warmup,
        check_best_metric,
        check_select_by,
        check_gate,
    ]
    if not (elsewhere and is_own_code(config.reading)):
        checks.append(_reading)
    if not elsewhere:
        checks += [check_user_metrics, _weights_file, _storage, _database]
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


def _network(config: Config) -> None:
    from sightline.models.backbone_check import check_backbone
    from sightline.models.weights.check import check_weights

    check_backbone(config.model)
    check_weights(config.model)


def _mirror(config: Config) -> None:
    if not config.model.weights_mirror:
        return
    from sightline.storage import require_known

    try:
        require_known(config.model.weights_mirror)
    except StorageError as error:
        raise ConfigurationError(f"model.weights_mirror: {error}") from error


def _weights_file(config: Config) -> None:
    address = config.model.weights
    if not is_address(address):
        return
    from sightline.models.safetensors_file import is_pickle, read_metadata
    from sightline.storage.uris import open_uri, path_of

    storage, key = open_uri(address)
    if storage.stat(key) is None:
        raise ConfigurationError(
            f"model.weights: there is no file {address}; expected the path or URI of a file with weights, the name of "
            "published weights, auto, or none for random weights"
        )
    if storage.uri.startswith("file:") and not is_pickle(path_of(address)):
        read_metadata(path_of(address))


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

    try:
        open_reader(config.reading, config.data.classes)
    except ConfigurationError as error:
        if not (is_own_code(config.reading) and lacks_package(error, config.reading)):
            raise


def _storage(config: Config) -> None:
    from sightline.storage import require_known

    require_known(config.storage.uri)


def _database(config: Config) -> None:
    from sightline.database.engine.address import require_supported

    require_supported(config.database.url)
