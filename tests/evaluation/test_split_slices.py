"""The slices of a step: they are on its page, and what cannot be used for them costs nothing."""

import numpy as np

from sightline.config.decode import decode
from sightline.evaluation.split_slices import SplitSlices, slices_of_split
from sightline.metrics.statistic import Ratio
from sightline.report.sections import TableSection
from sightline.tasks.evaluators import Measurement
from tests.evaluation.test_slices import CSV, listed, picture

FIRST, LAST = (TableSection(id=name, title=name) for name in ("classes", "last"))


def config(folder, *more):
    places = [f"data.repository={folder}", f"storage.uri={folder}/b", f"database.url=sqlite:///{folder}/d"]
    return decode("classification", [*places, f"work.dir={folder}/work", "data.classes=[bad, good]", *more])


def split(folder, number=30):
    """Thirty images, of which the first dozen are dark."""
    images = [listed(one) for one in range(1, number + 1)]
    for one, image in enumerate(images):
        path = folder / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(one, level=30 if one < 12 else 150).save(path)
    return {"images": images, "annotations": [], "categories": [{"id": 1, "name": "bad"}, {"id": 2, "name": "good"}]}


def measured(right):
    statistics = {"f1_macro": Ratio(right * 1.0, np.ones(len(right)))}
    return Measurement({"accuracy": 0.5}, [FIRST, LAST], statistics=statistics)


def test_the_first_metric_with_values_per_image_is_shown_on_all_slices(tmp_path):
    (tmp_path / "weather.csv").write_text(CSV)
    slices = slices_of_split(config(tmp_path, "evaluate.attributes=weather.csv"), split(tmp_path), tmp_path)
    assert {"brightness: dark", "weather: rain"} <= slices.images.keys()
    right = np.arange(30) >= 9
    first, section, last = slices.added_to(measured(right)).sections
    assert (first, last) == (FIRST, LAST)
    assert (section.value_name, section.id) == ("f1_macro", "slices")
    assert [(row.name, row.tone, row.count) for row in section.rows] == [("brightness: dark", "bad", 12)]
    assert any("weather.csv" in note for note in section.notes)
    assert any("weather: rain (2)" in note for note in section.notes)


def test_attributes_that_are_gone_are_stated_on_the_page(tmp_path):
    slices = slices_of_split(config(tmp_path, "evaluate.attributes=gone.csv"), split(tmp_path), tmp_path)
    _, section, _ = slices.added_to(measured(np.ones(30))).sections
    assert any("gone.csv" in note for note in section.notes)
    assert section.rows[0].name == "brightness: dark"


def test_without_values_per_image_there_is_no_section():
    plain = Measurement({"accuracy": 0.5}, [FIRST])
    slices = SplitSlices({"flag: night": np.ones(3, bool)}, [""] * 3, ["accuracy"])
    assert slices.added_to(plain) is plain
    nothing = SplitSlices({}, [], ["f1_macro"])
    assert nothing.added_to(measured(np.zeros(0))).sections == [FIRST, LAST]
