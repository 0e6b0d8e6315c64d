"""Assigns groups of images to splits so that the fractions and classes are balanced.

First every split gets a group that shows an object.  Then each class is assigned to train, then to val, then to test,
as far as there is room; the remaining groups go to the split that needs them most, similar to iterative stratification
(Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011).  Ties are broken by the
groups' names, which depend on the images' contents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from sightline.config.data import Splits
from sightline.data.annotations import SplitName
from sightline.errors import DataError
from sightline.plural import counted

SPLITS: tuple[SplitName, ...] = get_args(SplitName)

COMPARED_GROUPS = 1000
"""Number of candidate groups that are compared when a class is assigned to a split."""

_ADVICE = (
    "add images, set a split's fraction to 0 (--set data.splits.test=0 and the others to sum to 1), or group fewer "
    "images together (data.group_pattern; data.near_duplicate_distance; --set data.near_duplicates=off)"
)


@dataclass(slots=True)
class Group:
    """Images that are assigned to a split together.

    Attributes:
        name: Depends only on the images.
        members: Indices of the images; at least one.
        classes: Class -> number of images that show it.
        split: The assigned split; None until it is assigned.
    """

    name: str
    members: list[int]
    classes: Counter[str]
    split: SplitName | None = None


def fill_splits(groups: Sequence[Group], fractions: Splits, advice: str = "") -> None:
    """Assign a split to every group without one.

    Args:
        groups: All groups of a dataset version; their ``split`` is set.
        fractions: Fraction of the images for each split.
        advice: What to do if there are too few groups; empty: general advice.

    Raises:
        DataError: There are fewer groups than splits that need images.
    """
    _Filling(groups, fractions, advice).run()


class _Filling:
    """Keeps track of the number of images and classes in each split during the assignment."""

    def __init__(self, groups: Sequence[Group], fractions: Splits, advice: str) -> None:
        self.advice = advice or _ADVICE
        exact: dict[SplitName, float] = {split: getattr(fractions, split) for split in SPLITS}
        self.fractions = {split: fraction for split, fraction in exact.items() if fraction > 0}
        self.groups = groups
        self.free = sorted((group for group in groups if group.split is None), key=lambda group: group.name)
        self.left = len(self.free)
        self.room = _targets(sum(len(group.members) for group in groups), self.fractions)
        self.empty = set(self.fractions)
        self.classes: dict[SplitName, Counter[str]] = {split: Counter() for split in SPLITS}
        self.total: Counter[str] = Counter()
        for group in groups:
            self.total.update(group.classes)
            if group.split is not None:
                self._count(group, group.split)

    def run(self) -> None:
        if self.left < len(self.empty):
            images = sum(len(group.members) for group in self.groups)
            raise DataError(
                f"{counted(images, 'image')} in {counted(len(self.groups), 'group')}: too few groups for the splits "
                f"{', '.join(self.fractions)} ({', '.join(split for split in SPLITS if split in self.empty)} cannot "
                f"all be filled); {self.advice}"
            )
        self._begin()
        for split in self.fractions:
            self._cover(split)
        for group in sorted((group for group in self.free if group.split is None), key=self._order):
            self._assign(group, self._neediest(group))

    def _begin(self) -> None:
        """Assign one group that shows an object to every split except train, if one then remains for train.

        If most classes occur in only one image, all of these would otherwise go to train, and val could not measure
        anything.
        """
        showing = [group for group in self.free if group.classes]
        bare = [split for split in self.fractions if not self.classes[split]]
        holders = Counter(name for group in showing for name in group.classes)
        if len(showing) < len(bare):
            return
        for split in (split for split in bare if split != "train"):
            candidates = [group for group in showing if self._fits(group, split)]
            if candidates:
                chosen = min(candidates, key=lambda group: self._loss(group, holders))
                holders.subtract(dict.fromkeys(chosen.classes, 1))
                self._assign(chosen, split)

    @staticmethod
    def _loss(group: Group, holders: Mapping[str, int]) -> tuple[int, int, int, str]:
        """Lowest for a group whose classes also occur in other groups; then for a small group with many classes."""
        lost = sum(holders[name] == 1 for name in group.classes)
        return (lost, len(group.members), -len(group.classes), group.name)

    def _cover(self, split: SplitName) -> None:
        """Assign every class to ``split``, as far as there is room; rarest class first."""
        holders: dict[str, list[Group]] = defaultdict(list)
        for group in self.free:
            if group.split is None:
                for name in group.classes:
                    holders[name].append(group)
        for name in sorted(holders, key=lambda name: (len(holders[name]), name)):
            if self.classes[split][name]:
                continue
            candidates = [group for group in holders[name][:COMPARED_GROUPS] if self._fits(group, split)]
            if candidates:
                self._assign(min(candidates, key=lambda group: self._cost(group, split)), split)

    def _fits(self, group: Group, split: SplitName) -> bool:
        return group.split is None and len(group.members) <= self.room[split] and split in self._open_splits()

    def _cost(self, group: Group, split: SplitName) -> tuple[int, int, str]:
        """Lowest for a small group with many classes that the split lacks."""
        new = sum(not self.classes[split][name] for name in group.classes)
        return (len(group.members), -new, group.name)

    def _open_splits(self) -> list[SplitName]:
        """All splits, or only the empty ones if all remaining groups are needed to fill them."""
        return [split for split in self.fractions if split in self.empty or self.left > len(self.empty)]

    def _order(self, group: Group) -> tuple[int, int, str]:
        """Large groups first, while they still fit; then groups with the rarest class."""
        return (-len(group.members), min((self.total[name] for name in group.classes), default=0), group.name)

    def _neediest(self, group: Group) -> SplitName:
        splits = self._open_splits()
        roomy = [split for split in splits if self.room[split] >= len(group.members)]
        if not roomy:
            return max(splits, key=lambda split: self.room[split])
        rarest = min(group.classes, key=lambda name: (self.total[name], name), default=None)

        def need(split: SplitName) -> tuple[float, float]:
            room = self.room[split] / self.fractions[split]
            if rarest is None:
                return (room, 0.0)
            return (1.0 - self.classes[split][rarest] / (self.fractions[split] * self.total[rarest]), room)

        return max(roomy, key=need)

    def _assign(self, group: Group, split: SplitName) -> None:
        group.split = split
        self.left -= 1
        self._count(group, split)

    def _count(self, group: Group, split: SplitName) -> None:
        self.classes[split].update(group.classes)
        self.empty.discard(split)
        if split in self.room:
            self.room[split] -= len(group.members)


def _targets(images: int, fractions: Mapping[SplitName, float]) -> dict[SplitName, int]:
    """Number of images per split: the fractions by the largest remainder method, and at least one."""
    exact = {split: images * fraction for split, fraction in fractions.items()}
    targets = {split: max(int(value + 1e-9), 1) for split, value in exact.items()}
    by_remainder = sorted(exact, key=lambda split: targets[split] - exact[split])
    for split in by_remainder[: max(images - sum(targets.values()), 0)]:
        targets[split] += 1
    while sum(targets.values()) > max(images, len(targets)):
        targets[max(targets, key=lambda split: targets[split])] -= 1
    return targets
