"""Which detections are right: matches of detections with true objects as in COCO's evaluation.

The arrays of :mod:`sightline.metrics.coco_evaluator` contain averages; statistics, curves by score and the breakdown of
errors need the single detections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.metrics.coco_evaluator import THRESHOLDS, Kind
from sightline.metrics.overlaps import (
    Found,
    Pairs,
    TrueObjects,
    found_objects,
    overlapping_pairs,
    ranks_in_groups,
    true_objects,
)
from sightline.metrics.statistic import AveragePrecision, Bools, ClassMatches, Statistic

UNMATCHED = -1


@dataclass(frozen=True, slots=True)
class Matches:
    """The detections of a split, matched with its true objects.

    Attributes:
        kind: What was compared.
        classes: Names of the classes by category id.
        found: The N detections that count.
        objects: The G true objects.
        pairs: Detections and true objects that overlap.
        matched: [10, N], the position of the true object with which a detection is matched at each of
            :data:`~sightline.metrics.coco_evaluator.THRESHOLDS`, or :data:`UNMATCHED`.
        ignored: [10, N], whether a detection counts neither as right nor as wrong, such as one on a crowd.
        images: Number of images.
    """

    kind: Kind
    classes: tuple[str, ...]
    found: Found
    objects: TrueObjects
    pairs: Pairs
    matched: npt.NDArray[np.intp]
    ignored: Bools
    images: int

    @property
    def right(self) -> Bools:
        """[10, N], whether a detection is matched with an object that is to be found."""
        right: Bools = (self.matched != UNMATCHED) & ~self.ignored
        return right

    def of_class(self, place: int, thresholds: slice = slice(None)) -> ClassMatches:
        """The matches of one class.

        Args:
            place: Position in :attr:`classes`.
            thresholds: The thresholds wanted.
        """
        mine = slice(*np.searchsorted(self.found.classes, [place, place + 1]))
        true = self.objects.images[(self.objects.classes == place) & ~self.objects.ignored]
        return ClassMatches(
            self.found.images[mine],
            (self.matched[thresholds, mine] != UNMATCHED) & ~self.ignored[thresholds, mine],
            self.ignored[thresholds, mine],
            np.bincount(true, minlength=self.images).astype(np.float64),
        )


def match_detections(
    truth: CocoDocument, detections: Sequence[Detections], kind: Kind, sigmas: Sequence[float] = ()
) -> Matches:
    """Match detections with true objects of their class, those with the highest scores first.

    Args:
        truth: One split, checked by :func:`sightline.metrics.coco.check_truth`; it is not changed.
        detections: Checked by :func:`sightline.metrics.coco.check_detections`.
        kind: What is compared.
        sigmas: The sigma of each keypoint.
    """
    objects, found = true_objects(truth, kind), found_objects(truth, detections, kind)
    pairs = overlapping_pairs(truth, detections, kind, found, objects, sigmas=sigmas)
    matched = _matched(found, objects, pairs)
    chosen = np.where(matched == UNMATCHED, 0, matched)
    on_ignored = objects.ignored[chosen] if len(objects.ignored) else np.zeros(matched.shape, dtype=bool)
    ignored = np.where(matched == UNMATCHED, found.outside, on_ignored)
    names = tuple(one["name"] for one in sorted(truth["categories"], key=lambda one: one["id"]))
    return Matches(kind, names, found, objects, pairs, matched, ignored, len(truth["images"]))


def average_precision_statistics(
    matches: Iterable[Matches],
) -> tuple[dict[str, Statistic], dict[str, dict[str, Statistic]]]:
    """AP, AP50 and AP75 by how often each image counts, over all classes and for each class with truth.

    Args:
        matches: Those of each kind that is measured.

    Returns:
        Metric name, such as ``box_AP50`` -> statistic; metric name -> class name -> statistic.
    """
    of_all: dict[str, Statistic] = {}
    of_classes: dict[str, dict[str, Statistic]] = {}
    for one in matches:
        true = np.unique(one.objects.classes[~one.objects.ignored]).tolist()
        for name, thresholds in (("AP", slice(None)), ("AP50", slice(0, 1)), ("AP75", slice(5, 6))):
            classes = {one.classes[place]: one.of_class(place, thresholds) for place in true}
            if classes:
                of_all[f"{one.kind}_{name}"] = AveragePrecision(list(classes.values()))
                of_classes[f"{one.kind}_{name}"] = {
                    class_: AveragePrecision([matched]) for class_, matched in classes.items()
                }
    return of_all, of_classes


def _matched(found: Found, objects: TrueObjects, pairs: Pairs) -> npt.NDArray[np.intp]:
    """The matches [10, N].

    All classes and images are matched at the same time: in round n, the n-th best detection of every class and image,
    counting those that overlap with an object of their class.
    """
    near = pairs.where(
        (found.classes[pairs.detections] == objects.classes[pairs.objects]) & (pairs.overlaps >= THRESHOLDS[0])
    )
    rounds = _rounds(found, near.detections)
    # The objects of a detection by preference: not ignored, then the highest overlap, then the last one.
    order = np.lexsort((
        -near.objects, -near.overlaps, objects.ignored[near.objects], near.detections, rounds[near.detections]
    ))  # fmt: skip
    detections, chosen, overlaps = near.detections[order], near.objects[order], near.overlaps[order]
    ends = np.cumsum(np.bincount(rounds[detections])).tolist()
    matched = np.full((len(THRESHOLDS), len(found.scores)), UNMATCHED, np.intp)
    free = np.ones((len(THRESHOLDS), len(objects.images)), dtype=bool)
    first = 0
    for last in ends:
        part = slice(first, last)
        possible = free[:, chosen[part]] & (overlaps[part] >= THRESHOLDS[:, None])
        starts = np.flatnonzero(np.r_[True, np.diff(detections[part]) != 0])
        places = np.where(possible, np.arange(last - first), last - first)
        best = np.minimum.reduceat(places, starts, axis=1)
        threshold, detection = np.nonzero(best < last - first)
        taken = chosen[part][best[threshold, detection]]
        matched[threshold, detections[part][starts[detection]]] = taken
        free[threshold, taken] = objects.crowds[taken]
        first = last
    return matched


def _rounds(found: Found, detections: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """For each detection that occurs in ``detections``, its rank among those of its class and image: [N]."""
    rounds = np.zeros(len(found.scores), np.intp)
    some = np.unique(detections)
    by_group = some[np.lexsort((some, found.images[some], found.classes[some]))]
    rounds[by_group] = ranks_in_groups(found.classes[by_group], found.images[by_group])
    return rounds
