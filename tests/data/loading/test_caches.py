import os
import pickle

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from sightline.config.augmentation import KINDS, Augmentation
from sightline.config.loading import Loading
from sightline.data.loading.batches import batches
from sightline.data.loading.cache import ImageCache
from sightline.data.loading.disk_cache import DiskCache
from tests.data.loading.test_loader import same
from tests.squares import make_dataset

DIGEST = "ab" * 32
EVERYTHING = TypeAdapter(Augmentation).validate_python([{"name": name, "probability": 0.5} for name in KINDS])


def picture(seed, size=(8, 6)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


class TestMemory:
    def test_images_that_fit_are_kept(self):
        cache = ImageCache([(8, 6)] * 3, limit_bytes=2 * 8 * 6 * 3)
        assert len(cache) == 2
        for index in range(3):
            assert cache.get(index, 8, 6) is None
            cache.add(index, picture(index))
        assert [cache.get(index, 8, 6) == picture(index) for index in range(2)] == [True, True]
        assert cache.get(2, 8, 6) is None

    def test_no_limit_is_no_cache(self):
        cache = ImageCache([(8, 6)], limit_bytes=0)
        cache.add(0, picture(0))
        assert cache.get(0, 8, 6) is None

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked on this system")
    def test_a_forked_process_and_its_parent_share_images(self):
        cache = ImageCache([(8, 6)] * 2, limit_bytes=10**6)
        child = os.fork()
        if child == 0:
            cache.add(1, picture(1))
            os._exit(0)
        os.waitpid(child, 0)
        assert cache.get(1, 8, 6) == picture(1)
        assert cache.get(0, 8, 6) is None

    def test_another_process_starts_with_none(self):
        cache = ImageCache([(8, 6)], limit_bytes=10**6)
        cache.add(0, picture(0))
        assert len(pickle.loads(pickle.dumps(cache))) == 0


class TestDisk:
    def test_images_outlive_the_process(self, tmp_path):
        DiskCache(tmp_path, 10**6).add(DIGEST, picture(0))
        cache = DiskCache(tmp_path, 10**6)
        assert cache.get(DIGEST, 8, 6) == picture(0)
        assert cache.get(DIGEST, 6, 8) is None
        assert cache.get("cd" * 32, 8, 6) is None

    @pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: bytes(len(data))])
    def test_a_damaged_file_counts_as_missing_and_is_replaced(self, tmp_path, damage):
        cache = DiskCache(tmp_path, 10**6)
        cache.add(DIGEST, picture(0))
        (path,) = tmp_path.rglob("*.rgb")
        path.write_bytes(damage(path.read_bytes()))
        assert cache.get(DIGEST, 8, 6) is None
        cache.add(DIGEST, picture(0))
        assert cache.get(DIGEST, 8, 6) == picture(0)
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1

    def test_the_limit_counts_what_is_there_already(self, tmp_path):
        limit = 2 * (8 * 6 * 3 + 10)
        DiskCache(tmp_path, limit).add("aa" * 32, picture(0))
        cache = DiskCache(tmp_path, limit)
        for digest in ("bb" * 32, "cc" * 32):
            cache.add(digest, picture(1))
        assert len(list(tmp_path.rglob("*.rgb"))) == 2

    def test_a_folder_that_cannot_be_written_is_said_once(self, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        cache = DiskCache(tmp_path / "file" / "images", 10**6)
        cache.add(DIGEST, picture(0))
        cache.add(DIGEST, picture(0))
        assert len(caplog.records) == 1
        assert str(tmp_path) in caplog.text


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("cached", ["memory", "disk", "nothing"])
def test_a_sample_is_the_same_whatever_prepares_it(tmp_path, workers, cached):
    """All augmentations, through workers and caches that are filled in another order, against one sample at a time."""
    loading = Loading(cache_ram_gb=float(cached == "memory"), cache_disk_gb=float(cached == "disk"))
    options = {"augmentation": EVERYTHING, "seed": 5}
    dataset = make_dataset(tmp_path / "a", loading=loading, cache_folder=tmp_path / "cache", **options)
    plan = {"batch_size": 3, "seed": 5, "first": 1, "last": 6, "workers": workers}
    arrived = list(batches(dataset, **plan))
    alone = make_dataset(tmp_path / "b", loading=Loading(cache_ram_gb=0), **options)
    for iteration in range(6, 0, -1):
        places = alone.order(3, 5).batch(iteration)
        expected = [alone.sample(index, position, (48, 64)) for position, index in places]
        assert all(same(*pair) for pair in zip(arrived[iteration - 1], expected, strict=True))
    assert any(path.suffix == ".rgb" for path in tmp_path.rglob("*")) == (cached == "disk")
