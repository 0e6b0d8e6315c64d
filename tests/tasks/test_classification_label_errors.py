"""Suspected labels of whole images, planted among right ones."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.classification.label_errors import classification_suspects, expected_errors
from sightline.tasks.classification.prediction import Classification, LabelSetAnswer
from sightline.tasks.evaluators import open_evaluator
from tests.classified import SEVERAL, class_names

SETS = {"class": ((1, 2, 3), False)}


def split(labels, label_sets=SETS):
    """A split by the category ids of each image."""
    images = [
        {"id": number, "file_name": f"{number}.png", "width": 8, "height": 8, "sha256": "", "group": "", "labels": ids}
        for number, ids in enumerate(labels, start=1)
    ]
    ids = [id_ for members, _ in label_sets.values() for id_ in members]
    several = len(label_sets) > 1
    names = {
        id_: f"{name}/{id_}" if several else str(id_) for name, (members, _) in label_sets.items() for id_ in members
    }
    return {
        "images": images,
        "annotations": [],
        "categories": [{"id": id_, "name": names[id_]} for id_ in ids],
        "label_sets": [
            {"name": name, "category_ids": list(members), "multiple": multiple}
            for name, (members, multiple) in label_sets.items()
        ],
    }


def answers(*tables, label_sets=SETS):
    """Predictions from a table of probabilities for each label set."""
    sets = list(label_sets.values())
    return [
        Classification(
            number,
            tuple(
                LabelSetAnswer(
                    np.array(ids), np.array(row, np.float32), np.full(len(ids), np.nan, np.float32), multiple
                )
                for (ids, multiple), row in zip(sets, rows, strict=True)
            ),
        )
        for number, rows in enumerate(zip(*tables, strict=True), start=1)
    ]


def probabilities(classes, random, sure=(0.6, 0.9)):
    """A model that sees the classes of images right."""
    table = np.empty((len(classes), 3))
    for row, seen in zip(table, classes, strict=True):
        row[:] = random.dirichlet(np.ones(3)) * 0.05
        row[seen] = random.uniform(*sure)
    return table / table.sum(axis=1, keepdims=True)


def test_planted_labels_are_found_and_right_ones_are_not():
    random = np.random.default_rng(0)
    seen = random.integers(0, 3, 200)
    labels = seen.copy()
    planted = random.choice(200, 30, replace=False)
    labels[planted] = (labels[planted] + random.integers(1, 3, 30)) % 3
    truth = split([[int(one) + 1] for one in labels])
    found = classification_suspects(truth, answers(probabilities(seen, random)))
    assert {one.image_id - 1 for one in found} <= set(planted.tolist())
    assert len(found) >= 25
    assert all(one.suggested_id == seen[one.image_id - 1] + 1 for one in found)
    assert all(one.category_id == labels[one.image_id - 1] + 1 for one in found)
    assert {one.kind for one in found} == {"wrong class"}
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert 0 < min(scores) <= max(scores) <= 1


def test_right_labels_are_not_suspected():
    random = np.random.default_rng(0)
    seen = random.integers(0, 3, 100)
    truth = split([[int(one) + 1] for one in seen])
    assert classification_suspects(truth, answers(probabilities(seen, random))) == []


def test_the_expected_errors_are_those_of_the_calibrated_confident_joint():
    random = np.random.default_rng(5)
    for _ in range(20):
        table = random.dirichlet(np.ones(4), 60)
        labels = random.integers(0, 4, 60)
        counts = np.zeros((4, 4))
        for row, label in zip(table, labels, strict=True):
            over = [
                column for column in range(4)
                if (labels == column).any() and row[column] >= table[labels == column, column].mean()
            ]  # fmt: skip
            if over:
                counts[label, max(over, key=lambda column: row[column])] += 1
        expected = np.zeros((4, 4), int)
        for label in range(4):
            for other in range(4):
                if label != other and counts[label].sum():
                    share = counts[label, other] / counts[label].sum()
                    expected[label, other] = round(share * (labels == label).sum())
        assert expected_errors(labels, table).tolist() == expected.tolist()


def test_several_label_sets_with_any_number_of_classes():
    sets = {"shape": ((1, 2), False), "marks": ((3, 4), True)}
    random = np.random.default_rng(0)
    shapes, marks = random.integers(0, 2, 60), random.random((60, 2)) < 0.5
    labels = [[int(shape) + 1, *(np.flatnonzero(row) + 3).tolist()] for shape, row in zip(shapes, marks, strict=True)]
    first = np.where(np.eye(2)[shapes] > 0, 0.9, 0.1)
    second = np.where(marks, 0.9, 0.1) + random.uniform(-0.05, 0.05, marks.shape)
    labels[7][0] = 3 - labels[7][0]  # another shape
    without, with_ = (int(np.flatnonzero(marks[:, 0] == value)[-1]) for value in (False, True))
    second[without, 0], second[with_, 0] = 0.97, 0.02
    found = classification_suspects(split(labels, sets), answers(first, second, label_sets=sets))
    kinds = {(one.image_id - 1, one.kind): (one.category_id, one.suggested_id) for one in found}
    assert kinds[7, "wrong class"] == (labels[7][0], 3 - labels[7][0])
    assert kinds[without, "missing"] == (None, 3)
    assert kinds[with_, "spurious"] == (3, None)


def test_an_image_without_a_label_gets_the_most_probable_class():
    truth = split([[], []])
    found = classification_suspects(truth, answers([[0.1, 0.7, 0.2], [0.4, 0.3, 0.3]]))
    assert [(one.image_id, one.kind, one.category_id, one.suggested_id) for one in found] == [
        (1, "missing", None, 2), (2, "missing", None, 1),
    ]  # fmt: skip
    assert found[0].score == pytest.approx(0.7)


def test_no_images_and_missing_predictions():
    assert classification_suspects(split([]), []) == []
    with pytest.raises(DataError):
        classification_suspects(split([[1]]), [])
    with pytest.raises(DataError):
        classification_suspects(split([[1]]) | {"label_sets": []}, answers([[0.1, 0.7, 0.2]]))


def test_the_page_shows_the_most_suspicious_labels():
    random = np.random.default_rng(0)
    seen = random.integers(0, 3, 300)
    labels = seen.copy()
    labels[:50] = (labels[:50] + 1) % 3
    truth = split([[int(one) + 1] for one in labels])
    evaluator = open_evaluator("classification", "none", {1: "red", 2: "blue", 3: "green"})
    truth["categories"] = [{"id": id_, "name": name} for id_, name in ((1, "red"), (2, "blue"), (3, "green"))]
    predictions = answers(probabilities(seen, random))
    section = {one.id: one for one in evaluator.measure(truth, predictions, 0.5).sections}["label-errors"]
    best = evaluator.suspects(truth, predictions)[0]
    assert len(section.rows) == 20
    name = next(iter(section.rows))
    assert name.startswith(f"{best.image_id}.png: wrong class, ")
    assert section.rows[name] == {"score": best.score}


def test_the_uncertainty_of_an_image():
    evaluator = open_evaluator("classification", "none", dict(enumerate(class_names(SEVERAL), start=1)))
    sets = {"shape": ((1, 2), False), "colour": ((3, 4, 5), False), "marks": ((6, 7), True)}
    sure, unsure = answers([[1, 0], [1, 0]], [[1, 0, 0], [0.4, 0.3, 0.3]], [[1, 0], [1, 0]], label_sets=sets)
    assert evaluator.uncertainty(sure) == pytest.approx(0, abs=1e-6)
    assert evaluator.uncertainty(unsure) == pytest.approx(0.991, abs=1e-3)
