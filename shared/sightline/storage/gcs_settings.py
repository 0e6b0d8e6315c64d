"""Settings for Google Storage on this machine, from the environment, because they are not part of a run's identity."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from sightline.errors import ConfigurationError

TIMEOUT_SECONDS = 60.0
JOBS = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings for all buckets: the variables ``SIGHTLINE_GCS_USER_PROJECT`` and so on.

    Attributes:
        user_project: The project to bill, if the bucket's owner does not pay.
        kms_key: Full name of a Cloud KMS key.
        timeout_seconds: Timeout of one request; the operation fails after twice this time without progress.
        jobs: Number of concurrent transfers.
    """

    user_project: str | None = None
    kms_key: str | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
    jobs: int = JOBS

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings from the environment.

        Raises:
            ConfigurationError: A variable is not a number in its range.
        """
        return cls(
            os.environ.get("SIGHTLINE_GCS_USER_PROJECT") or None,
            os.environ.get("SIGHTLINE_GCS_KMS_KEY") or None,
            _number("SIGHTLINE_GCS_TIMEOUT_SECONDS", TIMEOUT_SECONDS, 0.1, 3600),
            int(_number("SIGHTLINE_GCS_JOBS", JOBS, 1, 64)),
        )


def _number(variable: str, default: float, least: float, most: float) -> float:
    text = os.environ.get(variable)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ConfigurationError(f"{variable} is {text!r}; expected a number from {least} to {most}")
    return value
