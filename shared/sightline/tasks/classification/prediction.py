"""The prediction of a classifier for one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sightline.metrics.operating_points import decide


@dataclass(frozen=True, slots=True)
class LabelSetAnswer:
    """The probabilities of the classes of one label set.

    Attributes:
        category_ids: int64 [C], COCO category ids.
        probabilities: float32 [C], 0 to 1; they sum to 1 if exactly one class applies, unless some were left out.
        thresholds: float32 [C]: operating thresholds, from which on a class applies; NaN: none was chosen.
        multiple: Whether any number of the classes applies, or exactly one.
    """

    category_ids: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    thresholds: npt.NDArray[np.float32]
    multiple: bool

    def chosen(self, lowest: float = 0.0) -> list[int]:
        """The category ids of the classes that apply.

        Args:
            lowest: Classes without an operating threshold need at least this probability, too.
        """
        applies = decide(self.probabilities[None], self.thresholds, multiple=self.multiple)[0]
        has_threshold = not np.isnan(self.thresholds).all()
        sure = applies & (has_threshold | (self.probabilities >= lowest))
        return [int(id_) for id_ in self.category_ids[sure]]

    def of_classes(self, ids: Mapping[int, int]) -> Self:
        """The probabilities of some classes, with new category ids."""
        kept = np.flatnonzero(np.isin(self.category_ids, list(ids)))
        return replace(
            self,
            category_ids=np.array([ids[int(id_)] for id_ in self.category_ids[kept]], np.int64),
            probabilities=self.probabilities[kept],
            thresholds=self.thresholds[kept],
        )


@dataclass(frozen=True, slots=True)
class Classification:
    """The classes of one image.

    Attributes:
        image_id: COCO id of the image; 0 if it has none.
        label_sets: One entry for each label set, in the order of the network.
        lowest: The score threshold of :meth:`above`.
    """

    image_id: int
    label_sets: tuple[LabelSetAnswer, ...]
    lowest: float = 0.0

    def above(self, score_threshold: float) -> Self:
        """The prediction without answers that are less probable than the threshold, 0 to 1.

        All probabilities are kept.  A label set whose most probable class is below the threshold has no answer.  Label
        sets with operating thresholds, which were chosen on the val split, keep to those.
        """
        return replace(self, lowest=max(self.lowest, score_threshold))

    def of_classes(self, ids: Mapping[int, int]) -> Self:
        """The probabilities of some classes, with new category ids; label sets without such classes are left out.

        The others are not scaled up: they stay what the network computed.
        """
        label_sets = (one.of_classes(ids) for one in self.label_sets)
        return replace(self, label_sets=tuple(one for one in label_sets if len(one.category_ids)))

    def chosen(self) -> list[int]:
        """The category ids of the classes that apply to the image."""
        return [id_ for one in self.label_sets for id_ in one.chosen(self.lowest)]

    def to_json(self) -> dict[str, Any]:
        """JSON values from which :meth:`from_json` restores the exact prediction."""
        return {
            "image_id": self.image_id,
            "lowest": self.lowest,
            "label_sets": [
                {
                    "category_ids": one.category_ids.tolist(),
                    "probabilities": one.probabilities.tolist(),
                    "thresholds": [None if np.isnan(value) else float(value) for value in one.thresholds],
                    "multiple": one.multiple,
                }
                for one in self.label_sets
            ],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore the prediction that :meth:`to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError or OverflowError: The values have another format.
        """
        label_sets = tuple(
            LabelSetAnswer(
                np.array(one["category_ids"], np.int64).reshape(-1),
                np.array(one["probabilities"], np.float32).reshape(-1),
                np.array([np.nan if value is None else value for value in one["thresholds"]], np.float32).reshape(-1),
                bool(one["multiple"]),
            )
            for one in values["label_sets"]
        )
        if any({len(one.category_ids)} != {len(one.probabilities), len(one.thresholds)} for one in label_sets):
            raise ValueError("label sets with as many probabilities and thresholds as category ids")
        return cls(int(values["image_id"]), label_sets, float(values["lowest"]))


def answers_of(
    probabilities: npt.NDArray[np.float32],
    label_sets: list[tuple[int, bool]],
    category_ids: tuple[int, ...],
    thresholds: Mapping[int, float],
) -> tuple[LabelSetAnswer, ...]:
    """The answers from the outputs of a network for one image.

    Args:
        probabilities: float32 [C], of all label sets one after another.
        label_sets: Number of classes of each label set, and whether any number of them applies.
        category_ids: COCO category ids of the outputs.
        thresholds: Category id -> operating threshold.
    """
    answers, first = [], 0
    for count, multiple in label_sets:
        ids = category_ids[first : first + count]
        values = np.array([thresholds.get(id_, np.nan) for id_ in ids], np.float32)
        answers.append(
            LabelSetAnswer(np.array(ids, np.int64), probabilities[first : first + count].copy(), values, multiple)
        )
        first += count
    return tuple(answers)
