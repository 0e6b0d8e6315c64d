"""Exported files, used without PyTorch, predict what the model file predicts."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from sightline.cli.model import command
from sightline.data.detections import Detections
from sightline.data.rasterizer import encode_mask
from sightline.errors import ConfigurationError, ModelFileError
from sightline.models.model_file import save_model
from sightline.prediction import exporting
from sightline.prediction.exported import ExportedModel
from sightline.tasks.base import load_predictor
from sightline.tasks.detection.parity import compare
from tests.golden import raises
from tests.squares import CLASSES, draw, make_card
from tests.tasks.test_detector_graphs import NETWORKS, build

THRESHOLD = {"score_threshold": 0.3}


def write_model(folder, name, **changes):
    task, network = build(name, **changes)
    card = make_card(NETWORKS[name][1].model_copy(update=THRESHOLD | {"max_detections": 30} | changes), task=task)
    save_model(folder / "model.safetensors", network, card)
    return folder / "model.safetensors"


def export(model, out, *arguments):
    command_line = ["export", str(model), "-o", str(out), *map(str, arguments)]
    return CliRunner().invoke(command, command_line, catch_exceptions=False).output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    (folder / "said").write_text(export(write_model(folder, "mask_rcnn"), folder / "model.onnx"))
    return folder


def same(one, other):
    parity = compare([(one, other, 1.0)])
    assert parity.detections > 5
    assert parity.holds, parity.line()


def test_the_command_says_what_it_wrote_and_compared(folder):
    first, second = (folder / "said").read_text().splitlines()
    assert "model.onnx" in first
    assert "any size" in first
    assert ", 0 unmatched" in second
    assert "1 image, 0 detections" not in second
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "model.safetensors", "said"]


@pytest.mark.parametrize("size", [(80, 60), (64, 64), (300, 3), (9, 200)])
def test_the_onnx_file_predicts_what_the_model_predicts(folder, size):
    pixels = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    found = ExportedModel.load(folder / "model.onnx").predict(pixels, image_id=7)
    assert found.image_id == 7
    assert found.masks[0]["size"] == [size[1], size[0]]
    same(load_predictor(folder / "model.safetensors", "cpu").predict(pixels), found)


def test_a_batch_of_equal_images_is_predicted_as_one_by_one(folder):
    model = ExportedModel.load(folder / "model.onnx")
    images = [draw(index)[0] for index in range(3)]
    together = model.predict_batch(images, [4, 5, 6])
    assert [one.image_id for one in together] == [4, 5, 6]
    for image, found in zip(images, together, strict=True):
        same(model.predict(image), found)


def test_the_file_holds_classes_preprocessing_and_card(folder):
    header = ExportedModel.load(folder / "model.onnx").header
    assert header.classes == CLASSES
    assert (header.category_ids, header.image_size, header.canvas) == ((1, 2), 64, None)
    assert header.card["training_tag"] == "shapes_train_v1"
    assert ExportedModel.load(folder / "model.onnx").class_names == {1: "square", 2: "disc"}


def test_it_is_used_without_torch(folder):
    draw(0)[0].save(folder.parent / "image.png")
    script = (
        "import sys\nfor name in ('torch', 'torchvision', 'timm', 'safetensors', 'onnx'): sys.modules[name] = None\n"
        f"import sightline\nmodel = sightline.ExportedModel.load({str(folder / 'model.onnx')!r})\n"
        f"found = model.predict({str(folder.parent / 'image.png')!r})\n"
        "print(len(found), len(found.masks))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, masks = done.stdout.split()
    assert int(count) == int(masks) > 5


def test_files_of_others_are_refused(folder, tmp_path):
    foreign = onnx.load(folder / "model.onnx")
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    (tmp_path / "damaged.onnx").write_bytes((folder / "model.onnx").read_bytes()[:1000])
    (tmp_path / "program.pt2").write_bytes(b"PK")
    for name in ("foreign.onnx", "program.pt2", "missing.onnx"):
        with raises(ModelFileError, name):
            ExportedModel.load(tmp_path / name)
    with pytest.raises(ModelFileError, match=r"damaged\.onnx"):
        ExportedModel.load(tmp_path / "damaged.onnx")


def test_a_header_of_a_later_release_names_the_remedy(folder, tmp_path):
    later = onnx.load(folder / "model.onnx")
    (entry,) = (prop for prop in later.metadata_props if prop.key == "sightline")
    entry.value = json.dumps(json.loads(entry.value) | {"format": 99})
    onnx.save(later, tmp_path / "later.onnx")
    with raises(ModelFileError, "later.onnx", "99"):
        ExportedModel.load(tmp_path / "later.onnx")


def test_a_name_of_the_other_format_is_refused(tmp_path):
    with raises(ConfigurationError, "model.pt2", ".onnx"):
        export("model.safetensors", tmp_path / "model.pt2")


@pytest.mark.slow
def test_the_command_writes_a_program(tmp_path):
    import torch

    said = export(write_model(tmp_path, "mask_rcnn"), tmp_path / "model.pt2", "--format", "torch_export")
    assert ", 0 unmatched" in said
    extra = {"sightline.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra).module()
    assert json.loads(extra["sightline.json"])["classes"] == list(CLASSES)
    images = torch.zeros(3, 3, 32, 96, dtype=torch.uint8)
    assert program(images, torch.tensor([[32, 96]] * 3))[0].shape == (3, 30, 4)


@pytest.mark.slow
def test_a_file_with_other_predictions_is_not_kept(tmp_path, monkeypatch):
    """The comparison is not a formality: the written file is that of another network here."""
    model = write_model(tmp_path, "fcos")
    _, other = build("fcos")
    other.head.regression_head.bbox_reg.bias.data += 0.5
    graph = exporting.export_graph("object_detection", other, "torch_export")
    monkeypatch.setattr(exporting, "export_graph", lambda *_: graph)
    with pytest.raises(ModelFileError) as caught:
        export(model, tmp_path / "model.pt2", "--format", "torch_export")
    assert "not written" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def detections(boxes, scores, ids=None, masks=None):
    return Detections(
        1,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(ids or [1] * len(scores)),
        masks,
    )


def test_parity_counts_what_differs():
    boxes = [[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]]
    expected = detections(boxes, [0.9, 0.8, 0.3], [1, 2, 1])
    assert compare([(expected, expected, 1.0)]).holds
    moved = detections([[0, 0, 10, 10.25], *boxes[1:]], [0.9, 0.7, 0.3], [1, 2, 1])
    parity = compare([(expected, moved, 0.5)])
    assert (parity.unmatched, parity.box) == (0, 0.125)
    assert parity.score == pytest.approx(0.1)
    assert not parity.holds
    other_class = detections(boxes, [0.9, 0.8, 0.3], [1, 1, 1])
    assert compare([(expected, other_class, 1.0)]).unmatched == 2
    without_the_last = detections(boxes[:2], [0.9, 0.8], [1, 2])
    assert compare([(expected, without_the_last, 1.0)]).holds  # at the threshold
    without_the_first = detections(boxes[1:], [0.8, 0.3], [2, 1])
    assert compare([(expected, without_the_first, 1.0)]).unmatched == 1
    nothing = detections([], [])
    assert compare([(nothing, nothing, 1.0)]).holds


def test_parity_of_masks_is_a_fraction_of_their_pixels():
    def masked(columns):
        mask = np.zeros((40, 40), np.uint8)
        mask[:, :columns] = 1
        return detections([[0, 0, 20, 40]], [0.9], masks=[encode_mask(mask)])

    assert compare([(masked(20), masked(20), 1.0)]).mask == 0
    assert compare([(masked(20), masked(18), 1.0)]).mask == pytest.approx((80 - 2) / 800)


def test_a_generated_image_has_the_size_of_the_input():
    assert exporting._generated(64).size == (64, 48)
    assert isinstance(exporting._generated(32), Image.Image)
