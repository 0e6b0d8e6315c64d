"""Amounts as Kubernetes writes them: ``500m``, ``2``, ``16Gi``, ``1e3``, ``2G``."""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<exponent>[eE][+-]?\d{1,3})|(?P<binary>[KMGTPE]i)|(?P<decimal>[numkMGTPE]?))"
)
_BINARY = {unit: Fraction(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {unit: Fraction(1000) ** power for power, unit in enumerate("num", -3)} | {
    unit: Fraction(1000) ** power for power, unit in enumerate(("", *"kMGTPE"))
}
_GIBI, _MEBI = 1024**3, 1024**2


def parse_quantity(text: object) -> Fraction:
    """Read an amount exactly.

    Args:
        text: The value from a manifest; a number without a unit may be an int or float.

    Raises:
        ValueError: Kubernetes would reject it too.

    Example:
        >>> parse_quantity("500m"), parse_quantity("1Ki"), parse_quantity("1E"), parse_quantity("1E3")
        (Fraction(1, 2), Fraction(1024, 1), Fraction(1000000000000000000, 1), Fraction(1000, 1))
    """
    match = _QUANTITY.fullmatch(str(text)) if str(text).isascii() else None
    if match is None or isinstance(text, bool):
        raise ValueError(f"{text!r} is not a Kubernetes quantity; expected e.g. 2, 500m, 16Gi or 2G")
    number = Fraction(match["number"].rstrip("."))
    if match["exponent"]:
        return number * Fraction(10) ** int(match["exponent"][1:])
    return number * (_BINARY[match["binary"]] if match["binary"] else _DECIMAL[match["decimal"] or ""])


def shown(resource: str, amount: Fraction) -> str:
    """Format an amount with its unit, rounded down.

    Example:
        >>> shown("cpu", Fraction("3.92")), shown("memory", Fraction(16 * 1024**3 - 1))
        ('3.92 cpu', '15.99Gi memory')
    """
    if resource in {"memory", "ephemeral-storage"} or resource.startswith("hugepages-"):
        for unit, size in (("Gi", _GIBI), ("Mi", _MEBI)):
            if amount >= size:
                return f"{_floored(amount / size)}{unit} {resource}"
        return f"{_floored(amount)} bytes of {resource}"
    return f"{_floored(amount)} {resource}"


def _floored(amount: Fraction) -> str:
    hundredths = amount * 100 // 1
    return f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".")
