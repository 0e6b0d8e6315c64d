"""The summary of a review in the commit message of the version that it led to.

It is the last paragraph of the message, so that earlier releases and other tools read the commit as before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from sightline.documents import DocumentError, DocumentKind
from sightline.plural import counted

_TRAILER = "Sightline-Suggestions: "

_WORDS = {"accepted": "accepted", "changed": "changed", "rejected": "rejected", "open": "not decided"}


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """What people made of the suggestions that led to a version.

    Attributes:
        base: The annotation tag that the suggestions were for.
        model: SHA-256 of the model that made them.
        counts: ``accepted``, ``changed``, ``rejected`` and ``open`` -> kind of suggestion -> number.
        undecided_images: Number of new images that were left out because nothing was decided.
    """

    base: str
    model: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    undecided_images: int = 0

    @property
    def text(self) -> str:
        """The numbers, such as ``15 accepted (15 wrong class), 1 rejected (1 missing)``."""
        parts = []
        for status, word in _WORDS.items():
            if kinds := self.counts.get(status):
                listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
                parts.append(f"{sum(kinds.values())} {word} ({listed})")
        return ", ".join(parts) or "none"

    @property
    def message(self) -> str:
        """The paragraphs of a commit message."""
        said = f"Suggestions of model {self.model[:12]} for {self.base}: {self.text}."
        if self.undecided_images:
            said += f" Left out: {counted(self.undecided_images, 'new image')} without a decision."
        return f"{said}\n\n{_TRAILER}{json.dumps(SUMMARY.encode(self), sort_keys=True)}"


SUMMARY = DocumentKind("summary of suggestions", ReviewSummary)


def summary_in(message: str) -> ReviewSummary | None:
    """The summary in a commit message; None if it has none, or one of a later version of Sightline."""
    for line in reversed(message.splitlines()):
        if line.startswith(_TRAILER):
            try:
                return SUMMARY.decode(line.removeprefix(_TRAILER))
            except DocumentError:
                return None
    return None
