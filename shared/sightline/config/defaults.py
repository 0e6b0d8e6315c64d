"""The defaults of the configuration as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from sightline.config.network import Network
from sightline.config.schema import Config
from sightline.config.settings import Document, merge
from sightline.config.task_declarations import DECLARATIONS, DEFAULT_TASK, chosen_metrics, task_declaration


def default_document(task: object = DEFAULT_TASK, network: object = None) -> Document:
    """The defaults of all fields that have a default, by section, as JSON values.

    Args:
        task: The task of the network; for an unknown task, the fields common to all networks.
        network: ``model.network``; None: the task's default.
    """
    document = defaults_of(Config) | {"task": task, "model": defaults_of(network_of(task, network))}
    if isinstance(task, str) and task in DECLARATIONS:
        merge(document, chosen_metrics(task))
    return document


def defaults_of(section: type[BaseModel]) -> Document:
    """The defaults of a section and its subsections as JSON values."""
    document: Document = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            document[name] = defaults_of(kind)
        elif not field.is_required():
            document[name] = to_jsonable_python(field.get_default(call_default_factory=True))
    return document


def chosen_network(document: Mapping[str, Any]) -> object:
    """``model.network`` of a configuration as JSON values, which may be invalid; None: the task's default."""
    model = document.get("model")
    return (model.get("network") or None) if isinstance(model, Mapping) else None


def network_of(task: object, network: object = None) -> type[Network]:
    """The settings class of a task's network; for an unknown task or network, the common base class.

    Args:
        task: Name of the task.
        network: ``model.network``; None: the task's default.
    """
    if not isinstance(task, str) or task not in DECLARATIONS:
        return Network
    declaration = task_declaration(task)
    known = network is None or (isinstance(network, str) and network in declaration.families)
    return declaration.network_named(network) if known else Network
