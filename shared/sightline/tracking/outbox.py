"""A queue that a thread empties, whose receiver may be away for a while."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sightline.url_secrets import redact

MAX_BYTES = 128 * 2**20
"""Limit of what an outbox keeps in memory; beyond it, the largest of the oldest items are dropped."""

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 60.0
"""Pauses between attempts while the receiver is away: doubled each time, from the first to the last."""

_LARGE = 2**16

_log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Outbox(Generic[Item]):
    """Delivers items in order, in a thread of its own, so that the caller never waits and never sees an error.

    An :class:`OSError` means that the receiver is away: it is logged once, and delivery is repeated until it succeeds.
    With any other error, the items are dropped, because they would fail again; this is also logged once.

    Args:
        name: Name of the receiver, for log lines.
        deliver: Delivers some items, all or none.
        batch: Maximum number of items to deliver at once.

    Attributes:
        has_refused: Whether an item was dropped because of an error.
    """

    def __init__(self, name: str, deliver: Callable[[Sequence[Item]], None], *, batch: int = 1) -> None:
        self._name, self._deliver, self._batch = name, deliver, batch
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = self._taken = self._dropped = 0
        self._away = self._closing = False
        self.has_refused = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, item: Item, size: int = 0) -> None:
        """Add an item; after :meth:`close`, it is ignored.

        Args:
            item: The item.
            size: Its approximate size in bytes.
        """
        with self._changed:
            if self._closing:
                return
            self._items.append((item, size))
            self._bytes += size
            while self._bytes > MAX_BYTES and len(self._items) > self._taken:
                self._drop_one()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"tracker {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, seconds: float, working_seconds: float = 0.0) -> list[Item]:
        """Stop when everything is delivered, or after two more attempts that fail.

        Args:
            seconds: Maximum time to wait.
            working_seconds: Maximum time to wait while the receiver is not away, if it is longer.

        Returns:
            The items that were not delivered, in order.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)
            limit = time.monotonic() + working_seconds - seconds
            while self._thread.is_alive() and not self._away and time.monotonic() < limit:
                self._thread.join(0.1)
        with self._changed:
            return [item for item, _ in self._items]

    def _drop_one(self) -> None:
        """Drop the oldest large item, or the oldest of all, but none that is being delivered."""
        waiting = range(self._taken, len(self._items))
        index = next((index for index in waiting if self._items[index][1] >= _LARGE), self._taken)
        self._bytes -= self._items[index][1]
        del self._items[index]
        self._dropped += 1
        if self._dropped == 1:
            _log.warning(
                "tracker %s: more than %d MB wait for it; the oldest images, then the oldest values, are dropped",
                self._name,
                MAX_BYTES // 2**20,
            )

    def _run(self) -> None:
        pause, last_attempts = FIRST_RETRY_SECONDS, 2
        while batch := self._take():
            last_attempts -= self._closing
            try:
                self._deliver(batch)
            except OSError as error:
                self._report_away(error)
                if last_attempts <= 0:
                    return
                self._wait(pause)
                pause = min(2 * pause, LAST_RETRY_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001  (whatever a tracker raises must not reach the training)
                self._report_refused(error)
            else:
                self._report_back()
            pause, last_attempts = FIRST_RETRY_SECONDS, 2
            self._remove(len(batch))

    def _wait(self, seconds: float) -> None:
        """Wait for the next attempt; when the training ends meanwhile, only a moment longer."""
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, seconds)
        if self._closing:
            time.sleep(min(seconds, FIRST_RETRY_SECONDS))

    def _take(self) -> list[Item]:
        """The next items, which stay in the queue until they are delivered; none after :meth:`close`."""
        with self._changed:
            self._taken = 0
            self._changed.wait_for(lambda: self._items or self._closing)
            batch = [item for item, _ in itertools.islice(self._items, self._batch)]
            self._taken = len(batch)
            return batch

    def _remove(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._bytes -= self._items.popleft()[1]

    def _report_away(self, error: OSError) -> None:
        if not self._away:
            _log.warning(
                "tracker %s: %s; training goes on, and what it logs is kept and delivered later",
                self._name,
                redact(str(error)),
            )
        self._away = True

    def _report_back(self) -> None:
        if self._away:
            _log.info("tracker %s: works again", self._name)
        self._away = False

    def _report_refused(self, error: Exception) -> None:
        if not self.has_refused:
            _log.warning(
                "tracker %s: %s: %s; this value is left out, and training goes on",
                self._name,
                type(error).__name__,
                redact(str(error)),
            )
        self.has_refused = True
