"""The weights that a training starts from."""

from __future__ import annotations

from pathlib import Path

from sightline.config.published_weights import CHAMPION
from sightline.config.schema import Config
from sightline.engine.state import Training
from sightline.files import write_atomically
from sightline.models.weights.initialize import load_weights
from sightline.registry.named_champion import find_champion
from sightline.storage import open_storage

TABLE = "weights.txt"
"""The file beside the models that lists what was loaded, tensor by tensor."""


def load_initial_weights(config: Config, training: Training) -> None:
    """Load the weights given by ``model.weights`` into the network of a training that has not begun.

    The first process writes :data:`TABLE`.  Without pretrained weights nothing happens.

    Raises:
        ConfigurationError: There are no such weights.
        StepError: They cannot be fetched, or the table cannot be written.
        StorageError: They cannot be fetched from a bucket.
        ModelFileError: They cannot be read, or do not fit the network.
    """
    model = config.model
    if not model.is_pretrained:
        return
    if model.weights.startswith(CHAMPION):  # resolve has replaced it, unless the step is used from Python
        pointer = find_champion(open_storage(config.storage.uri), model.weights)
        model = model.model_copy(update={"weights": pointer.uri})
    cache = Path(config.work.dir) / "weights"
    loaded = load_weights(training.network, model, config.data.classes, training.task.class_rows, cache=cache)
    training.state.weights, training.state.weights_sha256 = loaded.source, loaded.sha256
    if training.group.is_first:
        write_atomically(training.files / TABLE, loaded.text())
