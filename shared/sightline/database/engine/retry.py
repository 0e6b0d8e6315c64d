"""Retries of transient database errors, for a limited time."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from sightline.database.engine.faults import is_transient

RETRY_SECONDS = 90.0
"""How long a transaction is retried after its first error: networks and servers often recover within a minute."""

MIN_ATTEMPTS = 5
"""Minimum number of attempts: one wait for a lock may take most of the time above."""

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0

_log = logging.getLogger(__name__)
Result = TypeVar("Result")


def with_retries(work: Callable[[], Result], what: str) -> Result:
    """Do ``work``; retry after transient errors with exponential backoff and jitter.

    Args:
        work: A complete transaction: a failed attempt must not leave any changes.
        what: For the log line.

    Raises:
        DBAPIError: An error that is not transient, at once; or the last transient one, :data:`RETRY_SECONDS` after the
            first and after :data:`MIN_ATTEMPTS` attempts.
    """
    delay = FIRST_DELAY_SECONDS
    attempt, first_fault = 0, 0.0
    while True:
        attempt += 1
        try:
            return work()
        except DBAPIError as error:
            if not is_transient(error):
                raise
            now = time.monotonic()
            first_fault = first_fault or now
            left = first_fault + RETRY_SECONDS - now
            if left <= 0 and attempt >= MIN_ATTEMPTS:
                raise
            _log.warning(
                "%s: waiting for the database (%s); attempt %d failed, trying for %.0f s more",
                what, error.orig, attempt, max(left, 0),
            )  # fmt: skip
        time.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, not a secret)
        delay = min(2 * delay, MAX_DELAY_SECONDS)
