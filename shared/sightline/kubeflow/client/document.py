"""What the two APIs give and take: JSON objects as they are, with the fields that no generated model knows."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
