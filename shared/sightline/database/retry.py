"""Faults of a database that pass by themselves: try again, a bounded number of times."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

MAX_ATTEMPTS = 8
FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0

TRANSIENT_MYSQL_CODES = {
    1205,  # waited too long for a lock
    1213,  # deadlock, this transaction was the victim
    2003,  # cannot connect
    2006,  # server has gone away
    2013,  # connection lost during the query
}

_log = logging.getLogger(__name__)
Result = TypeVar("Result")


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    original = error.orig
    if original is None:
        return False
    if original.args and original.args[0] in TRANSIENT_MYSQL_CODES:
        return True
    return "database is locked" in str(original) or "database table is locked" in str(original)


def with_retries(work: Callable[[], Result], what: str) -> Result:
    """Do ``work``, again after a transient fault, waiting twice as long each time, with jitter.

    Args:
        work: A whole transaction: nothing of a failed attempt may remain.
        what: For the log line.

    Raises:
        DBAPIError: The last fault.
    """
    delay = FIRST_DELAY_SECONDS
    for attempt in range(1, MAX_ATTEMPTS):
        try:
            return work()
        except DBAPIError as error:
            if not is_transient(error):
                raise
            _log.info("%s: attempt %d of %d failed (%s); trying again", what, attempt, MAX_ATTEMPTS, error.orig)
        time.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, not a secret)
        delay = min(2 * delay, MAX_DELAY_SECONDS)
    return work()
