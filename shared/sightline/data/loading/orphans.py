"""The end of workers whose training process was killed.

Each worker of torch's ``DataLoader`` writes into a pipe that it could also read from, so it waits forever for a reader
that was killed, for example by the kernel when memory ran out, and keeps its own memory.
"""

from __future__ import annotations

import os
import threading
import time

POLL_SECONDS = 0.5


class EndWithTrainer:
    """Ends a worker soon after the process that started it; an argument ``worker_init_fn`` of a ``DataLoader``.

    Args:
        trainer: The process id of the training process.
    """

    def __init__(self, trainer: int) -> None:
        self._trainer = trainer

    def __call__(self, worker: int) -> None:
        """Watch the training process from a thread of the worker."""
        threading.Thread(target=self._watch, name=f"worker {worker} watches its trainer", daemon=True).start()

    def _watch(self) -> None:
        while os.getppid() == self._trainer:
            time.sleep(POLL_SECONDS)
        os._exit(1)
