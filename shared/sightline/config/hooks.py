"""Settings of the hooks of the training loop, which are off unless a recipe turns them on."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from sightline.config.section import PositiveInt, Section
from sightline.names import unknown_name

Count = Annotated[int, Field(ge=0)]
Gigabytes = Annotated[float, Field(ge=0.0)]

_OWN_HOOK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Ema(Section):
    """Exponential moving average of the weights; validation and the published models use the average."""

    decay: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0,
        description="Weight of the old average in each step, such as 0.999; 0: off. One more copy of the weights in "
        "memory; `last_live` is published as well, with the weights that were not averaged",
    )
    warmup: bool = Field(
        True,
        description="Whether the decay rises from 0.1 as (1 + n) / (10 + n) in step n, for short trainings",
    )


class EarlyStopping(Section):
    """Stops a training that no longer improves."""

    patience: Count = Field(0, description="Validations without an improvement of best_metric before stopping; 0: off")
    min_gain: Annotated[float, Field(ge=0.0)] = Field(0.0, description="Smallest gain that counts as an improvement")
    target: Annotated[float, Field(ge=0.0)] = Field(0.0, description="Value of best_metric to stop at; 0: none")


class MemoryGuard(Section):
    """Skips iterations or stops when memory runs short, before the kernel kills the process."""

    ram_gb: Gigabytes = Field(0.0, description="Limit of the process and its workers in GiB; 0: no limit")
    gpu_gb: Gigabytes = Field(0.0, description="Limit of the GPU memory in use in GiB; 0: no limit")
    action: Literal["skip", "stop"] = Field("skip", description="What to do above a limit; skip leaves the batch out")
    max_skips: PositiveInt = Field(20, description="Iterations to skip in a row before stopping")


class Profiler(Section):
    """Records a trace of some iterations for chrome://tracing or Perfetto, in `profile/` of the training's files."""

    iterations: Count = Field(0, description="Number of iterations to record; 0: off")
    first: PositiveInt = Field(10, description="First iteration to record")


class Pictures(Section):
    """Shows predictions and precision-recall curves of each validation in the trackers that can."""

    images: Count = Field(4, description="Number of images of the val split to show; 0: off")


class Hooks(Section):
    """Optional parts of the training loop; your own hooks as `module:Class`, with the arguments of the class."""

    model_config = ConfigDict(extra="allow")

    ema: Ema = Ema()
    pictures: Pictures = Pictures()
    early_stopping: EarlyStopping = EarlyStopping()
    memory_guard: MemoryGuard = MemoryGuard()
    profiler: Profiler = Profiler()

    @model_validator(mode="after")
    def _own_hooks_are_classes(self) -> Hooks:
        for name, arguments in self.own.items():
            if not _OWN_HOOK.fullmatch(name):
                known = [*type(self).model_fields, "module:Class"]
                raise ValueError(f"hooks by name, but {unknown_name('hook', name, known)}")
            if not isinstance(arguments, dict):
                raise ValueError(f"arguments by name for {name}, such as {{every: 10}}, but got {arguments!r}")
        return self

    @property
    def own(self) -> dict[str, dict[str, Any]]:
        """The users' own hooks: ``module:Class`` -> arguments of the class."""
        return self.model_extra or {}
