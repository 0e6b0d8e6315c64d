"""A planted weak slice and a planted confused pair are found, and named on the page."""

import json

import numpy as np
import pytest
from PIL import Image

from sightline.evaluation.image_attributes import read_attributes
from sightline.evaluation.slices import image_slices
from sightline.evaluation.split_slices import SplitSlices
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.summary import SUMMARY
from sightline.tasks.evaluators import open_evaluator
from tests.classified import ONE_SET, write_coco
from tests.report.conftest import Page
from tests.tasks.test_classification_evaluator import evaluator, predict
from tests.tasks.test_score_sections import CLASSES, world

IMAGES = 240
DARK = range(1, 37)


def measured(folder):
    """A classifier that is wrong on one of ten images, on half of the dark ones, and takes 18 red images for blue."""
    truth = write_coco(folder, IMAGES)
    for image in truth["images"]:
        if image["id"] in DARK:
            path = folder / image["file_name"]
            pixels = np.asarray(Image.open(path)) // 4
            Image.fromarray(pixels).save(path)
    red = [image["id"] for image in truth["images"] if image["labels"] == [1] and image["id"] not in DARK]
    wrong = {*range(40, IMAGES, 10), *(number for number in DARK if number % 2), *red[:18]}
    rows = "".join(f"{number}.png,{'fog' if number in DARK else 'clear'}\n" for number in range(IMAGES))
    (folder / "weather.csv").write_text("image,weather\n" + rows)
    return truth, evaluator(ONE_SET).measure(truth, predict(truth, wrong={(one, "class") for one in wrong}), 0.5)


def test_both_are_on_the_page(tmp_path):
    truth, found = measured(tmp_path)
    attributes = read_attributes("weather.csv", truth["images"], tmp_path, tmp_path)
    images = image_slices(truth, tmp_path, max_pixels=10**6, attributes=attributes)
    assert (np.flatnonzero(images["brightness: dark"]) + 1).tolist() == [*DARK]
    slices = SplitSlices(images, [""] * IMAGES, ["accuracy"])
    document = slices.added_to(found).document()
    section = next(one for one in document["sections"] if one["id"] == "slices")
    assert {"brightness: dark", "weather: fog"} <= {row["name"] for row in section["rows"] if row["tone"] == "bad"}
    assert section["rows"][0]["name"] == "brightness: dark"
    summary = {"format": SUMMARY.format, "split": "val", "models": {"best": document}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    write_evaluation_report(tmp_path / "page.html", tmp_path)
    page = Page((tmp_path / "page.html").read_text())
    page.has("Weak: brightness: dark", "brightness: dark weak 36")
    matrix = next(one for one in document["sections"] if one["id"] == "confusion")["matrix"]
    page.has(f"Most frequent mistakes truth predicted number share of the row red blue {matrix[0][1]} ")


def test_a_weak_slice_of_a_detector_is_named(tmp_path):
    """At night every second object is missed, and only there."""
    truth, found = world()
    for image, prediction in zip(truth["images"], found, strict=True):
        if image["id"] <= 14:
            image["flags"] = ["night"]
            if image["id"] % 2:
                prediction.scores[:2] = 0.0  # below the false detections
    measured = open_evaluator("object_detection", "none", CLASSES).measure(truth, found, 0.5)
    images = image_slices(truth, tmp_path, max_pixels=10**6)
    section = SplitSlices(images, [""] * len(found), ["box_AP"]).added_to(measured).sections[1]
    assert section.value_name == "box_AP"
    assert section.verdict == "Weak: flag: night."
    [night] = section.rows
    assert (night.name, night.count) == ("flag: night", 14)
    at_night = {**truth, "images": truth["images"][:14]}
    at_night["annotations"] = [one for one in truth["annotations"] if one["image_id"] <= 14]
    alone = open_evaluator("object_detection", "none", CLASSES).measure(at_night, found[:14], 0.5)
    assert night.value == pytest.approx(alone.metrics["box_AP"], abs=1e-12)


def test_the_weak_class_of_a_detector_is_the_one_that_is_found_badly(tmp_path):
    """Most images show both classes, so the slices of the two are almost the same images."""
    truth, found = world()
    absent = {(1, 1), (2, 1), (39, 2), (40, 2)}
    truth["annotations"] = [one for one in truth["annotations"] if (one["image_id"], one["category_id"]) not in absent]
    for prediction in found[::2]:
        prediction.scores[1] = 0.0  # the crack
    measured = open_evaluator("object_detection", "none", CLASSES).measure(truth, found, 0.5)
    images = image_slices(truth, tmp_path, max_pixels=10**6)
    described = SplitSlices(images, [""] * len(found), ["box_AP"]).added_to(measured)
    (section,) = (one for one in described.sections if one.id == "slices")
    rows = {row.name: row for row in section.rows if row.name.startswith("class: ")}
    assert section.verdict == "Weak: class: crack."
    (table,) = (one.rows for one in measured.sections if one.id == "classes")
    for name in ("bolt", "crack"):
        assert rows[f"class: {name}"].value == pytest.approx(table[name]["box_AP"])
    assert rows["class: crack"].high < measured.metrics["box_AP"] < rows["class: bolt"].low
