"""A task that takes milliseconds: a convolution with a norm of its own for each image, and two losses."""

from dataclasses import asdict, dataclass
from types import SimpleNamespace

import torch
from torch import nn

from sightline.models.preprocessing import as_tensor
from sightline.tasks.base import Predictor, Task
from tests.engine.training import run as run_training
from tests.squares import TINY_TRAIN

PLAIN_TRAIN = TINY_TRAIN.model_copy(update={"validate_every": 2, "checkpoint_every": 1, "clip_norm": 0.0})


@dataclass(frozen=True)
class Mean:
    """The prediction for an image."""

    image_id: int
    value: float

    def to_json(self):
        return asdict(self)


class Constant(Predictor):
    """Predicts the mean of the weights."""

    def __init__(self, network):
        self.card = SimpleNamespace(preprocessing=SimpleNamespace(image_size=64))
        self._value = float(sum(parameter.detach().double().mean() for parameter in network.parameters()))

    def predict(self, image, image_id=0, *, max_pixels=0):
        return Mean(image_id, self._value)


class PlainTask(Task):
    """Its metric is a function of the weights, or the next of some given values.

    Args:
        scores: Metrics of the validations, in their order.
        most: Images at once that fit the memory.
        fail_at: Number of the micro-batch at which :class:`Interruption` is raised.
    """

    name = "instance_segmentation"
    metrics = ("mask_AP",)

    def __init__(self, scores=(), most=100, fail_at=0):
        self.scores, self.most, self.fail_at = list(scores), most, fail_at
        self.sizes = []

    def losses(self, network, batch, device):
        self.sizes.append(len(batch))
        if len(self.sizes) == self.fail_at:
            raise Interruption
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        images = torch.stack([as_tensor(sample.image) for sample in batch]) / 255
        found = network(images.to(next(network.parameters()).dtype)).mean(dim=(1, 2, 3))
        return {"square": found.square().mean(), "distance": (found - 0.5).abs().mean()}

    def predictor(self, network, card, device):
        return Constant(network)

    def evaluate(self, truth, predictions, reading):
        return {"mask_AP": self.scores.pop(0) if self.scores else abs(predictions[0].value) % 1}


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a process."""


def plain_network(seed=0):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3, stride=2), nn.Conv2d(4, 2, 1)
    return nn.Sequential(*layers)


def run(folder, changes=None, *, task=None, **given):
    """Train the plain network; ``changes`` are those of :data:`PLAIN_TRAIN`."""
    settings = PLAIN_TRAIN.model_copy(update=changes or {})
    return run_training(folder, settings, task=task or PlainTask(), network=plain_network(), **given)
