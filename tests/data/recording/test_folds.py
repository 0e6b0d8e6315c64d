"""Folds for cross-validation: balance, groups, stability, and the splits of each training."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.data.recording.fold_assignment import FoldImage, assign_folds
from sightline.data.recording.folds import read_training_split
from sightline.errors import DataError


def image(number, *classes, tied=""):
    source = random.Random(number)
    sha256 = f"{source.getrandbits(256):064x}"
    return FoldImage(sha256, tied or sha256, classes)


def images(count, start=0, group_size=1):
    """Images with one of three classes of different frequency, in groups."""
    source = random.Random(start)
    return [
        image(
            number, source.choices("abc", (6, 3, 1))[0], tied=f"g{number // group_size:05d}" if group_size > 1 else ""
        )
        for number in range(start, start + count)
    ]


def class_counts(of, folds):
    counts = {fold: Counter() for fold in set(folds)}
    for one, fold in zip(of, folds, strict=True):
        counts[fold].update(one.classes)
    return counts


@pytest.mark.parametrize(("count", "folds"), [(10, 2), (50, 5), (203, 10)])
def test_folds_have_equal_numbers_of_images_and_classes(count, folds):
    of = images(count)
    assigned = assign_folds(of, folds, {})
    assert set(assigned) == set(range(1, folds + 1))
    sizes = Counter(assigned).values()
    assert max(sizes) - min(sizes) <= 2
    for name in "abc":
        per_fold = [counts[name] for counts in class_counts(of, assigned).values()]
        assert max(per_fold) - min(per_fold) <= 2


def test_folds_are_as_balanced_as_those_of_scikit_learn():
    model_selection = pytest.importorskip("sklearn.model_selection")

    def spread(of, folds):
        labels = [one.classes[0] for one in of]
        counts = class_counts(of, folds).values()
        return sum(np.std([count[name] / labels.count(name) for count in counts]) for name in set(labels))

    ours, theirs = [], []
    for start in range(0, 10_000, 1000):
        of = images(200, start=start, group_size=4)
        labels, groups = [one.classes[0] for one in of], [one.tied for one in of]
        other = np.zeros(len(of), dtype=int)
        splits = model_selection.StratifiedGroupKFold(5).split(labels, labels, groups)
        for fold, (_, members) in enumerate(splits, start=1):
            other[members] = fold
        ours.append(spread(of, assign_folds(of, 5, {})))
        theirs.append(spread(of, other.tolist()))
    assert np.mean(ours) <= np.mean(theirs)


def test_groups_stay_together():
    of = images(120, group_size=3)
    sides = {}
    for one, fold in zip(of, assign_folds(of, 4, {}), strict=True):
        sides.setdefault(one.tied, set()).add(fold)
    assert {len(folds) for folds in sides.values()} == {1}


def test_neither_order_nor_names_matter():
    of = images(60)
    first = dict(zip((one.sha256 for one in of), assign_folds(of, 5, {}), strict=True))
    random.Random(1).shuffle(of)
    assert dict(zip((one.sha256 for one in of), assign_folds(of, 5, {}), strict=True)) == first


@given(st.integers(0, 10**6), st.integers(8, 60), st.integers(0, 60), st.integers(2, 6))
def test_images_keep_their_fold_when_others_join(seed, old_count, new_count, folds):
    old = images(old_count, start=seed)
    before = dict(zip((one.sha256 for one in old), assign_folds(old, folds, {}), strict=True))
    new = [*old, *images(new_count, start=seed + 10**7)]
    after = dict(zip((one.sha256 for one in new), assign_folds(new, folds, before), strict=True))
    assert {sha256: after[sha256] for sha256 in before} == before


def test_more_folds_than_groups_are_refused():
    with pytest.raises(DataError, match=r"3 groups.*data\.folds"):
        assign_folds(images(9, group_size=3), 5, {})


@pytest.fixture
def training_set(tmp_path):
    """Six images in train and val, in three folds, and one in test."""
    listed = [(number, "val" if number > 4 else "train", (number - 1) % 3 + 1) for number in range(1, 7)]
    recorded = []
    for split in ("train", "val", "test"):
        members = [number for number, side, _ in listed if side == split] + ([7] if split == "test" else [])
        document = {
            "images": [
                {"id": n, "file_name": f"{n}.png", "width": 9, "height": 9, "sha256": str(n), "group": str(n)}
                for n in members
            ],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16.0, "iscrowd": 0,
                 "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]]}
                for n in members
            ],
            "categories": [{"id": 1, "name": "a"}],
            "info": {"dataset": "d", "split": split},
        }  # fmt: skip
        (tmp_path / f"{split}.json").write_text(json.dumps(document))
    for number, split, fold in [*listed, (7, "test", 0)]:
        recorded.append(
            {"file_name": f"{number}.png", "sha256": str(number), "perceptual_hash": "0" * 16, "split": split,
             "group": "", "tied": "", "width": 9, "height": 9, "size_bytes": 1, "labels": "", "fold": fold}
        )  # fmt: skip
    (tmp_path / "dataset.json").write_text(
        json.dumps(
            {"format": 1, "dataset": "d", "version": "v1", "annotation_tag": "d_ann_v1", "annotation_commit": "c",
             "configuration_digest": "", "configuration": {}, "classes": ["a"], "earlier": [], "images": recorded,
             "instances": {}, "showing": {}, "dropped": {}, "ignored": 0, "faults": []}
        )
    )  # fmt: skip
    return tmp_path


def ids(document):
    return [image["id"] for image in document["images"]], [one["image_id"] for one in document["annotations"]]


def test_without_a_fold_the_splits_are_as_recorded(training_set):
    assert ids(read_training_split(training_set, "train")) == ([1, 2, 3, 4], [1, 2, 3, 4])
    assert ids(read_training_split(training_set, "val")) == ([5, 6], [5, 6])


@pytest.mark.parametrize(("fold", "val"), [(1, [1, 4]), (2, [2, 5]), (3, [3, 6])])
def test_a_fold_is_the_val_split_and_all_others_are_train(training_set, fold, val):
    assert ids(read_training_split(training_set, "val", fold)) == (val, val)
    train = [number for number in range(1, 7) if number not in val]
    assert ids(read_training_split(training_set, "train", fold)) == (train, train)
    assert ids(read_training_split(training_set, "test", fold)) == ([7], [7])
    assert read_training_split(training_set, "val", fold)["info"]["split"] == "val"


def test_a_fold_that_the_training_set_lacks_is_refused(training_set):
    with pytest.raises(DataError, match="3 folds"):
        read_training_split(training_set, "val", 4)
