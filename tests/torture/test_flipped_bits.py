"""One bit of a file changes, as disks do it, its time and size as before: it is detected, and that file is named."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest

from sightline.data.repository.checkout import checkout
from sightline.data.workspace import Workspace
from sightline.errors import ModelFileError, RepositoryError, StorageError
from sightline.evaluation.inference import fetch_model
from sightline.storage import open_storage
from tests.servers.google_storage import fault
from tests.torture.recording import World
from tests.torture.watching import md5_of

AT_ONCE = 5
"""So many files of a version are damaged at once, at most; the message shows ten."""


def flip(path: Path, moments) -> bytes:
    """Flip a bit of a file behind everybody's back; what it held before."""
    status, data = path.stat(), path.read_bytes()
    bit = moments.randrange(8 * len(data))
    put(path, data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :], status)
    return data


def put(path: Path, data: bytes, status: os.stat_result) -> None:
    """Write into a file as it is: mode, times, attributes and inode stay."""
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(data)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class Pulled:
    """A dataset version, and where its objects lie."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.work = world, folder / "work"
        dataset, (self.tag, *_) = next(iter(world.tags.items()))
        photos = world.folder / f"photos-{self.tag}"
        self.below = f"annotations/{dataset}"
        self.files = {path.name: md5_of(path) for path in photos.iterdir()}
        self.manifest = next(
            name for name in world.objects("annotations") if name.endswith(".dir") and self._lists(name)
        )

    def _lists(self, key: str) -> bool:
        text = (self.world.folder / "remote" / "annotations" / "files" / "md5" / key).read_text()
        return all(f'"{name}"' in text for name in self.files)

    def check_out(self) -> dict[str, str | None]:
        """Check the version out; its files and their MD5."""
        found = checkout(Workspace(str(self.world.repository), self.work, timeout_seconds=120), self.tag)
        return {path.name: md5_of(path) for path in (found.path / self.below).iterdir()}

    def forget(self, *, cache: bool) -> None:
        """Remove the checkouts, and the cache too if it is to be."""
        for folder in [self.work / "checkouts"] + [self.work / "dvc-cache"] * cache:
            if folder.exists():
                removed = folder.rename(folder.with_name("removed"))
                shutil.rmtree(removed)


@pytest.fixture
def pulled(undisturbed, tmp_path):
    return Pulled(World.on(undisturbed.world, f"sqlite:///{tmp_path}/db.sqlite"), tmp_path)


@pytest.mark.slow
def test_flipped_bits_on_the_remote_are_named(pulled, amount, moments, figures):
    store = pulled.world.folder / "remote" / "annotations" / "files" / "md5"
    flips, wanted = 0, amount(10, 300)
    while flips < wanted:
        names = moments.sample(sorted(pulled.files), moments.randint(1, AT_ONCE))
        whole = moments.random() < 0.15
        paths = [store / pulled.manifest] if whole else [object_path(store, pulled.files[name]) for name in names]
        before = [(path, path.stat(), flip(path, moments)) for path in paths]
        with pytest.raises(RepositoryError) as caught:
            pulled.check_out()
        message = str(caught.value)
        if whole:
            assert re.search(rf"the list of the files of {pulled.tag} is damaged on the DVC remote", message), message
        else:
            assert f"{len(names)} of {len(pulled.files)} files of {pulled.tag} are missing or damaged" in message
            assert {name for name in pulled.files if name in message} == set(names)
        for path, status, data in before:
            put(path, data, status)
        flips += len(paths)
        pulled.forget(cache=True)
    assert pulled.check_out() == pulled.files
    figures(f"{flips} bits flipped, all named")


@pytest.mark.slow
def test_flipped_bits_in_the_cache_are_mended(pulled, amount, moments, figures):
    store = pulled.work / "dvc-cache" / "files" / "md5"
    flips, wanted = 0, amount(10, 300)
    pulled.check_out()
    while flips < wanted:
        pulled.forget(cache=False)
        objects = [path for path in store.glob("??/*") if path.is_file()]
        paths = moments.sample(objects, moments.randint(1, AT_ONCE))
        for path in paths:
            flip(path, moments)
        assert pulled.check_out() == pulled.files
        for path in paths:
            assert md5_of(path) == path.parent.name + path.name.removesuffix(".dir")
        flips += len(paths)
    figures(f"{flips} bits flipped, all fetched again")


def object_path(store: Path, md5: str) -> Path:
    return store / md5[:2] / md5[2:]


def test_flipped_bits_in_a_bucket_are_named(tmp_path, amount, moments, figures):
    storage = open_storage(str(tmp_path / "bucket"))
    keys = [f"results/train/pets_train_v1/k/file{number}.bin" for number in range(20)]
    for number, key in enumerate(keys):
        storage.write_bytes(key, moments.randbytes(1 + 997 * number))
    flips = amount(50, 300)
    for _ in range(flips):
        key = moments.choice(keys)
        path = tmp_path / "bucket" / key
        status, data = path.stat(), flip(path, moments)
        for read in (lambda key=key: storage.read_bytes(key), lambda key=key: storage.download(key, tmp_path / "out")):
            with pytest.raises(StorageError, match="damaged") as caught:
                read()
            assert {other for other in keys if re.search(rf"{re.escape(other)}\b", str(caught.value))} == {key}
        assert not (tmp_path / "out").exists()
        put(path, data, status)
        assert storage.read_bytes(key)[0] == data
    figures(f"{flips} bits flipped, all named")


@pytest.mark.slow
def test_flipped_bits_of_google_storage_are_named(
    undisturbed_in_google_storage, google_storage_rig, tmp_path, amount, moments, figures
):
    """Objects of the DVC remote that somebody wrote with one bit wrong, and a wire that changes a bit of one object."""
    world = World.on(undisturbed_in_google_storage.world, f"sqlite:///{tmp_path}/db.sqlite")
    dataset, (tag, *_) = next(iter(world.tags.items()))
    files = {path.name: md5_of(path) for path in (world.folder / f"photos-{tag}").iterdir()}
    remote = open_storage(f"{world.remote}/annotations")
    flips, wired, wanted = 0, 0, amount(10, 200)
    while flips < wanted:
        names = moments.sample(sorted(files), moments.randint(1, AT_ONCE))
        keys = [f"files/md5/{files[name][:2]}/{files[name][2:]}" for name in names]
        on_the_wire = moments.random() < 0.3
        if on_the_wire:
            keys, names, wired = keys[:1], names[:1], wired + 1
            google_storage_rig.fail(
                fault("flip", "GET", re.escape(keys[0]) + r".*alt=media", times=1000, at=moments.randrange(50))
            )
        before = {key: remote.read_bytes(key)[0] for key in keys} if not on_the_wire else {}
        for key, data in before.items():
            bit = moments.randrange(8 * len(data))
            remote.write_bytes(key, data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :])
        with pytest.raises(RepositoryError) as caught:
            checkout(Workspace(str(world.repository), tmp_path / "work", timeout_seconds=120), tag)
        message = str(caught.value)
        if on_the_wire:
            assert keys[0] in message, message
            google_storage_rig.fail()
        else:
            assert {name for name in files if name in message} == set(names), message
        for key, data in before.items():
            remote.write_bytes(key, data)
        flips += len(keys)
        shutil.rmtree(tmp_path / "work")
    found = checkout(Workspace(str(world.repository), tmp_path / "work", timeout_seconds=120), tag).path
    assert {path.name: md5_of(path) for path in (found / f"annotations/{dataset}").iterdir()} == files
    figures(f"{flips} bits flipped, {wired} of them on the wire, all named")


def test_flipped_bits_of_a_model_are_detected(tmp_path, amount, moments, figures):
    """In the bucket by whom it was put there by hand, so without a checksum; and on the work volume."""
    source = tmp_path / "models" / "model.safetensors"
    source.parent.mkdir()
    source.write_bytes(moments.randbytes(20_000))
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    flips = amount(20, 100)
    for _ in range(flips // 2):
        status, data = source.stat(), flip(source, moments)
        with pytest.raises(ModelFileError, match=rf"{source} is not the model that was meant: its sha256 is"):
            fetch_model(source.as_uri(), sha256, tmp_path / "work")
        put(source, data, status)
        copy = fetch_model(source.as_uri(), sha256, tmp_path / "work")
        flip(copy, moments)
        assert fetch_model(source.as_uri(), sha256, tmp_path / "work").read_bytes() == source.read_bytes()
        copy.unlink()
    figures(f"{flips} bits flipped, all detected")
