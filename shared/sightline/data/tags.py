"""Dataset tags: ``<dataset>_ann_<version>`` for annotations, ``<dataset>_train_<version>`` for training sets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sightline.errors import ConfigurationError

TagKind = Literal["ann", "train"]

_TAG = re.compile(r"(?P<dataset>[A-Za-z0-9][A-Za-z0-9._-]*)_(?P<kind>ann|train)_(?P<version>[A-Za-z0-9][A-Za-z0-9.-]*)")


@dataclass(frozen=True, slots=True)
class DatasetTag:
    """A tag of the data repository, taken apart.

    Example:
        >>> tag = DatasetTag.parse("plates_ann_v1")
        >>> tag.dataset, tag.version, str(tag.training)
        ('plates', 'v1', 'plates_train_v1')

    Attributes:
        dataset: The dataset's name.
        kind: ``ann`` or ``train``.
        version: Such as ``v1``; without underscores.
    """

    dataset: str
    kind: TagKind
    version: str

    @classmethod
    def parse(cls, tag: str) -> DatasetTag:
        """Take a tag apart.

        Raises:
            ConfigurationError: The tag does not look like one.
        """
        match = _TAG.fullmatch(tag)
        if match is None:
            raise ConfigurationError(
                f"{tag!r} is not a dataset tag; expected <dataset>_ann_<version> or <dataset>_train_<version>, made of "
                "letters, digits, '-' and '.' ('_' in the dataset's name alone), such as plates_ann_v1"
            )
        kind: TagKind = "ann" if match["kind"] == "ann" else "train"
        return cls(match["dataset"], kind, match["version"])

    def __str__(self) -> str:
        return f"{self.dataset}_{self.kind}_{self.version}"

    @property
    def annotations(self) -> DatasetTag:
        """The annotation tag of this version."""
        return DatasetTag(self.dataset, "ann", self.version)

    @property
    def training(self) -> DatasetTag:
        """The training tag of this version."""
        return DatasetTag(self.dataset, "train", self.version)
