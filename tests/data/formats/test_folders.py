"""Class folders: layouts, given splits, and every fault with its folder."""

import pytest

from sightline.data.formats.folders import read_folder
from sightline.errors import DataError
from tests.data.formats.generated import labels, objects, places, write_image


def write(root, *paths):
    for seed, path in enumerate(paths):
        write_image(root / path, seed)


def read(root, **fields):
    return {image.image: (image.labels, image.split) for image in read_folder(root, labels(**fields)).images}


@pytest.mark.parametrize(
    ("above", "split"),
    [
        ("", None),
        ("train/", "train"),
        ("valid/", "val"),
        ("Validation/", "val"),
        ("TEST/", "test"),
        ("v2/Training/", "train"),
        ("v2/testing/lot 3/", "test"),
        ("lot 3/", None),
    ],
)
def test_the_class_is_the_folder_and_one_above_may_be_the_split(above, split, tmp_path):
    write(tmp_path, f"{above}good/a.jpg", f"{above}crack/b.png", f"{above}crack/deeper/c.jpg")
    annotations = read_folder(tmp_path, labels())
    assert annotations.faults == []
    assert [(image.image, image.labels, image.split) for image in annotations.images] == [
        (f"{above}crack/b.png", ("crack",), split),
        (f"{above}crack/deeper/c.jpg", ("crack",), split),
        (f"{above}good/a.jpg", ("good",), split),
    ]
    assert annotations.label_sets == {"class": {"crack": 2, "good": 1}}
    assert annotations.images[0].file == f"{above}crack/b.png"


def test_without_known_classes_the_folders_below_the_split_are_the_classes(tmp_path):
    write(tmp_path, "v1/train/good/a.jpg", "v1/train/crack/lot/b.jpg", "v1/val/crack/c.jpg", "v1/val/good/d.jpg")
    found = read_folder(tmp_path, objects(), classes_known=False)
    assert (found.faults, found.label_sets, found.files) == ([], {"class": {"crack": 2, "good": 2}}, 0)
    assert len(found.images) == 4


def test_a_class_misspelt_in_one_split_is_a_fault_of_that_folder(tmp_path):
    folders = ("train/good", "train/crack", "val/good", "val/crack")
    write(tmp_path, *(f"{folder}/{name}.jpg" for folder in folders for name in "ab"))
    (tmp_path / "val/crack").rename(tmp_path / "val/crakc")
    annotations = read_folder(tmp_path, labels())
    (fault,) = annotations.faults
    assert (fault.kind, fault.file, fault.label) == ("unknown_label", "val/crakc", "crakc")
    assert "did you mean 'crack'" in fault.reason
    assert "2 images" in fault.reason
    assert {image.image for image in annotations.images if image.split == "val"} == {"val/good/a.jpg", "val/good/b.jpg"}
    (guessed,) = read_folder(tmp_path, objects(), classes_known=False).faults
    assert (guessed.kind, guessed.file) == ("unknown_label", "val/crakc")
    assert read_folder(tmp_path, labels(faults={"unknown_label": "drop"})).dropped == {"unknown_label": 2}
    assert read_folder(tmp_path, labels(aliases={"crakc": "crack"})).faults == []


def test_a_class_that_a_split_lacks_without_a_similar_one_is_no_fault(tmp_path):
    write(tmp_path, "train/good/a.jpg", "train/crack/b.jpg", "val/good/c.jpg", "val/bulge/d.jpg")
    assert read_folder(tmp_path, objects(), classes_known=False).faults == []


@pytest.mark.parametrize("known", [True, False])
def test_an_empty_class_folder_is_a_fault(known, tmp_path):
    write(tmp_path, "train/good/a.jpg", "train/crack/b.jpg", "val/good/c.jpg")
    (tmp_path / "val/crack").mkdir()
    (tmp_path / ".cache").mkdir()
    annotations = read_folder(tmp_path, labels() if known else objects(), classes_known=known)
    assert places(annotations) == [("missing_image", "val/crack", "")]


@pytest.mark.parametrize("known", [True, False])
def test_one_class_only_is_a_fault(known, tmp_path):
    write(tmp_path, "good/a.jpg", "good/b.jpg")
    annotations = read_folder(tmp_path, labels() if known else objects(), classes_known=known)
    assert places(annotations) == [("missing_label", "good", "")]


def test_spellings_of_one_class_are_faults_if_the_classes_are_not_known(tmp_path):
    write(tmp_path, "train/good/a.jpg", "train/crack/b.jpg", "val/good/c.jpg", "val/Good/d.jpg", "val/crack/e.jpg")
    assert places(read_folder(tmp_path, objects(), classes_known=False)) == [("unknown_label", "val/Good", "")]


def test_images_in_no_class_folder_and_broken_images(tmp_path):
    write(tmp_path, "good/a.jpg", "crack/b.jpg", "top.jpg", "train/c.jpg")
    (tmp_path / "good/bad.jpg").write_bytes(b"no image")
    annotations = read_folder(tmp_path, labels())
    assert sorted(places(annotations)) == [
        ("broken_image", "good/bad.jpg", ""), ("missing_label", ".", ""), ("missing_label", "train", ""),
    ]  # fmt: skip
    dropped = read_folder(tmp_path, labels(faults={"missing_label": "drop", "broken_image": "drop"}))
    assert dropped.dropped == {"missing_label": 2, "broken_image": 1}
    assert dropped.left_out == {"good": {"broken_image": 1}}


def test_ignored_folders_are_left_out_on_purpose(tmp_path):
    write(tmp_path, "good/a.jpg", "crack/b.jpg", "unsure/c.jpg")
    annotations = read_folder(tmp_path, labels(ignored_labels=("unsure",)))
    assert (annotations.faults, annotations.ignored, len(annotations.images)) == ([], 1, 2)


def test_groups_come_from_the_path(tmp_path):
    write(tmp_path, "good/lot1_a.jpg", "crack/lot2_b.jpg")
    images = read_folder(tmp_path, labels(group_pattern="(lot[0-9]+)_")).images
    assert [image.group for image in images] == ["lot2", "lot1"]


@pytest.mark.parametrize("data", [objects(), labels(label_sets={"a": ["x", "y"], "b": ["z", "w"]})])
def test_other_tasks_and_several_label_sets_are_refused(data, tmp_path):
    write(tmp_path, "good/a.jpg")
    with pytest.raises(DataError):
        read_folder(tmp_path, data)


def test_images_without_any_folder_are_refused(tmp_path):
    write(tmp_path, "a.jpg")
    with pytest.raises(DataError, match="class folders"):
        read_folder(tmp_path, labels())
