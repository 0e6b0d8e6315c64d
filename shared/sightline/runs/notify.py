"""Notifications to a webhook of Slack, or a compatible one."""

from __future__ import annotations

import logging
import os

URL_VARIABLE = "SIGHTLINE_NOTIFY_URL"
TIMEOUT_SECONDS = 10
ATTEMPTS = 4

_log = logging.getLogger(__name__)


def notify(text: str) -> bool:
    """Post ``{"text": ...}`` to the URL in ``SIGHTLINE_NOTIFY_URL``, whose path is a secret and never displayed.

    A failed notification does not fail the run; it is only logged.

    Args:
        text: The message.

    Returns:
        Whether the message was accepted; False if no URL is set.
    """
    url = os.environ.get(URL_VARIABLE, "").strip()
    if not url:
        return False
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    retry = Retry(ATTEMPTS - 1, backoff_factor=1.0, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=None)
    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=retry))
        session.mount("http://", HTTPAdapter(max_retries=retry))
        try:
            response = session.post(url, json={"text": text}, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            _log.warning("notification failed: the webhook of %s failed (%s)", URL_VARIABLE, type(error).__name__)
            return False
    if not response.ok:
        _log.warning("notification failed: the webhook of %s answered %d", URL_VARIABLE, response.status_code)
    return bool(response.ok)
