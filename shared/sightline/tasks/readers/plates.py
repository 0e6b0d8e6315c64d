"""The plate reader: reads license plates from boxes of boards, text boxes and characters.

A plate is a board box that contains a box of the sub text, with two digits and a letter, and a box of the main text,
with four digits.  ``r_board`` has its texts ``r_s_n`` and ``r_m_n`` in two lines; ``l_board`` has its texts ``l_s_n``
and ``l_m_n`` in one line.  A text box belongs to the board that contains its center, and a character to the text box
that contains its center.  Characters are read by ascending x.

Detectors report some objects twice.  Of boards that overlap with IoU > 0.5 only the one with the highest score is used,
whatever its kind, and likewise for characters: a 6 that is also detected as an 8 is read as the one with the higher
score.  Of several text boxes of one kind in a board the one with the highest score is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sightline.errors import ConfigurationError
from sightline.metrics.coco import box_ious
from sightline.metrics.exact_match import Reading

DIGITS = tuple("0123456789")
LETTERS = tuple("abcde")
TEXTS_OF_BOARD = {"r_board": ("r_s_n", "r_m_n"), "l_board": ("l_s_n", "l_m_n")}
"""Board class -> classes of its text boxes: sub, main."""

CLASSES = (*DIGITS, *LETTERS, *(name for board, texts in TEXTS_OF_BOARD.items() for name in (board, *texts)))
"""All classes needed to read a plate."""

_PATTERNS = (re.compile(r"[0-9]{2}[a-e]"), re.compile(r"[0-9]{4}"))
_SAME_PLACE_IOU = 0.5
_CENTRE_TOLERANCE = (0.1, 0.2)
"""Maximum distance of the centers of equal readings, in board widths and board heights."""

Floats = npt.NDArray[np.float64]


class PlateReader:
    """Reads license plates; the texts of a reading are sub text and main text.

    Attributes:
        parts: Names of the texts.
        noun: Name of what is read.

    Args:
        class_names: All classes of the model; category ids are 1, 2, ... in this order.

    Raises:
        ConfigurationError: Classes needed to read plates are missing.
    """

    parts = ("sub text", "main text")
    noun = "plate"

    def __init__(self, class_names: Sequence[str]) -> None:
        missing = [name for name in CLASSES if name not in class_names]
        if missing:
            raise ConfigurationError(
                f"reading: plates needs classes that data.classes does not have: {', '.join(missing)}; "
                "add them, or set reading=none"
            )
        self._names = {id_: name for id_, name in enumerate(class_names, start=1) if name in CLASSES}

    def read(
        self,
        boxes_xyxy: npt.NDArray[np.floating[Any]],
        scores: npt.NDArray[np.floating[Any]],
        category_ids: npt.NDArray[np.integer[Any]],
    ) -> list[Reading]:
        """The plates in one image by descending score; plates with missing or surplus parts are not ``complete``.

        Args:
            boxes_xyxy: [N, 4], pixels.
            scores: [N], 0 to 1.
            category_ids: [N]; classes that are not part of a plate are ignored.
        """
        names = np.array([self._names.get(int(id_), "") for id_ in category_ids], dtype=object)
        boxes, sureness = boxes_xyxy.astype(np.float64), scores.astype(np.float64)
        boards = _non_maximum_suppression(boxes, sureness, np.flatnonzero(np.isin(names, list(TEXTS_OF_BOARD))))
        characters = _non_maximum_suppression(boxes, sureness, np.flatnonzero(np.isin(names, [*DIGITS, *LETTERS])))
        readings = [self._read_board(board, boxes, sureness, names, characters) for board in boards]
        return sorted(readings, key=lambda reading: -reading.score)

    def same(self, read: Reading, true: Reading) -> bool:
        """Whether kind and texts are equal and the centers differ by less than 0.1 board widths, 0.2 board heights."""
        offsets = [abs(one - other) for one, other in zip(read.centre_xy, true.centre_xy, strict=True)]
        limits = [share * length for share, length in zip(_CENTRE_TOLERANCE, true.size_wh, strict=True)]
        near = all(offset < limit for offset, limit in zip(offsets, limits, strict=True))
        return read.complete and true.complete and near and (read.kind, read.texts) == (true.kind, true.texts)

    def _read_board(
        self, board: int, boxes: Floats, scores: Floats, names: npt.NDArray[np.object_], characters: list[int]
    ) -> Reading:
        texts, used = [], [board]
        kinds = TEXTS_OF_BOARD[names[board]]
        lines = [_best_inside(boxes, scores, np.flatnonzero(names == kind), board) for kind in kinds]
        for line in lines:
            mine = [] if line is None else [index for index in characters if _owner(boxes, index, lines) == line]
            mine.sort(key=lambda index: float(boxes[index, [0, 2]].sum()))
            texts.append("".join(names[index] for index in mine))
            used += mine if line is None else [line, *mine]
        left, top, right, bottom = (float(value) for value in boxes[board])
        return Reading(
            kind=names[board],
            texts=tuple(texts),
            centre_xy=((left + right) / 2, (top + bottom) / 2),
            size_wh=(right - left, bottom - top),
            score=float(scores[used].min()),
            complete=all(pattern.fullmatch(text) for pattern, text in zip(_PATTERNS, texts, strict=True)),
        )


def _non_maximum_suppression(boxes: Floats, scores: Floats, chosen: npt.NDArray[np.intp]) -> list[int]:
    """Non-maximum suppression of ``chosen``; the result is sorted by descending score."""
    order = chosen[np.argsort(-scores[chosen], kind="stable")]
    corners = boxes[order]
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    same_place = box_ious(xywh, xywh) > _SAME_PLACE_IOU
    kept: list[int] = []
    for rank in range(len(order)):
        if not same_place[rank, kept].any():
            kept.append(rank)
    return [int(order[rank]) for rank in kept]


def _best_inside(boxes: Floats, scores: Floats, chosen: npt.NDArray[np.intp], outer: int) -> int | None:
    inside = [int(index) for index in chosen if _holds_centre(boxes, outer, int(index))]
    return max(inside, key=lambda index: float(scores[index]), default=None)


def _owner(boxes: Floats, character: int, lines: Sequence[int | None]) -> int | None:
    """The text box that contains the center of the character, the smaller if there are two."""
    holding = [line for line in lines if line is not None and _holds_centre(boxes, line, character)]
    return min(holding, key=lambda line: float(np.prod(boxes[line, 2:] - boxes[line, :2])), default=None)


def _holds_centre(boxes: Floats, outer: int, inner: int) -> bool:
    centre = (boxes[inner, :2] + boxes[inner, 2:]) / 2
    return bool(np.all(boxes[outer, :2] <= centre) and np.all(centre <= boxes[outer, 2:]))


READER = PlateReader
