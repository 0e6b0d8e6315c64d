"""What a detector does wrong, and how much average precision each kind of error costs.

The definitions are those of TIDE (Bolya et al., https://arxiv.org/abs/2008.08115, section 2): every wrong detection has
one main error, and the cost of a kind is the gain of AP at IoU 0.5 if only the errors of this kind are fixed.  Costs do
not add up to the AP that is missing, because each is computed while all other errors remain.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sightline.metrics.coco_evaluator import THRESHOLDS
from sightline.metrics.matches import UNMATCHED, Matches
from sightline.metrics.overlaps import LEAST_OVERLAP, Pairs
from sightline.metrics.statistic import Bools, ClassMatches, Columns, Floats, average_precisions

ErrorKind = Literal["classification", "localization", "both", "duplicate", "background", "missed"]

FALSE_KINDS: tuple[ErrorKind, ...] = ("classification", "localization", "both", "duplicate", "background")
"""The kinds of wrong detections."""

MEANINGS: dict[str, str] = {
    "localization": "right class, inexact place",
    "classification": "wrong class, right place",
    "both": "wrong class, inexact place",
    "duplicate": "found twice",
    "background": "nothing there",
    "missed": "missed",
    "false positives": "all wrong detections",
    "false negatives": "all objects not found",
}
"""Kind or group of errors -> what it means in plain words."""

NO_ERROR = -1


@dataclass(frozen=True, slots=True)
class ErrorBreakdown:
    """The errors of one detector on one split.

    Attributes:
        average_precision: AP at IoU 0.5, the mean over classes with truth, 0 to 1.
        lost: Kind -> AP gained if only these errors were fixed, 0 or more; also ``false positives`` (all wrong
            detections removed) and ``false negatives`` (all objects without a right detection removed from the truth).
        counts: Kind -> number of errors; also ``false positives`` and ``false negatives``.
        kinds: [N], for each detection of the matches the position of its error in :data:`FALSE_KINDS`, or
            :data:`NO_ERROR`.
        targets: [N], the true object that an error of classification or localization is about, or -1.
        missed: Positions of the missed true objects.
    """

    average_precision: float
    lost: dict[str, float]
    counts: dict[str, int]
    kinds: Columns
    targets: Columns
    missed: Columns


def error_breakdown(matches: Matches) -> ErrorBreakdown | None:
    """Find the errors of all detections, and what they cost.

    A wrong detection is an error of

    - localization, if its highest IoU with an object of its class is at least 0.1 and below 0.5,
    - classification, else if its highest IoU with an object of another class is at least 0.5,
    - duplication, else if its IoU with an object of its class, which another detection has found, is at least 0.5,
    - background, else if its IoU with all objects is below 0.1,
    - both classification and localization, else.

    Missed are objects without a right detection, except those that an error of localization or classification is about.
    Errors of localization and classification are fixed by making the detection right, if it has the highest score among
    those about its object, and the object has not been found; other wrong detections are fixed by removing them, and
    missed objects by removing them from the truth.

    Args:
        matches: Matches of boxes or masks.

    Returns:
        None without truth.

    Example:
        Two objects of one class; one is found, and then found again, and the other one is missed:

        >>> from sightline.metrics.overlaps import Found, TrueObjects
        >>> zeros = np.zeros(2, np.intp)
        >>> errors = error_breakdown(Matches(
        ...     "box", ("cat",), Found(zeros, zeros, np.array([0.9, 0.8], np.float32), zeros > 0, np.arange(2)),
        ...     TrueObjects(zeros, zeros, zeros > 0, zeros > 0), Pairs(np.arange(2), zeros, np.array([0.9, 0.7])),
        ...     np.tile([0, -1], (10, 1)), np.zeros((10, 2), bool), 1))
        >>> errors.counts["duplicate"], errors.counts["missed"], round(errors.lost["missed"], 3)
        (1, 1, 0.495)
    """
    to_find = ~matches.objects.ignored
    if not to_find.any():
        return None
    kinds, targets = _errors(matches)
    unfound = to_find.copy()
    unfound[matches.matched[0][matches.right[0]]] = False
    missed = unfound.copy()
    missed[targets[targets != UNMATCHED]] = False
    wrong = kinds != NO_ERROR
    fixed = _Fixed(matches, kinds, targets, unfound)
    before = fixed.average_precision()
    lost = {kind: fixed.average_precision(of_kinds=[kind]) for kind in FALSE_KINDS} | {
        "missed": fixed.average_precision(absent=missed),
        "false positives": fixed.average_precision(removed=wrong),
        "false negatives": fixed.average_precision(absent=unfound),
    }
    counts = {kind: int(np.count_nonzero(kinds == place)) for place, kind in enumerate(FALSE_KINDS)} | {
        "missed": int(np.count_nonzero(missed)),
        "false positives": int(np.count_nonzero(wrong)),
        "false negatives": int(np.count_nonzero(unfound)),
    }
    return ErrorBreakdown(
        before, {name: after - before for name, after in lost.items()}, counts, kinds, targets, np.flatnonzero(missed)
    )


def _errors(matches: Matches) -> tuple[Columns, Columns]:
    """For each detection, the position of its kind of error in :data:`FALSE_KINDS`, and its target."""
    found, objects = matches.found, matches.objects
    pairs = matches.pairs.where(~objects.ignored[matches.pairs.objects])
    same = found.classes[pairs.detections] == objects.classes[pairs.objects]
    own, own_object = _best(pairs.where(same), len(found.scores))
    other, other_object = _best(pairs.where(~same), len(found.scores))
    wrong = ~matches.right[0] & ~matches.ignored[0]
    conditions: dict[ErrorKind, Bools] = {
        "localization": (own >= LEAST_OVERLAP) & (own < THRESHOLDS[0]),
        "classification": other >= THRESHOLDS[0],
        "duplicate": own >= THRESHOLDS[0],
        "background": other < LEAST_OVERLAP,
    }
    places = [FALSE_KINDS.index(kind) for kind in conditions]
    kinds = np.select(list(conditions.values()), places, FALSE_KINDS.index("both"))
    kinds = np.where(wrong, kinds, NO_ERROR)
    targets = np.select(
        [kinds == FALSE_KINDS.index("localization"), kinds == FALSE_KINDS.index("classification")],
        [own_object, other_object],
        UNMATCHED,
    )
    return kinds, targets


def _best(pairs: Pairs, count: int) -> tuple[Floats, Columns]:
    """The highest overlap of each of ``count`` detections, and its object; 0 and -1 without one."""
    overlaps, best = np.zeros(count), np.full(count, UNMATCHED, np.intp)
    order = np.lexsort((pairs.objects, -pairs.overlaps, pairs.detections))
    detections, first = np.unique(pairs.detections[order], return_index=True)
    overlaps[detections], best[detections] = pairs.overlaps[order][first], pairs.objects[order][first]
    return overlaps, best


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Average precision at IoU 0.5 with some errors fixed.

    Attributes:
        matches: The matches.
        kinds: See :class:`ErrorBreakdown`.
        targets: See :class:`ErrorBreakdown`.
        unfound: [G], the objects without a right detection.
    """

    matches: Matches
    kinds: Columns
    targets: Columns
    unfound: Bools

    def average_precision(
        self,
        *,
        of_kinds: Collection[ErrorKind] = (),
        removed: Bools | None = None,
        absent: Bools | None = None,
    ) -> float:
        """The mean over the classes with truth.

        A class without remaining truth counts 1 if no detection of it remains, else 0.

        Args:
            of_kinds: Kinds of wrong detections to fix.
            removed: [N], detections to remove.
            absent: [G], objects to remove from the truth.
        """
        found, objects = self.matches.found, self.matches.objects
        corrected, gone = self._corrected(of_kinds)
        right = self.matches.right[0] | corrected
        kept = ~(self.matches.ignored[0] | gone | (np.zeros(len(right), bool) if removed is None else removed))
        classes = (
            np.where(corrected, objects.classes[self.targets], found.classes) if len(objects.classes) else found.classes
        )
        to_find = ~objects.ignored
        remaining = to_find if absent is None else to_find & ~absent
        values = []
        for place in np.unique(objects.classes[to_find]):
            mine = np.flatnonzero(kept & (classes == place))
            mine = mine[np.argsort(-found.scores[mine], kind="stable")]
            truths = int(np.count_nonzero(remaining & (objects.classes == place)))
            values.append(_average_precision(right[mine], truths))
        return float(np.mean(values))

    def _corrected(self, of_kinds: Collection[ErrorKind]) -> tuple[Bools, Bools]:
        """Which detections become right, and which are removed."""
        chosen = np.isin(self.kinds, [FALSE_KINDS.index(kind) for kind in of_kinds])
        corrected = np.zeros(len(chosen), dtype=bool)
        about = np.flatnonzero(chosen & (self.targets != UNMATCHED))
        about = about[self.unfound[self.targets[about]]]
        about = about[np.argsort(-self.matches.found.scores[about], kind="stable")]
        _, first = np.unique(self.targets[about], return_index=True)
        corrected[about[first]] = True
        return corrected, chosen & ~corrected


def _average_precision(right: Bools, truths: int) -> float:
    if not truths:
        return float(not len(right))
    counted = np.zeros(len(right), np.intp)
    matches = ClassMatches(counted, right[None], np.zeros((1, len(right)), dtype=bool), np.array([float(truths)]))
    return float(average_precisions(matches, np.ones((1, 1)))[0])
