"""Requests and responses of the two APIs: plain JSON objects, including fields that the generated models lack."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
