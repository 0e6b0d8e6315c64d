"""Which files of a folder count: what is taken, left out and refused."""

import os
import socket

import pytest

from sightline.data.folder_files import first_names, list_files, shown
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.repository.adding import unstored_images
from sightline.errors import DataError
from tests.data.formats.labelme_folders import settings, write
from tests.golden import raises


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    write(root)
    return root


def refused(folder):
    found = list_files(folder)
    with pytest.raises(DataError) as error:
        found.require_accepted()
    assert "nothing was stored" in str(error.value)
    for name in found.refused:
        assert f"  {shown(name)}: " in str(error.value)
    return found.refused


def test_every_name_and_ending_counts(folder):
    names = ["B.JSON", "B.JPG", "notes", "x.heic", "sub/a.xyz", "CON.png", "two words.png", "é.png", "#1.png"]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    found = list_files(folder)
    assert found.files == sorted(["a.jpg", "a.json", *names])
    assert found.annotation_files == ["B.JSON", "a.json"]
    assert found.foreign_images == ["x.heic"]
    assert (found.left_out, found.refused) == ([], {})


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "._a.json", ".hidden/b.json", "Thumbs.db", "THUMBS.DB", "__MACOSX/b.json", "@eaDir/b.jpg", "c.tmp",
     "a.json~", "a.jpg.part", ".a.json.swp", "x.BAK", "sub/.b.json"],
)  # fmt: skip
def test_hidden_and_temporary_files_are_left_out_and_named(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    found = list_files(folder)
    assert found.files == ["a.jpg", "a.json"]
    assert len(found.left_out) == 1
    assert name.startswith(found.left_out[0])
    assert found.refused == {}


@pytest.mark.parametrize(
    "name",
    [".git", ".git/HEAD", "sub/.git/HEAD", ".gitignore", ".gitattributes", ".gitmodules", ".dvc/config", ".dvcignore",
     "dvc.yaml", "DVC.YAML", "sub/dvc.lock", "a.jpg.dvc", "photos.DVC", ".GIT"],
)  # fmt: skip
def test_files_of_git_and_dvc_are_refused(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    (where,) = refused(folder)
    assert name.startswith(where)


def test_links_to_files_of_the_folder_are_files(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "b.jpg").symlink_to("../a.jpg")
    (folder / "c.jpg").symlink_to("sub/b.jpg")
    assert list_files(folder).files == ["a.jpg", "a.json", "c.jpg", "sub/b.jpg"]


def test_other_links_are_refused_at_once(folder, tmp_path):
    (tmp_path / "outside.jpg").write_text("x")
    (tmp_path / "photos-2").mkdir()
    (folder / "sub").mkdir()
    for number in range(14):  # each would double the number of paths
        (folder / f"l{number}").symlink_to(".")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "other").symlink_to("sub")
    (folder / "twin").symlink_to("../photos-2")
    (folder / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "dead.jpg").symlink_to("gone.jpg")
    (folder / "self").symlink_to("self")
    found = refused(folder)
    assert len(found) == 20
    assert "one of its parent folders" in found["l7"]
    assert "one of its parent folders" in found["sub/up"]
    assert "link to the folder" in found["other"]
    assert "link to the folder" in found["twin"]
    assert str(tmp_path / "outside.jpg") in found["out.jpg"]
    assert "does not exist" in found["dead.jpg"]
    assert "does not exist" in found["self"]
    assert list_files(folder).files == ["a.jpg", "a.json"]


def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    (folder / "b.jpg").symlink_to(folder / "a.jpg")
    assert list_files(tmp_path / "link").files == ["a.jpg", "a.json", "b.jpg"]


def test_what_is_not_a_file_is_refused(folder):
    os.mkfifo(folder / "pipe.json")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fsencode(os.path.relpath(folder / "socket")))
        assert sorted(refused(folder)) == ["pipe.json", "socket"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_refused(folder):
    (folder / "b.jpg").write_text("x")
    (folder / "b.jpg").chmod(0)
    (folder / "sub").mkdir(mode=0)
    assert sorted(refused(folder)) == ["b.jpg", "sub"]


@pytest.mark.parametrize("name", [b"\xff.jpg", b"a\nb.json", b"a\\b.jpg", b"a\x1b[2J.jpg", "a\u2028.jpg".encode()])
def test_names_that_not_every_system_holds_are_refused(folder, name):
    (folder / os.fsdecode(name)).write_bytes(b"x")
    (where,) = refused(folder)
    assert where == os.fsdecode(name)
    assert shown(where).isprintable()


@pytest.mark.parametrize(
    "names", [("A.jpg",), ("é.png", "e\u0301.png"), ("sub/b.jpg", "SUB/c.jpg"), ("straße.jpg", "STRASSE.jpg")]
)
def test_names_that_are_one_on_other_systems_are_refused(folder, names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    assert len(refused(folder)) == 1


def test_long_paths_are_refused(folder):
    long = folder
    for _ in range(5):
        long /= "x" * 250
    long.mkdir(parents=True)
    (long / "a.jpg").write_text("x")
    (reason,) = refused(folder).values()
    assert "the limit is 1024" in reason
    (folder / ("y" * 251 + ".jpg")).write_text("x")
    assert len(refused(folder)) == 1


def test_a_gone_folder_is_an_error(tmp_path):
    with raises(DataError):
        list_files(tmp_path / "gone")


@pytest.mark.parametrize("name", [".a.jpg", "a.tmp", ".images/a.jpg", "a.jpg.bak"])
def test_an_annotation_of_a_file_that_is_left_out_is_a_fault(folder, name):
    write(folder, "b.json", imagePath=name, image=False)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / "a.jpg").rename(folder / name)
    (folder / "a.json").unlink()
    annotations = read_folder(folder, settings())
    (fault,) = unstored_images(annotations, list_files(folder))
    assert fault.startswith(f"b.json: image {name} is a hidden or temporary file")


def test_what_check_reads_is_what_is_listed(folder):
    write(folder, "B.JSON", imagePath="B.JPG", image=False)
    (folder / "a.jpg").rename(folder / "B.JPG")
    write(folder, "sub/c.json", seed=2)
    write(folder, ".hidden/d.json", seed=3)
    write(folder, "__MACOSX/e.json", seed=4)
    (folder / "sub" / "other.gif").write_bytes(b"x")
    annotations = read_folder(folder, settings())
    found = list_files(folder)
    assert annotations.files == len(found.annotation_files) == 3
    assert annotations.unlabelled_images == len(found.images) - 2 == 1


def test_many_names_are_counted():
    assert first_names(["a"], "file") == "1 file: a"
    assert first_names([f"{number}" for number in range(7)], "file") == "7 files: 0, 1, 2, 3, 4, and 2 more"
