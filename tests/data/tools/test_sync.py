"""Synchronizing a COCO file with the images present."""

import json
import unicodedata

import pytest

from sightline.data.tools.sync import sync
from sightline.errors import DataError
from tests.data.tools.test_split import write_coco
from tests.labelled_folder import write_picture


def test_only_present_images_remain(tmp_path):
    source = write_coco(tmp_path / "in")
    (source / "images" / "사진 3.jpg").unlink()
    write_picture(source / "images" / "new.jpg", seed="new")
    before = json.loads((source / "instances.json").read_text())
    result = sync(source / "instances.json", source / "images", tmp_path / "out.json")
    assert (result.images, result.annotations, result.removed_annotations) == (9, 9, 1)
    assert result.removed == ("사진 3.jpg",)
    assert result.unlisted == ("new.jpg",)
    after = json.loads((tmp_path / "out.json").read_text())
    assert after["images"] == [image for image in before["images"] if image["id"] != 3]
    assert after["annotations"] == [one for one in before["annotations"] if one["image_id"] != 3]
    assert after["categories"] == before["categories"]
    assert json.loads((source / "instances.json").read_text()) == before


def test_a_dry_run_and_a_taken_output_write_nothing(tmp_path):
    source = write_coco(tmp_path / "in")
    sync(source / "instances.json", source / "images", tmp_path / "out.json", dry_run=True)
    assert not (tmp_path / "out.json").exists()
    (tmp_path / "out.json").write_text("mine")
    with pytest.raises(DataError, match="already exists"):
        sync(source / "instances.json", source / "images", tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == "mine"


def test_a_folder_without_any_of_the_images_is_refused(tmp_path):
    source = write_coco(tmp_path / "in")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none of the 10 images"):
        sync(source / "instances.json", tmp_path / "empty", tmp_path / "out.json")
    with pytest.raises(DataError, match="not a folder"):
        sync(source / "instances.json", tmp_path / "missing", tmp_path / "out.json")


@pytest.mark.parametrize("text", ["{", "[]", '{"images": [], "annotations": []}', '{"images": 1}'])
def test_other_files_are_not_coco(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError):
        sync(tmp_path / "a.json", tmp_path, tmp_path / "out.json")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_names_of_macos_and_windows_are_found(tmp_path, form, slash):
    name = "강아지 é.jpg"
    (tmp_path / "images").mkdir()
    write_picture(tmp_path / "images" / unicodedata.normalize(form, name), seed="a")
    other = unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], f"images{slash}{name}")
    document = {"images": [{"id": 1.0, "file_name": other}], "annotations": [], "categories": []}
    (tmp_path / "coco.json").write_text(json.dumps(document))
    result = sync(tmp_path / "coco.json", tmp_path, tmp_path / "out.json")
    assert (result.images, result.removed, result.unlisted) == (1, (), ())
