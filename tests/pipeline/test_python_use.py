"""docs/python.md, run from top to bottom; and what ``import sightline`` gives and costs."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.data.detections import Detections
from sightline.errors import DataError
from sightline.models.model_file import save_model
from sightline.registry.champions import ChampionPointer, write_champion
from sightline.storage import open_storage
from sightline.tasks.base import load_task
from sightline.tasks.classification.loss_settings import LabelSetHead
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.readers.plates import CLASSES
from tests import arrows, classified
from tests.golden import raises
from tests.squares import TINY_MODEL, draw, make_card

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch, sightline_home):
    """A folder with a model, an image and a champion of ``plates``."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    card = make_card(classes=CLASSES, category_ids=tuple(range(1, len(CLASSES) + 1)), reading="plates")
    save_model(tmp_path / "model.safetensors", build_detector(TINY_MODEL, len(CLASSES)), card)
    save_model(
        tmp_path / "keypoints.safetensors",
        load_task("keypoints").build_network(arrows.HEATMAP, 1),
        arrows.card_of(arrows.HEATMAP),
    )
    classifier = classified.NETWORKS["cnn"].model_copy(
        update={"label_sets": tuple(LabelSetHead(name=name, classes=tuple(classes), multiple=multiple)
                                    for name, (classes, multiple) in classified.SEVERAL.items())}
    )  # fmt: skip
    save_model(
        tmp_path / "classes.safetensors",
        load_task("classification").build_network(classifier, len(classified.class_names(classified.SEVERAL))),
        classified.make_card(classifier, classified.SEVERAL),
    )
    draw(0)[0].save(tmp_path / "plate.png")
    storage = open_storage((tmp_path / "bucket").as_uri())
    (sightline_home / "settings.yaml").write_text(f"storage: {{uri: '{storage.uri}'}}\n")
    data = (tmp_path / "model.safetensors").read_bytes()
    storage.write_bytes("m/model.safetensors", data)
    pointer = ChampionPointer(
        "EIR", hashlib.sha256(data).hexdigest(), storage.uri_of("m/model.safetensors"), "plates_train_v1", 0.5, "", ""
    )
    write_champion(storage, "plates", pointer, 0)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_the_examples_of_the_page_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 6
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["document"]["image"] == "plate.png"
    assert names["document"].keys() == {"image", "detections", "readings"}
    assert isinstance(names["detections"], Detections)
    printed = capsys.readouterr().out
    assert "shapes_train_v1" in printed
    said = {line.partition(" ")[0] for line in printed.splitlines()}
    assert said >= {*arrows.NAMES, *classified.class_names(classified.SEVERAL)}
    assert json.loads(printed[printed.index('{\n "image"') :]) == names["document"]


def test_paths_arrays_and_images_give_the_same(place):
    predictor = sightline.load_predictor(place / "model.safetensors", "cpu")
    image = Image.open(place / "plate.png")
    grey = image.convert("L")
    expected = predictor.predict("plate.png")
    assert len(expected)
    for source in (place / "plate.png", image, np.asarray(image), image.convert("RGBA"), np.asarray(image)[:, ::1]):
        found = predictor.predict(source)
        assert np.array_equal(found.boxes_xyxy, expected.boxes_xyxy)
        assert found.masks == expected.masks
    assert np.array_equal(predictor.predict(grey).scores, predictor.predict(np.asarray(grey)).scores)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_image_is_refused(place, array):
    predictor = sightline.load_predictor("model.safetensors", "cpu")
    with raises(DataError, "uint8", "RGB"):
        predictor.predict(array)


@pytest.mark.usefixtures("place")
def test_a_file_with_too_many_pixels_is_refused():
    with raises(DataError, "max_pixels", "4,000"):
        sightline.load_predictor("model.safetensors", "cpu").predict("plate.png", max_pixels=4_000)


def test_import_is_light_and_has_a_version():
    script = (
        "import sys, sightline; heavy = {'torch', 'numpy', 'PIL', 'pydantic'} & set(sys.modules); "
        "from sightline.version import __version__ as one; print(heavy or sightline.__version__ == one)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "True\n"
    assert {"Predictor", "__version__", "load_predictor"} <= set(dir(sightline))
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        sightline.Predicter  # noqa: B018


def test_a_file_is_fetched_to_a_folder_named_by_text_or_path(place):
    uri = (place / "model.safetensors").as_uri()
    for folder in ("fetched", place / "fetched too"):
        for name in ("champion:plates", uri, "model.safetensors", place / "model.safetensors"):
            found = sightline.find_model(name, folder)
            assert isinstance(found, Path)
            assert found.read_bytes() == (place / "model.safetensors").read_bytes()
        assert len(list(Path(folder).iterdir())) == 2
    for name in ("model.safetensors", place / "model.safetensors"):
        assert sightline.Predictor.load(name, "cpu").card.reading == "plates"


def test_a_document_names_the_image_by_text_or_path(place):
    predictor = sightline.load_predictor("model.safetensors", "cpu")
    detections = predictor.predict("plate.png")
    for image in ("plate.png", Path("plate.png")):
        document = sightline.prediction_document(detections, predictor.card, image)
        assert json.loads(json.dumps(document))["image"] == "plate.png"
