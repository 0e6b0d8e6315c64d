"""The defaults of the configuration, as JSON holds them."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from sightline.config.network import Network
from sightline.config.schema import Config
from sightline.config.settings import Document, merge
from sightline.config.task_declarations import DECLARATIONS, DEFAULT_TASK, chosen_metrics, task_declaration


def default_document(task: object = DEFAULT_TASK) -> Document:
    """The defaults of all fields that have one, section by section, as JSON holds them.

    Args:
        task: Whose network; of a task that does not exist, what every network has.
    """
    document = defaults_of(Config) | {"task": task, "model": defaults_of(network_of(task))}
    if isinstance(task, str) and task in DECLARATIONS:
        merge(document, chosen_metrics(task))
    return document


def defaults_of(section: type[BaseModel]) -> Document:
    """The defaults of a section and of those in it, as JSON holds them."""
    document: Document = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            document[name] = defaults_of(kind)
        elif not field.is_required():
            document[name] = to_jsonable_python(field.get_default(call_default_factory=True))
    return document


def network_of(task: object) -> type[Network]:
    """The settings of the network of a task; of a task that does not exist, what every network has."""
    return task_declaration(task).network if isinstance(task, str) and task in DECLARATIONS else Network
