"""Dataset tags: ``<dataset>_ann_<version>`` for annotations, ``<dataset>_train_<version>`` for training sets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sightline.errors import ConfigurationError, UnknownTagError

TagKind = Literal["ann", "train"]
Room = Literal["annotations", "training"]

SHOWN_TAGS = 20

_TAG = re.compile(r"(?P<dataset>[A-Za-z0-9][A-Za-z0-9._-]*)_(?P<kind>ann|train)_(?P<version>[A-Za-z0-9][A-Za-z0-9.-]*)")


@dataclass(frozen=True, slots=True)
class DatasetTag:
    """A parsed tag of the data repository.

    Example:
        >>> tag = DatasetTag.parse("plates_ann_v1")
        >>> tag.dataset, tag.version, str(tag.training)
        ('plates', 'v1', 'plates_train_v1')

    Attributes:
        dataset: The dataset's name.
        kind: ``ann`` or ``train``.
        version: Such as ``v1``; without underscores.

    Raises:
        ConfigurationError: Git does not allow the name in a tag, or it is ambiguous.
    """

    dataset: str
    kind: TagKind
    version: str

    def __post_init__(self) -> None:
        name = str(self)
        unfit = ".." in name or name.endswith((".", ".lock")) or len(re.findall("_(?:ann|train)(?=_)", name)) != 1
        if unfit or len(name) > 200 or not _TAG.fullmatch(name):
            raise ConfigurationError(
                f"dataset {self.dataset!r} and version {self.version!r} do not make a valid tag; expected letters, "
                "digits, '-' and '.' ('_' only in the dataset's name), beginning with a letter or digit, without '..', "
                "'_ann_' or '_train_' inside, at most 200 characters"
            )

    @classmethod
    def parse(cls, tag: str) -> DatasetTag:
        """Parse a tag.

        Raises:
            ConfigurationError: The tag has another format.
        """
        match = _TAG.fullmatch(tag)
        if match is None:
            raise ConfigurationError(
                f"{tag!r} is not a dataset tag; expected <dataset>_ann_<version> or <dataset>_train_<version>, made of "
                "letters, digits, '-' and '.' ('_' only in the dataset's name), such as plates_ann_v1"
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

    @property
    def room(self) -> Room:
        """Name of the folder in the data repository, and of the DVC remote, for versions of this kind."""
        return "annotations" if self.kind == "ann" else "training"

    @property
    def folder(self) -> str:
        """Folder of the files in a checkout: ``annotations/plates``."""
        return f"{self.room}/{self.dataset}"

    @property
    def dvc_file(self) -> str:
        """The ``.dvc`` file in git: ``annotations/plates.dvc``."""
        return f"{self.folder}.dvc"

    @property
    def order(self) -> list[tuple[int, str]]:
        """Sort key for natural order: v2 before v10."""
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", self.version)]


def dataset_tags(names: Iterable[str]) -> list[DatasetTag]:
    """The dataset tags among ``names``, by dataset, kind and version; other tags are ignored."""
    tags = []
    for name in names:
        try:
            tags.append(DatasetTag.parse(name))
        except ConfigurationError:
            continue
    return sorted(tags, key=lambda tag: (tag.dataset, tag.kind, tag.order))


def unknown_tag(tag: str, repository: str, known: Iterable[str], hint: str = "") -> UnknownTagError:
    """The error for a tag that ``repository`` does not have; it lists the existing tags, most similar first.

    Args:
        tag: The tag.
        repository: The repository, as shown in the message.
        known: Its tags.
        hint: Why tags may be missing, and what to do; see :func:`sightline.data.git.clones.clone_hint`.
    """
    names = [str(entry) for entry in dataset_tags(known)]
    if not names:
        return UnknownTagError(
            f"{repository} has no dataset versions yet, so it does not have {tag!r}; "
            + (hint or "add one: sightline data add FOLDER --dataset NAME --version V")
        )
    names.sort(key=lambda name: -difflib.SequenceMatcher(None, tag, name).ratio())
    more = f" and {len(names) - SHOWN_TAGS} more (sightline data list)" if len(names) > SHOWN_TAGS else ""
    more += f"; {hint}" if hint else ""
    return UnknownTagError(f"{repository} has no tag {tag!r}; it has {', '.join(names[:SHOWN_TAGS])}{more}")
