"""What a recipe says loses its meaning when an override chooses another network, or another length of the training."""

from __future__ import annotations

from sightline.config.defaults import chosen_network, network_of
from sightline.config.network import Network
from sightline.config.settings import Document
from sightline.config.task_declarations import DEFAULT_TASK

IN_PLACE_OF = {"epochs": "iterations", "validate_epochs": "validate_every"}
"""Fields of ``train`` that take precedence over another one, which counts only without them."""


def make_way(document: Document, chosen: Document) -> None:
    """Remove what a recipe says about something that the overrides replace.

    If they choose another ``model.network``, or an empty one, which stands for the task's default, the settings of the
    recipe's network that the chosen one does not have are removed.  If they set ``train.iterations`` but not
    ``train.epochs``, the recipe's epochs are removed; the same applies to the interval of validations.

    Args:
        document: Recipe and settings file; modified in place.
        chosen: The overrides alone, as far as they are valid.
    """
    mine, given = _section(document, "train"), _section(chosen, "train")
    for winner, loser in IN_PLACE_OF.items():
        if loser in given and winner not in given:
            mine.pop(winner, None)
    network = chosen_network(chosen)
    if "network" not in _section(chosen, "model") or network == chosen_network(document):
        return
    kind = network_of(chosen.get("task", document.get("task", DEFAULT_TASK)), network)
    if kind is Network:  # an unknown name, which is a fault of its own
        return
    model = _section(document, "model")
    for name in model.keys() - kind.model_fields.keys():
        del model[name]


def _section(document: Document, name: str) -> Document:
    section = document.get(name)
    return section if isinstance(section, dict) else {}
