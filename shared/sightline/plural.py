"""Counts in messages."""

from __future__ import annotations


def either(*names: str) -> str:
    """A choice as a sentence has it.

    Example:
        >>> either("JPEG", "PNG", "GIF"), either("PNG")
        ('JPEG, PNG or GIF', 'PNG')
    """
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 image``, ``2,000 images``; ``plural`` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
