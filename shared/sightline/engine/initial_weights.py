"""The weights that a training starts from."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sightline.config.published_weights import CHAMPION
from sightline.config.schema import Config
from sightline.files import write_atomically
from sightline.models.weights.initialize import load_weights
from sightline.models.weights.table import LoadedWeights
from sightline.registry.named_champion import find_champion
from sightline.storage import open_storage
from sightline.tasks.base import Task

TABLE = "weights.txt"
"""The file beside the models that lists what was loaded, tensor by tensor."""


def load_initial_weights(config: Config, task: Task, network: nn.Module, files: Path | None) -> LoadedWeights | None:
    """Load the weights given by ``model.weights``; None if training starts from random weights.

    Args:
        config: The whole configuration.
        task: The task.
        network: Its network.
        files: Folder for the table of what was loaded; None: no table is written.

    Raises:
        ConfigurationError: There are no such weights.
        StepError: They cannot be fetched, or the table cannot be written.
        StorageError: They cannot be fetched from a bucket.
        ModelFileError: They cannot be read, or do not fit the network.
    """
    if not config.model.is_pretrained:
        return None
    model = config.model
    if model.weights.startswith(CHAMPION):  # resolve has replaced it, unless the step is used from Python
        pointer = find_champion(open_storage(config.storage.uri), model.weights)
        model = model.model_copy(update={"weights": pointer.uri})
    cache = Path(config.work.dir) / "weights"
    loaded = load_weights(network, model, config.data.classes, task.class_rows, cache=cache)
    if files is not None:
        write_atomically(files / TABLE, loaded.text())
    return loaded
