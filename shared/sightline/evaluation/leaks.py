"""The leak check: whether a model, or a model that it started from, was trained on images of val or test.

record keeps related images in one split, but a model may have started from weights that were trained on another
training set.  Images are compared by the SHA-256 of their files and by their groups, as the database lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.config.published_weights import is_address
from sightline.data.formats.coco import CocoDocument
from sightline.database import Database
from sightline.errors import ModelFileError, StepError, StorageError
from sightline.registry.leak_report import Leak, LeakReport

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard

_SHOWN_IMAGES = 3
_MAX_STARTS = 20
"""Length of a chain of models that started from each other."""

Seen = Mapping[str, str]
"""SHA-256 of a file, or the name of a group, of a train split -> file name."""


class LeakCheck:
    """Compares val and test with the training data of models.

    Args:
        splits: ``val`` and ``test``, as COCO documents.
        training_tag: The training set of these splits.
        train: Its train split.
        database: Lists the images of other training sets, and the models.
        fetch: Fetches a model file by URI and SHA-256.
    """

    def __init__(
        self,
        splits: Mapping[str, CocoDocument],
        training_tag: str,
        train: CocoDocument,
        database: Database,
        fetch: Callable[[str, str], Path],
    ) -> None:
        self._splits, self._database, self._fetch = splits, database, fetch
        own = ((image["file_name"], image["sha256"], image["group"]) for image in train["images"])
        self._seen: dict[str, tuple[Seen, Seen] | None] = {training_tag: _by_identity(own)}

    def check(self, card: ModelCard, training_tag: str = "") -> LeakReport:
        """The leaks of one model.

        Args:
            card: Its card.
            training_tag: The training set it was trained on; empty: that of the card.
        """
        tags, unknown = self._history(card, training_tag or card.training_tag)
        leaks: list[Leak] = []
        for tag in tags:
            seen = self._images(tag)
            if seen is None:
                unknown.append(f"the images of {tag}, which the database does not list")
                continue
            leaks += _leaks(self._splits, tag, seen)
        return LeakReport(tags, leaks, unknown)

    def _history(self, card: ModelCard, training_tag: str) -> tuple[list[str], list[str]]:
        """The training sets of a model and of the models it started from, and what is unknown about them."""
        from sightline.models.model_file import read_card

        tags, unknown = [training_tag] if training_tag else [], []
        for _ in range(_MAX_STARTS):
            start = self._database.model(card.weights_sha256) if card.weights_sha256 else None
            if start is None:
                if card.weights_sha256 and is_address(card.weights):
                    unknown.append(f"the training data of its initial weights {card.weights}")
                break
            if start.training_tag and start.training_tag not in tags:
                tags.append(start.training_tag)
            try:
                card = read_card(self._fetch(start.uri, start.sha256))
            except (ModelFileError, StepError, StorageError) as error:
                unknown.append(f"what {start.training_tag} started from ({error})")
                break
        return tags, unknown

    def _images(self, tag: str) -> tuple[Seen, Seen] | None:
        """The images of the train split of a training set, by SHA-256 and by group; None if they are unknown."""
        if tag not in self._seen:
            listed = self._database.images(tag) if self._database.version(tag) is not None else iter(())
            seen = _by_identity((image.path, image.sha256, image.group) for image in listed if image.split == "train")
            self._seen[tag] = seen if seen[0] else None
        return self._seen[tag]


def _by_identity(images: Iterable[tuple[str, str, str]]) -> tuple[Seen, Seen]:
    files: dict[str, str] = {}
    groups: dict[str, str] = {}
    for name, sha256, group in images:
        files.setdefault(sha256, name)
        if group:
            groups.setdefault(group, name)
    return files, groups


def _leaks(splits: Mapping[str, CocoDocument], tag: str, seen: tuple[Seen, Seen]) -> Iterable[Leak]:
    files, groups = seen
    for split, document in splits.items():
        same = [image["file_name"] for image in document["images"] if image["sha256"] in files]
        known = set(same)
        related = [
            image["file_name"]
            for image in document["images"]
            if image["file_name"] not in known and image["group"] and image["group"] in groups
        ]
        for names, same_file in ((same, True), (related, False)):
            if names:
                yield Leak(split, tag, names[:_SHOWN_IMAGES], len(names), same_file)
