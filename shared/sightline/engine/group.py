"""The processes of one training: which of them this is, and what they exchange."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from sightline.models.device import choose_device

TIMEOUT = timedelta(hours=2)
"""Longest time that a process waits for the others, for example while the first one evaluates or writes a model.

It only matters if a process hangs: one that ends is noticed at once by the process that started it.
"""

Value = TypeVar("Value")


class Group:
    """The processes of a training; a single process exchanges nothing.

    All processes call the same methods in the same order.  Gradients are summed once per iteration, after every process
    has computed its own: a parameter without a gradient, an empty image or an iteration that one process had to repeat
    cannot make the others wait for something that never comes.

    Args:
        rank: Number of this process, from 0.
        size: Number of processes.
        device: The device of this process.
        local_size: Number of processes on this machine; None: all of them.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, device: torch.device | None = None, local_size: int | None = None
    ) -> None:
        self.rank, self.size, self.local_size = rank, size, local_size or size
        self._device = device or torch.device("cpu")

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and logs; exactly one does."""
        return self.rank == 0

    def sum_gradients(self, network: nn.Module) -> None:
        """Sum the gradients of all processes; parameters without a gradient in any process keep none."""
        if self.size == 1:
            return
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        present = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.float32)
        pieces = [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).flatten()
            for parameter in parameters
        ]
        flat = torch.cat([*pieces, present.to(self._device)])
        dist.all_reduce(flat)
        found = flat[-len(parameters) :].tolist()
        begin = 0
        for parameter, count in zip(parameters, found, strict=True):
            if count:
                parameter.grad = flat[begin : begin + parameter.numel()].view_as(parameter).clone()
            begin += parameter.numel()

    def sum_values(self, values: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Sum scalars by name; the names are the same in all processes."""
        stacked = torch.stack([value.detach().double() for value in values.values()])
        if self.size > 1:
            dist.all_reduce(stacked)
        return dict(zip(values, stacked.tolist(), strict=True))

    def all_true(self, mine: bool) -> bool:
        """Whether the answer of every process is true."""
        if self.size == 1:
            return mine
        answers = torch.tensor([float(mine)], device=self._device)
        dist.all_reduce(answers, dist.ReduceOp.MIN)
        return bool(answers.item())

    def from_first(self, value: Value) -> Value:
        """The value of the first process, in all of them."""
        if self.size == 1:
            return value
        values: list[Any] = [value]
        dist.broadcast_object_list(values, 0)
        received: Value = values[0]
        return received

    def gather(self, values: list[Value]) -> list[Value]:
        """The values of all processes, in the first one; place ``i`` of process ``r`` becomes ``r + i * size``."""
        if self.size == 1:
            return values
        shares: list[list[Value] | None] | None = [None] * self.size if self.is_first else None
        dist.gather_object(values, shares)
        if shares is None:
            return []
        merged: dict[int, Value] = {}
        for rank, share in enumerate(shares):
            merged |= {rank + index * self.size: value for index, value in enumerate(share or [])}
        return [merged[place] for place in sorted(merged)]

    def share_buffers(self, network: nn.Module) -> None:
        """Give all processes the buffers of the first one, such as the statistics of batch norms."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined_group(device: str) -> Iterator[Group]:
    """Join the other processes of a training: with NCCL on GPUs, with Gloo on CPUs.

    The variables of torchrun say which process this is.  On GPUs, each process uses the GPU of its local number.

    Args:
        device: ``train.device`` of the configuration.

    Raises:
        ConfigurationError or StepError: The device is not available.
    """
    chosen, local = choose_device(device), int(os.environ["LOCAL_RANK"])
    if chosen.type == "cuda":
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
        dist.init_process_group("nccl", timeout=TIMEOUT, device_id=chosen)
    else:
        dist.init_process_group("gloo", timeout=TIMEOUT)
    try:
        yield Group(dist.get_rank(), dist.get_world_size(), chosen, int(os.environ["LOCAL_WORLD_SIZE"]))
    except BaseException:
        if chosen.type != "cuda":  # NCCL would wait for the others
            dist.destroy_process_group()  # the others notice that this process does not go on
        raise
    dist.destroy_process_group()
