"""The page of sightline dataset explore: everything that was counted is on it, and it loads nothing."""

import re

from sightline.cli.dataset.options import data_of
from sightline.data.tools.explore import explore
from sightline.report.pages.dataset_page import write_dataset_page
from tests.data.tools.folders import write_class_folders
from tests.labelled_folder import names, write_images

DATA, _ = data_of(None, ())


def page_of(source, tmp_path):
    write_dataset_page(tmp_path / "page.html", explore(source, DATA, classes_known=False))
    return (tmp_path / "page.html").read_text()


def test_objects_have_all_sections_and_samples(tmp_path):
    source = write_images(tmp_path / "in", names(8), labels=("cat", "<b>dog</b>"))
    text = page_of(source, tmp_path)
    assert set(re.findall(r'<section class="card" id="(\w+)"', text)) == {
        "classes", "images", "positions", "together", "duplicates", "samples",
    }  # fmt: skip
    assert "<b>dog</b>" not in text
    assert "&lt;b&gt;dog&lt;/b&gt;" in text
    assert len(re.findall(r'<img src="data:image/jpeg', text)) == 6 + 4
    assert len(re.findall(r'<svg class="chart"', text)) == 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)


def test_images_with_labels_have_no_sections_about_objects(tmp_path):
    source = write_class_folders(tmp_path / "in", {"train/good": 5, "val/good": 2, "train/crack": 3, "val/crack": 1})
    text = page_of(source, tmp_path)
    assert set(re.findall(r'<section class="card" id="(\w+)"', text)) == {"classes", "images", "duplicates", "samples"}
    assert "73 % of 11 images" in text  # the tile of train


def test_a_dataset_with_one_class_and_one_object_has_a_page(tmp_path):
    assert "No two images" in page_of(write_images(tmp_path / "in", names(1), labels=("cat",)), tmp_path)
