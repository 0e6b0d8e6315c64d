"""The defaults of the configuration as JSON values."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from sightline.config.network import Network
from sightline.config.schema import Config
from sightline.config.settings import Document, merge
from sightline.config.task_declarations import DECLARATIONS, DEFAULT_TASK, chosen_metrics, task_declaration


def default_document(task: object = DEFAULT_TASK) -> Document:
    """The defaults of all fields that have a default, by section, as JSON values.

    Args:
        task: The task of the network; for an unknown task, the fields common to all networks.
    """
    document = defaults_of(Config) | {"task": task, "model": defaults_of(network_of(task))}
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


def network_of(task: object) -> type[Network]:
    """The settings class of a task's network; for an unknown task, the common base class."""
    return task_declaration(task).network if isinstance(task, str) and task in DECLARATIONS else Network
