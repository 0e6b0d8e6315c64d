"""Processes of a fork server that several threads may start and wait for.

Every start of ``multiprocessing`` polls all processes.  One that ends while a thread waits for it is read twice, and
who reads second is told that the server died: exit code 255.
"""

from __future__ import annotations

import os
import threading
from multiprocessing import connection, context, popen_forkserver


class Popen(popen_forkserver.Popen):
    """Reads the exit code of a process once."""

    def __init__(self, process_obj):
        self._reading = threading.Lock()
        super().__init__(process_obj)

    def poll(self, flag=os.WNOHANG):
        if flag != os.WNOHANG:
            connection.wait([self.sentinel])
        with self._reading:
            return super().poll(os.WNOHANG)


class Process(context.ForkServerProcess):
    @staticmethod
    def _Popen(process_obj):  # noqa: N802  (as the base class calls it)
        return Popen(process_obj)


class Context(context.ForkServerContext):
    Process = Process
