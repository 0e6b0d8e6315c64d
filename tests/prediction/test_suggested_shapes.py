"""How suspects look in labelme files, and what they are after they were accepted."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sightline.config.data import Data
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.rasterizer import encode_mask
from sightline.data.suggestions.decisions import decide_file
from sightline.data.suggestions.record import ACCEPT, SuggestionRecord, record_of, with_suggestions
from sightline.metrics.label_errors import SuggestedObject, Suspect
from sightline.prediction.suggested_shapes import suggestion_of
from sightline.prediction.worth import image_features, spread

NAMES = {1: "cat", 2: "dog"}
SIZE = (100, 80)


def shape(label, points, kind="polygon", group=None, **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}, **more}


SQUARE = [[10.0, 10.0], [40.0, 10.0], [40.0, 40.0], [10.0, 40.0]]


def accepted(folder, shapes, suspect, places):
    """The instances that record reads after a suggestion was accepted, and the suggested shapes."""
    folder.mkdir()
    Image.new("RGB", SIZE).save(folder / "a.png")
    document = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    document |= {"imageHeight": SIZE[1], "imageWidth": SIZE[0]}
    suggestion, drawn = suggestion_of(1, suspect, NAMES, document, places)
    with_suggestions(document, SuggestionRecord("a_ann_v1", "b" * 64, suggestions=[suggestion]), {1: drawn})
    document = json.loads(json.dumps(document))
    suggested = [one for one in document["shapes"] if one["label"].endswith("?")]
    document["flags"][ACCEPT] = True
    decided = decide_file(document, record_of(document, "a.json"), "a.json")
    assert [one.status for one in decided.decisions] == ["accepted"]
    (folder / "a.json").write_text(json.dumps(decided.document))
    keypoints = (
        {"names": ("nose", "left", "right")} if any(one["shape_type"] == "point" for one in shapes + drawn) else {}
    )
    annotations = read_folder(folder, Data(repository="-", classes=("cat", "dog"), keypoints=keypoints))
    assert annotations.faults == []
    return annotations.images[0].instances, suggested


def disc_mask():
    picture = Image.new("L", SIZE)
    ImageDraw.Draw(picture).ellipse((50, 20, 80, 60), fill=1)
    return np.asarray(picture)


def test_a_missing_object_has_the_outline_of_its_mask(tmp_path):
    mask = encode_mask(disc_mask())
    suspect = Suspect(1, "missing", 0.9, None, 2, None, SuggestedObject((50, 20, 81, 61), mask))
    instances, (suggested,) = accepted(tmp_path / "a", [shape("cat", SQUARE)], suspect, ())
    assert suggested["shape_type"] == "polygon"
    assert [one.label for one in instances] == ["cat", "dog"]
    assert instances[1].area == disc_mask().sum()


def test_a_missing_box_is_a_rectangle(tmp_path):
    suspect = Suspect(1, "missing", 0.9, None, 2, None, SuggestedObject((50.0, 20.0, 80.0, 60.0)))
    instances, (suggested,) = accepted(tmp_path / "a", [], suspect, ())
    assert suggested["shape_type"] == "rectangle"
    assert [(one.label, one.bbox) for one in instances] == [("dog", (50.0, 20.0, 30.0, 40.0))]


def test_another_class_keeps_all_parts_of_the_outline(tmp_path):
    parts = [shape("cat", SQUARE, group=3), shape("cat", [[50.0, 10.0], [70.0, 10.0], [60.0, 40.0]], group=3)]
    suspect = Suspect(1, "wrong class", 0.9, 1, 2, 1, SuggestedObject((9.0, 9.0, 70.0, 41.0)))
    instances, suggested = accepted(tmp_path / "a", parts, suspect, (0, 1))
    assert [one["points"] for one in suggested] == [part["points"] for part in parts]
    assert [(one.label, len(one.segmentation)) for one in instances] == [("dog", 2)]


@pytest.mark.parametrize(("kind", "wanted"), [("rectangle", "rectangle"), ("polygon", "polygon")])
def test_a_tighter_outline_has_the_kind_of_the_loose_one(tmp_path, kind, wanted):
    points = [[40.0, 10.0], [95.0, 75.0]] if kind == "rectangle" else [[40, 10], [95, 10], [95, 75], [40, 75]]
    found = SuggestedObject((50.0, 20.0, 81.0, 61.0), encode_mask(disc_mask()))
    suspect = Suspect(1, "loose outline", 0.9, 1, 1, 1, found)
    instances, (suggested,) = accepted(tmp_path / "a", [shape("cat", points, kind)], suspect, (0,))
    assert suggested["shape_type"] == wanted
    assert [one.bbox for one in instances] == [(50.0, 20.0, 31.0, 41.0)]


@pytest.mark.parametrize("kind", ["duplicate", "spurious"])
def test_an_object_to_remove(tmp_path, kind):
    shapes = [shape("cat", SQUARE), shape("dog", [[60.0, 10.0], [90.0, 10.0], [90.0, 40.0]])]
    instances, (suggested,) = accepted(tmp_path / "a", shapes, Suspect(1, kind, 0.9, 1, None, 1), (0,))
    assert suggested["label"] == "delete?"
    assert [one.label for one in instances] == ["dog"]


def face(group):
    points = {"nose": (25, 25), "left": (35, 18), "right": (15, 18)}
    return [
        shape("cat", [[10.0, 10.0], [40.0, 40.0]], "rectangle", group),
        *(shape(name, [[float(x), float(y)]], "point", group) for name, (x, y) in points.items()),
    ]


@pytest.mark.parametrize("group", [4, None])
def test_swapped_keypoints_take_the_places_of_each_other(tmp_path, group):
    found = SuggestedObject((10, 10, 40, 40), None, (("left", 15.5, 18.0), ("right", 35.0, 18.5)))
    suspect = Suspect(1, "swapped keypoints", 0.9, 1, 1, 1, found)
    (instance,), suggested = accepted(tmp_path / "a", face(group), suspect, (0,))
    assert [one["label"] for one in suggested] == ["left?", "right?"]
    assert instance.keypoints == ((25.0, 25.0, 2), (15.5, 18.0, 2), (35.0, 18.5, 2))


@pytest.mark.parametrize("group", [4, None])
def test_a_missing_object_brings_its_keypoints(tmp_path, group):
    places = (("nose", 75.0, 30.0), ("left", 85.0, 25.0))
    suspect = Suspect(1, "missing", 0.9, None, 2, None, SuggestedObject((60, 10, 95, 50), None, places))
    instances, _ = accepted(tmp_path / "a", face(group), suspect, ())
    assert [one.label for one in instances] == ["cat", "dog"]
    assert instances[0].keypoints == ((25.0, 25.0, 2), (35.0, 18.0, 2), (15.0, 18.0, 2))
    assert instances[1].keypoints == ((75.0, 30.0, 2), (85.0, 25.0, 2), (0.0, 0.0, 0))


def test_images_to_label_are_unsure_and_differ():
    rng = np.random.default_rng(0)
    kinds = [rng.integers(0, 255, (60, 80, 3), dtype=np.uint8) for _ in range(4)]
    pictures = [
        Image.fromarray(np.clip(kinds[index % 4] + rng.integers(0, 3), 0, 255).astype(np.uint8)) for index in range(20)
    ]
    features = np.array([image_features(one) for one in pictures])
    chosen = spread(features, np.linspace(0.5, 0.9, 20), 4)
    assert {index % 4 for index in chosen} == {0, 1, 2, 3}  # one of each kind, not four of the least sure
    assert chosen[0] == 19
    assert spread(features, np.zeros(20), 50) == list(dict.fromkeys(spread(features, np.zeros(20), 50)))
    assert len(spread(features, np.zeros(20), 50)) == 20
    assert spread(np.zeros((0, 192)), np.zeros(0), 3) == []
    assert np.isfinite(image_features(Image.new("RGB", (5, 5)))).all()
