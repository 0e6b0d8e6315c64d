"""Settings of the training loop: the section ``train`` of the configuration."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sightline.config.augmentation import DEFAULT_AUGMENTATION, Augmentation
from sightline.config.hooks import Hooks
from sightline.config.loading import Loading
from sightline.config.section import KnownName, PositiveFloat, PositiveInt, Section

TRACKER_NAMES = ("text", "tensorboard", "mlflow", "wandb")
"""A tracker that records the training; each is a module of that name in :mod:`sightline.tracking`."""

OPTIMIZERS = (
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "sgd",
)  # fmt: skip
"""The classes of ``torch.optim`` that train any parameter, in lower case.

Left out: LBFGS (computes the loss several times a step), Muon (matrices only), Rprop (for whole data sets; has no
weight decay, and does not follow the learning rate), SparseAdam (sparse gradients only).
"""

NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Factor = Annotated[float, Field(gt=0.0, le=1.0)]


class Schedule(Section):
    """The learning rate over the training, relative to `train.learning_rate`; each starts with the warm-up."""

    name: Literal["cosine", "step", "multi_step", "one_cycle", "polynomial", "constant"] = Field(
        "cosine",
        description="cosine falls to `final`; step falls every `step` iterations; multi_step falls at `milestones`; "
        "one_cycle rises and falls along cosines (the rise takes warmup_iterations, or 30 % if that is 0); polynomial "
        "falls to `final` with `power`; constant stays",
    )
    final: Annotated[float, Field(ge=0.0, le=1.0)] = Field(0.0, description="Last factor of cosine and polynomial")
    gamma: Factor = Field(0.1, description="Factor of each fall of step and multi_step")
    step: PositiveInt = Field(10_000, description="Iterations between two falls of step")
    milestones: tuple[PositiveInt, ...] = Field((), description="Iterations after which multi_step falls, rising")
    power: PositiveFloat = Field(1.0, description="Exponent of polynomial; 1: linear")
    warmup_start: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.0, description="Factor that the linear warm-up starts from"
    )

    @model_validator(mode="after")
    def _milestones_rise(self) -> Schedule:
        if self.name == "multi_step" and (not self.milestones or list(self.milestones) != sorted(set(self.milestones))):
            raise ValueError(
                f"milestones in rising order for multi_step, such as [8000, 11000], but got {list(self.milestones)}"
            )
        return self


class ParameterGroup(Section):
    """Parameters with a learning rate or weight decay of their own."""

    match: str = Field(min_length=1, description="Regular expression, searched in the names of the parameters")
    learning_rate: NonNegativeFloat = Field(1.0, description="Factor on the learning rate; 0 freezes them")
    weight_decay: NonNegativeFloat | None = Field(None, description="Weight decay; empty: that of the training")

    @field_validator("match")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"a regular expression, but {error}") from error
        return pattern


class Train(Loading):
    """The training loop."""

    iterations: PositiveInt = Field(10_000, description="Optimizer steps in total")
    epochs: NonNegativeFloat = Field(
        0.0, description="Passes over the training images, in place of iterations; 0: iterations counts"
    )
    batch_size: PositiveInt = Field(4, description="Images per iteration, over all processes and micro-batches")
    micro_batch: NonNegativeInt = Field(
        0,
        description="Images that a device computes at once; the gradients of a batch are accumulated. Smaller: less "
        "memory. 0: the whole share of the process, halved when the memory of a GPU does not suffice",
    )
    optimizer: Annotated[str, KnownName("optimizer", lambda: OPTIMIZERS)] = Field(
        "adamw", description="Class of torch.optim; sgd has momentum 0.9 unless optimizer_options say otherwise"
    )
    optimizer_options: dict[str, bool | float | tuple[float, ...]] = Field(
        {}, description="Further arguments of the optimizer, such as {momentum: 0.9, nesterov: true}"
    )
    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] = Field(
        1e-4, description="Peak learning rate, reached after the warm-up"
    )
    weight_decay: NonNegativeFloat = Field(0.05, description="Weight decay; not applied to biases and norms")
    warmup_iterations: NonNegativeInt = Field(
        500, description="Iterations over which the learning rate rises linearly; at most train.iterations"
    )
    schedule: Schedule = Schedule()
    parameter_groups: tuple[ParameterGroup, ...] = Field(
        (), description="Groups with `match`, `learning_rate` (a factor) and `weight_decay`; the first match counts"
    )
    layer_decay: Factor = Field(
        1.0, description="Factor on the learning rate for each stage of the body towards the input; 1: none"
    )
    frozen_stages: Annotated[int, Field(ge=0, le=5)] = Field(
        0, description="Stages of the body that are not trained, from the input, the stem included; less memory"
    )
    frozen_norms: bool = Field(False, description="Whether batch norms keep their statistics and parameters")
    clip_norm: NonNegativeFloat = Field(
        1.0, description="Maximum norm of the gradients; larger ones are scaled down; 0: no limit"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="Precision of the computation; weights are fp32. auto: bf16 on a GPU that has it, else fp16 (with "
        "scaled losses); fp32 on a CPU. Half precision needs less memory, and is 1.2 to 1.4 times as fast",
    )
    processes: Literal["auto"] | PositiveInt = Field(
        "auto", description="Training processes on each machine, one per GPU; auto: all GPUs, or one process on a CPU"
    )
    nodes: PositiveInt = Field(
        1, description="Machines to train on, with a TrainJob of Kubeflow Trainer; more than 1 requires Kubeflow"
    )
    validate_every: PositiveInt = Field(500, description="Iterations between validations")
    validate_epochs: NonNegativeFloat = Field(0.0, description="Passes between validations, in place of validate_every")
    checkpoint_every: PositiveInt = Field(500, description="Iterations between checkpoints")
    checkpoint_minutes: PositiveFloat = Field(5.0, description="Longest time between two checkpoints in minutes")
    log_every: PositiveInt = Field(20, description="Iterations between log lines")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto uses a GPU if there is one")
    best_metric: str = Field(
        "mask_AP", description="Validation metric that selects the best checkpoint; the default depends on the task"
    )
    keep_best: Annotated[int, Field(ge=1, le=20)] = Field(
        1, description="Number of candidates to keep by best_metric: best, best_2, ..."
    )
    skip_not_finite: NonNegativeInt = Field(
        3, description="Iterations in a row with a loss that is not finite to leave out before stopping"
    )
    sanity: bool = Field(
        False, description="Whether to overfit one batch before the training, and stop if the loss does not fall"
    )
    trackers: tuple[Annotated[str, KnownName("tracker", lambda: TRACKER_NAMES)], ...] = Field(
        ("text", "tensorboard"), description="Where the training is recorded"
    )
    hooks: Hooks = Hooks()
    augmentation: Augmentation = Field(
        DEFAULT_AUGMENTATION,
        description="Random changes of training images, in this order, each with its probability; see below",
    )

    def total_iterations(self, images: int) -> int:
        """The number of iterations of a training on ``images`` images."""
        return math.ceil(self.epochs * images / self.batch_size) if self.epochs else self.iterations

    def validation_interval(self, images: int) -> int:
        """The number of iterations between two validations."""
        if not self.validate_epochs:
            return self.validate_every
        return max(1, round(self.validate_epochs * images / self.batch_size))
