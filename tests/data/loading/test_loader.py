import numpy as np
import pytest

from sightline.config.augmentation import Augmentation
from sightline.data.loading import batches as loader
from sightline.data.loading.batches import batch_indices, batches
from sightline.data.loading.dataset import CocoDataset
from sightline.errors import DataError
from tests.golden import raises
from tests.squares import make_dataset, write_coco

OPTIONS = {"image_size": 64, "max_pixels": 10**6, "augmentation": Augmentation(), "seed": 0, "cache_bytes": 0}


def same(first, second):
    return (
        first.image_id == second.image_id
        and np.array_equal(first.image, second.image)
        and np.array_equal(first.boxes_xyxy, second.boxes_xyxy)
        and np.array_equal(first.labels, second.labels)
        and first.segmentations == second.segmentations
    )


def test_every_image_comes_once_a_pass():
    seen = [index for iteration in range(1, 8) for index in batch_indices(5, iteration, images=7, batch_size=3)]
    assert sorted(seen[:7]) == sorted(seen[7:14]) == sorted(seen[14:]) == list(range(7))
    assert seen[:7] != seen[7:14]


def test_a_batch_may_be_larger_than_the_dataset():
    assert sorted(batch_indices(0, 1, images=2, batch_size=4)) == [0, 0, 1, 1]


def test_order_depends_on_seed_and_iteration_alone():
    assert batch_indices(1, 9, images=50, batch_size=4) == batch_indices(1, 9, images=50, batch_size=4)
    assert batch_indices(1, 9, images=50, batch_size=4) != batch_indices(2, 9, images=50, batch_size=4)


def test_an_order_is_drawn_once_a_pass_however_many_batches_it_has(monkeypatch):
    drawn = []
    generator = np.random.default_rng
    monkeypatch.setattr(loader.np.random, "default_rng", lambda seed: drawn.append(seed) or generator(seed))
    loader._order.cache_clear()
    seen = [index for iteration in range(1, 301) for index in batch_indices(4, iteration, images=1000, batch_size=5)]
    assert drawn == [(4, 0), (4, 1)]
    assert sorted(seen[:1000]) == list(range(1000))


def test_the_order_is_that_of_earlier_releases():
    """A training that an earlier release began goes on with the batches that it would have had."""
    expected = np.random.default_rng((7, 1)).permutation(10).tolist()
    assert batch_indices(7, 4, images=10, batch_size=4) == expected[2:6]
    assert batch_indices(7, 3, images=10, batch_size=4)[2:] == expected[:2]


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_from_the_middle_are_those_of_a_whole_run(tmp_path, workers):
    options = {"batch_size": 2, "seed": 3, "last": 5}
    whole = list(batches(make_dataset(tmp_path, seed=3), first=1, workers=0, **options))
    rest = list(batches(make_dataset(tmp_path, seed=3), first=4, workers=workers, **options))
    assert len(whole) == 5
    assert len(rest) == 2
    for batch, expected in zip(rest, whole[3:], strict=True):
        assert all(same(*pair) for pair in zip(batch, expected, strict=True))


def test_the_cache_changes_nothing(tmp_path):
    cached, uncached = make_dataset(tmp_path), make_dataset(tmp_path, cache_bytes=0)
    for iteration in (1, 2):
        assert same(cached.sample(0, iteration), uncached.sample(0, iteration))
    assert not same(cached.sample(0, 1), cached.sample(0, 2))
    (tmp_path / "0.png").unlink()
    cached.sample(0, 3)
    with raises(DataError, "0.png"):
        uncached.sample(0, 3)


def test_samples_have_the_size_and_the_forms_that_the_network_takes(tmp_path):
    sample = make_dataset(tmp_path, augmentation=Augmentation(flip=0)).sample(1, 1)
    assert sample.image.shape == (48, 64, 3)
    assert sample.image.dtype == np.uint8
    assert sample.boxes_xyxy.dtype == np.float32
    assert sample.labels.tolist() == [1, 2]
    assert [type(segmentation) for segmentation in sample.segmentations] == [dict, list]
    assert sample.segmentations[0]["size"] == [48, 64]


def test_images_without_annotations_and_specks_are_samples_too(tmp_path):
    document = write_coco(tmp_path, 1)
    document["annotations"][0]["bbox"][2] = 1e-3
    document["images"].append({**document["images"][0], "id": 2})
    dataset = CocoDataset(document, tmp_path, **OPTIONS)
    assert dataset.sample(0, 1).labels.tolist() == [2]
    empty = dataset.sample(1, 1)
    assert empty.boxes_xyxy.shape == (0, 4)
    assert empty.segmentations == []


def test_an_image_that_changed_since_is_refused(tmp_path):
    dataset = make_dataset(tmp_path)
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:200])
    with raises(DataError, "2.png"):
        dataset.sample(2, 1)
    document = write_coco(tmp_path, 1)
    document["images"][0]["width"] = 81
    with raises(DataError):
        CocoDataset(document, tmp_path, **OPTIONS).sample(0, 1)
