"""Resolves recipe and overrides to a full configuration, and determines the code revision for the whole run.

It is the first task and never cached, so that later tasks can be: they get its results as plain parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from sightline.config.decode import decode, split_overrides
from sightline.config.published_weights import CHAMPION
from sightline.config.schema import Config
from sightline.errors import ConfigurationError
from sightline.registry.named_champion import find_champion
from sightline.runs.configuration_checks import check_configuration
from sightline.storage import open_storage
from sightline.version import code_revision
from sightline_bootstrap import IMAGE


@dataclass(frozen=True, slots=True)
class Resolved:
    """The input of all later tasks.

    Attributes:
        config: The full configuration.
        code_rev: The code revision that the whole run uses.
    """

    config: Config
    code_rev: str


def run(recipe: str, overrides: str, dataset_tag: str, code_rev: str) -> Resolved:
    """Resolve the parameters of a run.

    Args:
        recipe: The name of a recipe.
        overrides: ``a.b=value``, one per line.
        dataset_tag: The annotation tag; takes precedence over ``data.tag`` of recipe and overrides, unless empty.
        code_rev: The code revision to run, which must be the installed one: a snapshot is activated before Sightline is
            imported (:mod:`sightline_bootstrap`).  Empty or ``image``: the installed code.

    Raises:
        ConfigurationError: With all faults of the configuration, or if the requested code is not installed.
        ModelFileError: ``model.weights`` or ``model.boxes`` names a champion that does not exist.
        StorageError: It names a champion, and the bucket cannot be read.
    """
    config = configuration(recipe, overrides, dataset_tag)
    check_configuration(config)
    config = with_pinned_weights(config)
    installed = code_revision()
    if code_rev not in {"", IMAGE, installed}:
        raise ConfigurationError(
            f"code_rev is {code_rev}, but the installed code is {installed}; leave code_rev empty to run the "
            "installed code"
        )
    return Resolved(config, installed)


def with_pinned_weights(config: Config) -> Config:
    """The configuration with the URIs of the models that ``model.weights`` and ``model.boxes`` name as champions.

    Later steps then use the same models, and a training with another champion is another training.

    Raises:
        ModelFileError: There is no such champion, or there are several.
        StorageError: The bucket cannot be read.
    """
    named = {field: str(getattr(config.model, field, "")) for field in ("weights", "boxes")}
    champions = {field: name for field, name in named.items() if name.startswith(CHAMPION)}
    if not champions:
        return config
    storage = open_storage(config.storage.uri)
    uris = {field: find_champion(storage, name).uri for field, name in champions.items()}
    return config.model_copy(update={"model": config.model.model_copy(update=uris)})


def configuration(recipe: str, overrides: str, dataset_tag: str) -> Config:
    """The full configuration for the parameters of a run; see :func:`run`.

    Raises:
        ConfigurationError: With all faults.
    """
    tag = [f"data.tag={dataset_tag}"] if dataset_tag else []
    config = decode(recipe, [*split_overrides(overrides), *tag])
    if not config.data.tag:
        raise ConfigurationError(
            "no dataset tag; set the run's dataset_tag (or data.tag) to an annotation tag such as plates_ann_v1; "
            "`sightline data list` shows the existing tags"
        )
    return config
