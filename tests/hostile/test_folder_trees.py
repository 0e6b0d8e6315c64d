"""Random folder trees: their files are the files of the version, or all of them are refused and left as they are."""

import os
import random
import shutil
from pathlib import Path

import pytest

from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags
from sightline.data.tags import DatasetTag
from sightline.errors import DataError
from tests.data.repository.test_adding import files_of, git, state, tree
from tests.labelled_folder import write_images

FOLDERS = [
    "",
    "",
    "sub",
    "sub/deep",
    "two words",
    "한글",
    "#1",
    "Sub",
    ".hidden",
    "__MACOSX",
    "photos.tmp",
    "%41",
    "a'b",
]
NAMES = [
    "a.jpg", "b.JPG", "c.png", "notes.txt", "x.heic", "no ending", "CON", "é.png", "100%.jpg", "a,b;c.jpg", "-rf.jpg",
    "*.jpg", "y.gif", ".DS_Store", "._a.json", "Thumbs.db", "a.json~", "b.jpg.part", "c.bak", "'q'.jpg", "$HOME.jpg",
]  # fmt: skip
HOSTILE = [
    ".git/HEAD", ".gitignore", "photos.dvc", "dvc.yaml", ".dvc/config", "new\nline.jpg", "back\\slash.jpg",
    "E\u0301.png", "A.JPG", "\udcff.jpg", "sub.git/.git/HEAD", ".dvcignore", "dvc.lock", ".gitattributes",
]  # fmt: skip
LINKS = [".", "..", "a0.jpg", "sub", "nowhere", "/etc/hostname", "../outside.jpg", "l0", "sub/../a0.jpg"]

LEFT_OUT = {".hidden", "__MACOSX", "photos.tmp", ".DS_Store", "._a.json", "Thumbs.db", "a.json~", "b.jpg.part", "c.bak"}


def plant(root, moments):
    """Draw a tree; whether anything in it must be refused."""
    write_images(root, ["a0"])
    hostile = moments.random() < 0.5
    paths = [
        "/".join(filter(None, (moments.choice(FOLDERS), moments.choice(NAMES))))
        for _ in range(moments.randrange(1, 12))
    ]
    if hostile:
        paths += moments.sample(HOSTILE, moments.randrange(0, 2))
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(root / path):
            (root / path).write_bytes(moments.randbytes(moments.choice([0, 1, 100])))
    for number in range(moments.randrange(3) if hostile else moments.randrange(2)):
        target = moments.choice(LINKS) if hostile else "a0.jpg"
        (root / f"l{number}").symlink_to(target)
    if hostile and moments.random() < 0.3:
        os.mkfifo(root / "pipe")
    if moments.random() < 0.3:
        (root / "empty" / "folder").mkdir(parents=True)


def expected(root):
    """What a version must hold, by another way than the code goes: every file that is not left out."""
    found = {}
    for name, digest in tree(root).items():
        if LEFT_OUT & set(name.split("/")):
            continue
        found[name] = tree(root)["a0.jpg"] if digest.startswith("-> ") else digest
    return found


def everything(root):
    return {
        path.relative_to(root): (path.lstat().st_mode, str(path.readlink()) if path.is_symlink() else "")
        for path in root.rglob("*")
    } | tree(root)


@pytest.mark.slow
def test_files_in_are_files_in_the_version_or_all_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    data = tmp_path / "data"
    init_repository(data, str(tmp_path / "remote"))
    (tmp_path / "outside.jpg").write_bytes(b"outside")
    seed = int(os.environ.get("SIGHTLINE_SEED", "20261128"))
    moments = random.Random(seed)
    added = 0
    for number in range(int(os.environ.get("SIGHTLINE_TREES", "24"))):
        photos, tag = tmp_path / f"photos-{number}", DatasetTag("pets", "ann", f"v{number}")
        plant(photos, moments)
        inside = moments.random() < 0.2
        if inside:
            shutil.copytree(photos, data / "incoming", symlinks=True, copy_function=_copied)
            photos = data / "incoming"
        before, own = everything(photos), state(data)
        files, refusal = attempt(data, photos, tag)
        if refusal:
            assert "cannot be part of a version" in refusal, f"seed {seed}, tree {number}"
            assert state(data) == own, f"seed {seed}, tree {number}"
        else:
            assert files_of(data, tag) == expected(photos), f"seed {seed}, tree {number}"
            assert tree(data / tag.folder) == expected(photos)
            assert files == len(expected(photos))
            added += 1
        assert everything(photos) == before, f"seed {seed}, tree {number}"
        if inside:
            shutil.rmtree(photos)
        assert git(data, "status", "--porcelain") == ""
    assert len(list_tags(str(data), 60)) == added
    assert 0 < added < number + 1


def attempt(data, photos, tag):
    """How many files were added, or why none were."""
    try:
        return add_annotations(data, photos, tag).files, ""
    except DataError as error:
        return 0, str(error)


def _copied(source, target):
    if Path(source).is_file():
        shutil.copy2(source, target)
    return target
