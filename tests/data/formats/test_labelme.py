"""Reading labelme folders: policies, images, paths, groups."""

import base64
import json
import unicodedata

import pytest
from PIL import Image

from sightline.data.formats import parallel
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.formats.reading import stopping_faults
from sightline.data.images import image_facts
from sightline.errors import DataError
from tests.data.formats.labelme_folders import HEIGHT, SQUARE, WIDTH, document, encoded, picture, settings, shape, write
from tests.golden import raises


def test_clipped_outlines_stay_in_the_image(tmp_path):
    write(tmp_path, "a.json", shape(points=[[-10, 10], [80, 10], [80, 30], [-10, 30]]))
    annotations = read_folder(tmp_path, settings())
    (outline,) = annotations.images[0].instances[0].segmentation
    assert sorted(zip(outline[::2], outline[1::2], strict=True)) == [(0, 10), (0, 30), (WIDTH, 10), (WIDTH, 30)]
    assert annotations.dropped == {"outside_image": 1}
    assert not stopping_faults(annotations, settings().faults)


@pytest.mark.parametrize(("policy", "instances", "dropped", "stopping"), [
    ("error", 1, {}, 1),
    ("drop", 1, {"outside_image": 1}, 0),
    ("clip", 2, {"outside_image": 1}, 0),
])  # fmt: skip
def test_the_policy_says_what_becomes_of_a_shape(policy, instances, dropped, stopping, tmp_path):
    write(tmp_path, "a.json", shape(points=[[-5, 10], [30, 10], [30, 30]]), shape("bus"))
    data = settings(faults={"outside_image": policy})
    annotations = read_folder(tmp_path, data)
    assert len(annotations.images[0].instances) == instances
    assert annotations.dropped == dropped
    assert len(stopping_faults(annotations, data.faults)) == stopping
    assert len(annotations.faults) == 1


def test_a_shape_with_two_faults_is_counted_once_and_not_at_all_where_record_stops(tmp_path):
    write(tmp_path, "a.json", shape("lorry", points=SQUARE[:2]))
    assert read_folder(tmp_path, settings(faults={"unknown_label": "drop"})).dropped == {"unknown_label": 1}
    assert read_folder(tmp_path, settings()).dropped == {}


def test_ignored_labels_are_counted_and_left_out(tmp_path):
    write(tmp_path, "a.json", shape("__ignore__", points=[]), shape())
    annotations = read_folder(tmp_path, settings(ignored_labels=("__ignore__",)))
    assert (annotations.ignored, annotations.faults, annotations.dropped) == (1, [], {})
    assert annotations.labels == {"__ignore__": 1, "car": 1}


def test_every_label_is_taken_where_classes_are_unknown(tmp_path):
    write(tmp_path, "a.json", shape("lorry"))
    annotations = read_folder(tmp_path, settings(), classes_known=False)
    assert annotations.faults == []
    assert annotations.images[0].instances[0].label == "lorry"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_shapes_fit_the_image_as_a_person_sees_it(orientation, tmp_path):
    size = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
    exif = Image.Exif()
    exif[0x0112] = orientation
    write(tmp_path, "a.json", shape(), image=False)
    (tmp_path / "a.jpg").write_bytes(encoded(picture(size=size), exif=exif))
    annotations = read_folder(tmp_path, settings())
    assert annotations.faults == []
    assert (annotations.images[0].width, annotations.images[0].height) == (WIDTH, HEIGHT)


def test_a_size_that_is_not_stated_is_no_fault(tmp_path):
    write(tmp_path, "a.json", imageWidth=None, imageHeight=None)
    assert read_folder(tmp_path, settings()).faults == []
    write(tmp_path, "a.json", imageWidth=float(WIDTH), imageHeight=HEIGHT)
    assert read_folder(tmp_path, settings()).faults == []


@pytest.mark.parametrize("image_path", [
    "a.jpg", "./a.jpg", "sub/../a.jpg", "sub\\..\\a.jpg", "../x/a.jpg", "100%.jpg", "a%20b.jpg", "사진.jpg", "é.jpg",
])  # fmt: skip
def test_an_image_path_inside_the_folder_is_found(image_path, tmp_path):
    (tmp_path / "x" / "sub").mkdir(parents=True)
    write(tmp_path, "x/b.json", image=False, imagePath=image_path)
    name = image_path.replace("\\", "/").rpartition("/")[2]
    (tmp_path / "x" / name).write_bytes(encoded(picture()))
    annotations = read_folder(tmp_path, settings())
    assert annotations.faults == []
    assert annotations.images[0].image == f"x/{name}"


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_is_found_in_the_other_unicode_form(written, stored, tmp_path):
    name = unicodedata.normalize(stored, "é.jpg")
    write(tmp_path, "a.json", image=False, imagePath=unicodedata.normalize(written, "é.jpg"))
    (tmp_path / name).write_bytes(encoded(picture()))
    assert read_folder(tmp_path, settings()).images[0].image == name


def embed(root, name, image_format, **fields):
    content = encoded(picture(), image_format)
    write(root, name, shape(), image=False, imageData=base64.b64encode(content).decode(), **fields)
    return content


@pytest.mark.parametrize("image_path", ["a.json", "a.jpg", "", "gone/b.png"])
def test_an_embedded_image_is_kept_with_a_name_of_its_own(image_path, tmp_path):
    content = embed(tmp_path, "sub/a.json", "PNG", imagePath=image_path)
    annotations = read_folder(tmp_path, settings())
    assert annotations.faults == []
    image = annotations.images[0]
    assert (image.image, image.embedded, image.size_bytes) == ("images/sub/a.png", content, len(content))
    assert image.sha256 == image_facts(content, 10**6).sha256
    assert len(image.instances) == 1


def test_a_damaged_embedded_image_is_a_fault(tmp_path):
    write(tmp_path, "a.json", image=False, imageData=base64.b64encode(b"hello").decode())
    (fault,) = read_folder(tmp_path, settings()).faults
    assert (fault.kind, fault.reason[:35]) == ("broken_image", "imageData: it is not a readable JPE")


def test_an_embedded_image_does_not_clash_with_a_file_of_that_name(tmp_path):
    embed(tmp_path, "b.json", "JPEG", imagePath="b.json")
    write(tmp_path, "images/b.json", seed=1)
    annotations = read_folder(tmp_path, settings())
    assert (annotations.faults, len(annotations.images)) == ([], 2)


def test_images_come_in_the_order_of_their_paths_and_negatives_are_legal(tmp_path):
    for name in ("c", "a", "sub/b"):
        write(tmp_path, f"{name}.json", flags={"day": True, "wet": False})
    annotations = read_folder(tmp_path, settings())
    assert [image.image for image in annotations.images] == ["a.jpg", "c.jpg", "sub/b.jpg"]
    assert annotations.images[0].instances == ()
    assert annotations.images[0].flags == ("day",)
    assert (annotations.files, annotations.unlabelled_images) == (3, 0)


def test_images_without_json_are_counted_and_hidden_names_are_not(tmp_path):
    write(tmp_path, "a.json")
    for name in ("b.JPG", "c.png", ".d.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    write(tmp_path, ".git/a.json", shape("lorry"))
    (tmp_path / "._a.json").write_bytes(b"\0\5\x16\7")
    annotations = read_folder(tmp_path, settings())
    assert (annotations.files, annotations.unlabelled_images, annotations.faults) == (1, 2, [])


def test_an_image_that_a_json_file_names_in_any_way_is_not_without_one(tmp_path):
    """By a link, from another folder, beside a broken file, beside an embedded image of the same name."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    write(tmp_path, "labels/a.json", image=False, imagePath="../images/a.jpg")
    write(tmp_path, "labels/b.json", image=False, imagePath="link.jpg")
    for index, name in enumerate(("images/a.jpg", "images/b.jpg", "broken.jpg", "embedded.JPG", "alone.JPG")):
        (tmp_path / name).write_bytes(encoded(picture(index)))
    (tmp_path / "labels" / "link.jpg").symlink_to(tmp_path / "images" / "b.jpg")
    (tmp_path / "broken.json").write_text("{")
    embed(tmp_path, "embedded.json", "PNG", imagePath="C:\\raw\\embedded.JPG")
    annotations = read_folder(tmp_path, settings())
    assert sorted(image.image for image in annotations.images) == [
        "images/a.jpg", "images/b.jpg", "images/embedded.png",
    ]  # fmt: skip
    assert annotations.unlabelled_images == 1


def test_the_group_is_stated_or_found_in_the_path_or_the_image_itself(tmp_path):
    write(tmp_path, "lot1_a.json", seed=1)
    write(tmp_path, "lot2_b.json", seed=2, group="trip")
    write(tmp_path, "other.json", seed=3)
    data = settings(group_pattern="(lot[0-9]+)_")
    first, second, third = read_folder(tmp_path, data).images
    assert (first.group, second.group, third.group) == ("lot1", "trip", third.sha256)


def test_spaces_at_the_end_of_a_group_are_left_out(tmp_path):
    """Databases drop them: record would fail after it published the version."""
    write(tmp_path, "a b.json", seed=1)
    write(tmp_path, "a.json", seed=2, group="trip 1 \n")
    write(tmp_path, "c.json", seed=3, group=" ")
    groups = {image.file: image.group for image in read_folder(tmp_path, settings(group_pattern="^(..)")).images}
    assert groups == {"a b.json": "a", "a.json": "trip 1", "c.json": "c."}


@pytest.mark.parametrize("pattern", ["(", "lot"])
def test_a_group_pattern_needs_a_group(pattern):
    with raises(ValueError, "group_pattern"):
        settings(group_pattern=pattern)


def test_a_byte_order_mark_is_no_fault(tmp_path):
    write(tmp_path, "a.json")
    (tmp_path / "a.json").write_text(json.dumps(document(shape())), encoding="utf-8-sig")
    assert read_folder(tmp_path, settings()).faults == []


def test_a_folder_that_is_not_there_or_has_no_json_is_an_error(tmp_path):
    with raises(DataError, "JSON"):
        read_folder(tmp_path / "gone", settings())
    (tmp_path / "a.jpg").write_bytes(encoded(picture()))
    with raises(DataError, ".json"):
        read_folder(tmp_path, settings())


def test_several_processes_read_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_FEW_ITEMS", 4)
    monkeypatch.setattr(parallel, "_CHUNK", 3)
    for index in range(10):
        write(tmp_path, f"{index}.json", shape(points=[[index - 5, 3], [30, 3], [20, 20]]), seed=index)
    (tmp_path / "4.jpg").write_bytes(b"broken")
    assert read_folder(tmp_path, settings(jobs=2)) == read_folder(tmp_path, settings(jobs=1))
