"""Counts in messages."""

from __future__ import annotations


def either(*names: str) -> str:
    """A choice as text.

    Example:
        >>> either("JPEG", "PNG", "GIF"), either("PNG")
        ('JPEG, PNG or GIF', 'PNG')
    """
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 image``, ``2,000 images``; ``plural`` for irregular nouns."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
