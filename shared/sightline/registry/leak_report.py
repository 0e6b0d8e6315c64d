"""The document of a leak check: which images of val and test a model has seen in training."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Leak:
    """Images of a split that a model was trained on.

    Attributes:
        split: ``val`` or ``test``.
        training_tag: The training set whose train split contains them.
        images: File names of the first of them.
        count: Number of them.
        same_file: Whether the files are identical; if not, they belong to the same group, such as near-duplicates.
    """

    split: str
    training_tag: str
    images: list[str]
    count: int
    same_file: bool

    @property
    def text(self) -> str:
        """The leak as one sentence without a full stop."""
        how = "also in" if self.same_file else "in the same groups as images of"
        plural = "s" if self.count != 1 else ""
        shown = ", ".join(self.images)
        more = f" and {self.count - len(self.images)} more" if self.count > len(self.images) else ""
        return f"{self.count} {self.split} image{plural} {how} the train split of {self.training_tag}: {shown}{more}"


@dataclass(frozen=True, slots=True)
class LeakReport:
    """The leak check of one model.

    Attributes:
        trained_on: The training sets of the model and of the models it started from.
        leaks: What was found.
        unknown: Training data that could not be checked, and why.
    """

    trained_on: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def val_leak(self) -> str:
        """The images of the val split that the model has seen, as one sentence; empty if there are none."""
        return "; ".join(leak.text for leak in self.leaks if leak.split == "val")
