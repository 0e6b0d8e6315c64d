"""Crops: always the target size, never larger than it, and the object in its own aspect ratio."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.cli.dataset.options import data_of
from sightline.data.tools.crop import CropRule, crop_annotated, crop_detected, cropped
from sightline.errors import DataError
from tests.data.tools.folders import tree, write_class_folders
from tests.data.tools.test_convert import named_coco, square, write_coco
from tests.labelled_folder import names, write_images

DATA, _ = data_of(None, ())


def extent(image, colour):
    """Left, top, right and bottom of the pixels near a colour."""
    near = (np.abs(np.asarray(image).astype(int) - colour) < 60).all(axis=2)
    ys, xs = np.nonzero(near)
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


@settings(max_examples=150)
@given(
    st.floats(0, 90), st.floats(0, 50), st.floats(1, 100), st.floats(1, 60),
    st.integers(1, 64), st.integers(1, 64), st.floats(0.05, 1), st.sampled_from(["context", "black"]),
)  # fmt: skip
def test_a_crop_has_the_target_size_and_the_object_fills_no_more_than_its_share(
    left, top, width, height, target_width, target_height, scale, padding
):
    box = (left, top, min(left + width, 100.0), min(top + height, 60.0))
    image = Image.new("RGB", (100, 60), (255, 255, 255))
    crop = cropped(image, box, CropRule(target_width, target_height, padding, scale))
    assert crop.size == (target_width, target_height)
    if padding == "black":
        x1, y1, x2, y2 = extent(crop, (255, 255, 255))
        assert x2 - x1 <= max(1, round(target_width * scale + 0.5))
        assert y2 - y1 <= max(1, round(target_height * scale + 0.5))


def test_the_case_that_the_face_tools_got_wrong(tmp_path):
    """A box of 2:1 at 224 x 0.8 became 358 x 179; it must be 179 x 90 in 224 x 224."""
    image = Image.new("RGB", (400, 400), (0, 0, 255))
    image.paste((255, 0, 0), (100, 150, 300, 250))
    for padding, around in (("context", (0, 0, 255)), ("black", (0, 0, 0))):
        crop = cropped(image, (100, 150, 300, 250), CropRule(224, 224, padding, 0.8))
        assert crop.size == (224, 224)
        x1, y1, x2, y2 = extent(crop, (255, 0, 0))
        assert (x2 - x1, y2 - y1) == pytest.approx((179, 90), abs=2)
        assert (x1 + x2) / 2 == pytest.approx(112, abs=1)
        assert (y1 + y2) / 2 == pytest.approx(112, abs=1)
        assert crop.getpixel((112, 10)) == around


def test_context_beyond_the_image_is_black():
    image = Image.new("RGB", (100, 100), (255, 255, 255))
    crop = cropped(image, (0, 0, 50, 50), CropRule(100, 100, "context", 0.5))
    assert crop.getpixel((10, 50)) == (0, 0, 0)
    assert crop.getpixel((50, 10)) == (0, 0, 0)
    assert crop.getpixel((60, 60)) == (255, 255, 255)
    assert crop.getpixel((95, 95)) == (255, 255, 255)


def test_objects_go_to_the_folders_of_their_classes(tmp_path):
    source = write_images(tmp_path / "in", names(3))
    before = tree(source)
    result = crop_annotated(source, tmp_path / "out", CropRule(32, 16), DATA, classes_known=False)
    assert result.crops == {"cat": 4, "dog": 1, "bird": 1}
    assert result.failures == []
    written = tree(tmp_path / "out")
    assert len(written) == 6
    assert {name.split("/")[0] for name in written} == {"cat", "dog", "bird"}
    for name in written:
        with Image.open(tmp_path / "out" / name) as crop:
            assert crop.size == (32, 16)
    assert tree(source) == before


def test_broken_images_are_listed_and_the_others_cropped(tmp_path):
    source = write_images(tmp_path / "in", names(3))
    (source / "001.jpg").write_bytes((source / "001.jpg").read_bytes()[:200])
    result = crop_annotated(source, tmp_path / "out", CropRule(32, 32), DATA, classes_known=False)
    assert sum(result.crops.values()) == 4
    assert len(result.failures) == 1
    assert "001" in result.failures[0]


def test_coco_is_cropped_by_its_boxes(tmp_path):
    source = write_coco(tmp_path / "in", [square(5, 5, 20)], [square(30, 10, 9)])
    result = crop_annotated(source, tmp_path / "out", CropRule(20, 20, "black"), DATA, classes_known=False)
    assert result.crops == {"dog": 1, "cat": 1}
    with (
        Image.open(source / "images" / "0.png") as image,
        Image.open(next((tmp_path / "out" / "dog").iterdir())) as crop,
    ):
        assert np.array_equal(np.asarray(crop), np.asarray(image)[5:25, 5:25])


def test_a_detector_gives_boxes_and_images_without_a_detection_are_listed(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for number, colour in enumerate(("white", "black")):
        Image.new("RGB", (50, 40), colour).save(source / f"{number}.png")
    (source / "2.png").write_bytes(b"broken")

    def detect(image):
        return (
            [("face", (-5.0, 2.0, 20.0, 80.0)), ("face", (60.0, 2.0, 70.0, 9.0))] if image.getpixel((0, 0))[0] else []
        )

    result = crop_detected(source, tmp_path / "out", CropRule(16, 16), detect, max_pixels=10**6)
    assert result.crops == {"face": 1}
    assert [failure.split(":")[0] for failure in result.failures] == ["0.png", "1.png", "2.png"]
    assert len(tree(tmp_path / "out")) == 1


def test_a_dry_run_crops_without_writing(tmp_path):
    source = write_images(tmp_path / "in", names(2))
    result = crop_annotated(source, tmp_path / "out", CropRule(8, 8), DATA, classes_known=False, dry_run=True)
    assert sum(result.crops.values()) == 4
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rule", [(0, 5), (5, 20_000), (5, 5, "black", 0), (5, 5, "black", 1.1)])
def test_invalid_rules_are_refused(rule):
    with pytest.raises(DataError):
        CropRule(*rule)


def test_a_taken_output_and_an_empty_source_are_refused(tmp_path):
    source = write_images(tmp_path / "in", names(1))
    with pytest.raises(DataError, match="already exists"):
        crop_annotated(source, source, CropRule(8, 8), DATA, classes_known=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        crop_annotated(tmp_path / "empty", tmp_path / "out", CropRule(8, 8), DATA, classes_known=False)
    with pytest.raises(DataError, match="no images"):
        crop_detected(tmp_path / "empty", tmp_path / "out", CropRule(8, 8), lambda _: [], max_pixels=10**6)


def test_labels_of_images_have_no_object_to_crop(tmp_path):
    source = write_class_folders(tmp_path / "in", {"good": 2, "crack": 1})
    with pytest.raises(DataError, match="--detector"):
        crop_annotated(source, tmp_path / "out", CropRule(16, 16), DATA, classes_known=False)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "c:", "a\\b", "x" * 300])
def test_no_class_leads_out_of_the_new_folder(tmp_path, name):
    source = named_coco(tmp_path / "in", "a.png", "b.png", classes=(name, "cat"))
    with pytest.raises(DataError, match="folder"):
        crop_annotated(source, tmp_path / "out", CropRule(16, 16), DATA, classes_known=False)
    with pytest.raises(DataError, match="folder"):
        crop_detected(
            source, tmp_path / "out", CropRule(16, 16), lambda _: [(name, (0, 0, 9, 9))], max_pixels=DATA.max_pixels
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_no_crop_replaces_another(tmp_path):
    long = "d" * 130 + "/" + "n" * 120 + ".png"
    source = named_coco(tmp_path / "in", "x/y.png", "x_y.png", "X_Y.png", long, classes=("cat",))
    (source / "images" / "X_Y.png").rename(source / "images" / "x" / "Z.png")
    text = (source / "annotations.json").read_text().replace("X_Y.png", "x/Z.png")
    (source / "annotations.json").write_text(text)
    result = crop_annotated(source, tmp_path / "out", CropRule(16, 16), DATA, classes_known=False)
    assert (result.crops["cat"], result.failures) == (4, [])
    assert len(tree(tmp_path / "out" / "cat")) == 4


def test_objects_that_the_policies_leave_out_are_listed(tmp_path):
    source = named_coco(tmp_path / "in", "a.png", "b.png")
    document = json.loads((source / "annotations.json").read_text())
    document["annotations"].append({"id": 2, "image_id": 1, "category_id": 1, "bbox": [5.1, 5.1, 0.2, 0.2]})
    (source / "annotations.json").write_text(json.dumps(document))
    result = crop_annotated(source, tmp_path / "out", CropRule(16, 16), DATA, classes_known=False)
    assert sum(result.crops.values()) == 2
    (failure,) = result.failures
    assert "annotation 2" in failure
