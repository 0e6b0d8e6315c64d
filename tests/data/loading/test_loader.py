import numpy as np
import pytest

from sightline.config.augmentation import DEFAULT_AUGMENTATION
from sightline.config.loading import Loading
from sightline.data.loading.batches import batches
from sightline.data.loading.dataset import CocoDataset
from sightline.errors import DataError
from tests.golden import raises
from tests.squares import draw, make_dataset, write_coco

UNCACHED = Loading(cache_ram_gb=0)
OPTIONS = {"image_size": 64, "max_pixels": 10**6, "augmentation": DEFAULT_AUGMENTATION, "seed": 0, "loading": UNCACHED}


def same(first, second):
    return (
        first.image_id == second.image_id
        and first.seed == second.seed
        and first.canvas_hw == second.canvas_hw
        and np.array_equal(first.image, second.image)
        and np.array_equal(first.boxes_xyxy, second.boxes_xyxy)
        and np.array_equal(first.labels, second.labels)
        and first.segmentations == second.segmentations
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_from_the_middle_are_those_of_a_whole_run(tmp_path, workers):
    options = {"batch_size": 2, "seed": 3, "last": 5}
    whole = list(batches(make_dataset(tmp_path, seed=3), first=1, workers=0, **options))
    rest = list(batches(make_dataset(tmp_path, seed=3), first=4, workers=workers, **options))
    assert len(whole) == 5
    assert len(rest) == 2
    for batch, expected in zip(rest, whole[3:], strict=True):
        assert all(same(*pair) for pair in zip(batch, expected, strict=True))


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_processes_share_the_batches_of_one(tmp_path, processes):
    dataset = make_dataset(tmp_path, seed=3)
    options = {"batch_size": 4, "seed": 3, "first": 2, "last": 4, "workers": 0}
    whole = list(batches(dataset, **options))
    shares = [list(batches(dataset, process=rank, processes=processes, **options)) for rank in range(processes)]
    for number, batch in enumerate(whole):
        for rank, share in enumerate(shares):
            assert len(share[number]) == len(batch[rank::processes])
            assert all(same(*pair) for pair in zip(share[number], batch[rank::processes], strict=True))


def test_an_image_that_comes_twice_in_a_batch_is_changed_differently(tmp_path):
    (batch,) = batches(make_dataset(tmp_path, images=1), batch_size=2, seed=0, first=1, last=1, workers=0)
    first, second = batch
    assert first.image_id == second.image_id
    assert first.seed != second.seed
    assert not np.array_equal(first.image, second.image)


def test_images_of_a_batch_have_one_canvas(tmp_path):
    document = write_coco(tmp_path, 2)
    image, _ = draw(1, size=(60, 80))
    image.save(tmp_path / "1.png")
    document["images"][1] |= {"width": 60, "height": 80}
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] == 1]
    dataset = CocoDataset(document, tmp_path, **OPTIONS)
    (batch,) = batches(dataset, batch_size=2, seed=0, first=1, last=1, workers=0)
    assert sorted(sample.image.shape[:2] for sample in batch) == [(48, 64), (64, 48)]
    assert [sample.canvas_hw for sample in batch] == [(64, 64), (64, 64)]


def test_the_cache_changes_nothing(tmp_path):
    cached, uncached = make_dataset(tmp_path), make_dataset(tmp_path, loading=UNCACHED)
    for iteration in (1, 2):
        assert same(cached.sample(0, iteration), uncached.sample(0, iteration))
    assert not same(cached.sample(0, 1), cached.sample(0, 2))
    (tmp_path / "0.png").unlink()
    cached.sample(0, 3)
    with raises(DataError, "0.png"):
        uncached.sample(0, 3)


def test_samples_have_the_size_and_the_forms_that_the_network_takes(tmp_path):
    sample = make_dataset(tmp_path, augmentation=()).sample(1, 1)
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
