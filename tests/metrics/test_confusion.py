"""The confusion matrix: rows are the truth, columns what was detected, the last of each is the background."""

from __future__ import annotations

import pytest

from sightline.metrics.confusion import confusion_matrix

INNER = (12, 12, 36, 36)
HERE, THERE = (10, 10, 40, 40), (100, 100, 50, 50)


@pytest.mark.parametrize(
    ("truth", "found", "counts"),
    [
        ([(1, HERE)], [(1, 0.9, HERE)], {("a", "a"): 1}),
        ([(1, HERE)], [(2, 0.9, HERE)], {("a", "b"): 1}),
        ([(1, HERE)], [], {("a", "background"): 1}),
        ([], [(2, 0.9, HERE)], {("background", "b"): 1}),
        ([(1, HERE)], [(1, 0.9, THERE)], {("a", "background"): 1, ("background", "a"): 1}),
        # twice the right class: the second is too many
        ([(1, HERE)], [(1, 0.9, HERE), (1, 0.8, HERE)], {("a", "a"): 1, ("background", "a"): 1}),
        # a surer wrong class does not take the truth from the right one
        ([(1, HERE)], [(2, 0.9, HERE), (1, 0.6, HERE)], {("a", "a"): 1, ("background", "b"): 1}),
        # a box in a box of another class, both found
        ([(1, HERE), (2, INNER)], [(2, 0.9, INNER), (1, 0.8, HERE)], {("a", "a"): 1, ("b", "b"): 1}),
        # IoU 0.49 is too little
        ([(1, HERE)], [(1, 0.9, (10, 10, 40, 81.6))], {("a", "background"): 1, ("background", "a"): 1}),
    ],
)  # fmt: skip
def test_counts(make_truth, make_found, truth, found, counts):
    confusion = confusion_matrix(make_truth([truth], ["a", "b"]), [make_found(1, found)])

    assert confusion.labels == ["a", "b", "background"]
    named = {
        (row, column): int(count)
        for row, line in zip(confusion.labels, confusion.matrix, strict=True)
        for column, count in zip(confusion.labels, line, strict=True)
        if count
    }
    assert named == counts
    mistakes = confusion.mistakes[1]
    assert mistakes.truths == len(truth)
    assert mistakes.confused + mistakes.missed + mistakes.false == sum(
        count for (row, column), count in counts.items() if row != column
    )
    assert mistakes.missed == sum(count for (_, column), count in counts.items() if column == "background")
    assert mistakes.false == sum(count for (row, _), count in counts.items() if row == "background")


def test_images_without_detections_count_as_missed(make_truth):
    confusion = confusion_matrix(make_truth([[(1, HERE)], [(1, HERE), (2, THERE)]], ["a", "b"]), [])

    assert confusion.matrix.tolist() == [[0, 0, 2], [0, 0, 1], [0, 0, 0]]
