"""Warm start with other classes: rows go by the names of the classes, and nothing else is carried by position."""

import pytest
import torch
from safetensors.torch import save_file

from sightline.errors import ModelFileError
from sightline.models.model_file import save_model
from sightline.models.weights.initialize import load_weights
from sightline.models.weights.loading import ClassRows, Weights, load_tensors
from sightline.tasks.base import load_task
from sightline.tasks.object_detection.settings import BoxDetector
from tests.golden import raises
from tests.squares import TINY_MODEL, make_card

MASKS, BOXES = load_task("instance_segmentation"), load_task("object_detection")
BOX_MODEL = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)))
FCOS_MODEL = BOX_MODEL.model_copy(update={"detector": "fcos", "fpn_channels": 32})

CLASSIFIER = "roi_heads.box_predictor.cls_score.weight"
REGRESSION = "roi_heads.box_predictor.bbox_pred.bias"
MASK_ROWS = "roi_heads.mask_predictor.mask_fcn_logits.weight"
FCOS_ROWS = "head.classification_head.cls_logits.weight"


def trained(path, task, model, classes, seed=1):
    """A model file with other weights than those of a new network; gives its tensors."""
    torch.manual_seed(seed)
    network = task.build_network(model, len(classes))
    for tensor in network.parameters():
        torch.nn.init.normal_(tensor)
    card = make_card(model, task=task.name, classes=classes, category_ids=tuple(range(1, len(classes) + 1)))
    save_model(path, network, card)
    return network.state_dict()


def started(path, task, model, classes, tmp_path):
    """A network before and after loading, and the table."""
    model = model.model_copy(update={"weights": str(path)})
    torch.manual_seed(0)
    network = task.build_network(model, len(classes))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    table = load_weights(network, model, classes, task.class_rows, cache=tmp_path / "cache")
    return before, network.state_dict(), table


def test_rows_follow_the_names_of_the_classes(tmp_path):
    old = trained(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog", "cow"))
    before, after, table = started(
        tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cow", "pig", "cat", "owl"), tmp_path
    )
    assert table.kept_classes == ("cow", "cat")
    rows = {0: 0, 1: 3, 3: 1}  # label here -> label in the file; the background is 0
    for label in range(5):
        source, at = (old, rows[label]) if label in rows else (before, label)
        assert torch.equal(after[CLASSIFIER][label], source[CLASSIFIER][at])
        assert torch.equal(after[MASK_ROWS][label], source[MASK_ROWS][at])
        assert torch.equal(after[REGRESSION][4 * label : 4 * label + 4], source[REGRESSION][4 * at : 4 * at + 4])
    assert set(table.named("partly loaded")) == {name for name in MASKS.class_rows if name in before}
    assert table.named("re-initialized") == table.named("unused") == []
    for name in table.named("loaded"):
        assert torch.equal(after[name], old[name])


def test_as_many_classes_in_another_order_are_not_taken_as_they_are(tmp_path):
    old = trained(tmp_path / "old.safetensors", BOXES, FCOS_MODEL, ("cat", "dog"))
    _, after, table = started(tmp_path / "old.safetensors", BOXES, FCOS_MODEL, ("dog", "cat"), tmp_path)
    assert torch.equal(after[FCOS_ROWS], old[FCOS_ROWS][[0, 2, 1]])
    assert table.kept_classes == ("dog", "cat")


@pytest.mark.parametrize(
    ("detector", "layer", "anchors"),
    [
        ("retinanet", "head.classification_head.cls_logits", 9),
        ("ssdlite", "head.classification_head.module_list.3.1", 3),
    ],
)
def test_rows_of_each_anchor_follow_the_names_of_the_classes(detector, layer, anchors, tmp_path):
    model = FCOS_MODEL.model_copy(update={"detector": detector})
    old = trained(tmp_path / "old.safetensors", BOXES, model, ("cat", "dog", "cow"))
    before, after, table = started(tmp_path / "old.safetensors", BOXES, model, ("cow", "pig"), tmp_path)
    for kind in ("weight", "bias"):
        rows, new, was = (tensors[f"{layer}.{kind}"].unflatten(0, (anchors, -1)) for tensors in (old, after, before))
        assert (rows.shape[1], new.shape[1]) == (4, 3)
        assert torch.equal(new[:, [0, 1]], rows[:, [0, 3]])  # the background, and cow
        assert torch.equal(new[:, 2], was[:, 2])
    assert table.kept_classes == ("cow",)
    assert table.named("re-initialized") == []
    assert {name.rpartition(".")[0] for name in table.named("partly loaded")} == {
        name.rpartition(".")[0] for name in BOXES.class_rows if name in after
    }


def test_rows_of_another_number_of_anchors_are_new(tmp_path):
    model = FCOS_MODEL.model_copy(update={"detector": "retinanet"})
    trained(tmp_path / "old.safetensors", BOXES, model, ("cat", "dog"))
    square = model.model_copy(update={"anchor_ratios": (1.0,)})
    _, _, table = started(tmp_path / "old.safetensors", BOXES, square, ("dog", "pig"), tmp_path)
    assert {name.rpartition(".")[0] for name in table.named("re-initialized")} == {
        "head.classification_head.cls_logits",
        "head.regression_head.bbox_reg",
    }


def test_the_same_classes_are_loaded_whole(tmp_path):
    old = trained(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog"))
    _, after, table = started(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog"), tmp_path)
    assert all(torch.equal(after[name], old[name]) for name in old)
    assert {tensor.fate for tensor in table.tensors} == {"loaded"}


def test_a_detector_gives_its_boxes_to_a_network_with_masks(tmp_path):
    old = trained(tmp_path / "old.safetensors", BOXES, BOX_MODEL, ("cat", "dog"))
    before, after, table = started(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog"), tmp_path)
    new = table.named("re-initialized")
    assert new == [name for name in after if name.startswith("roi_heads.mask_")]
    assert all(torch.equal(after[name], before[name]) for name in new)
    assert torch.equal(after[CLASSIFIER], old[CLASSIFIER])


def test_a_head_of_another_width_is_new_and_the_rest_is_loaded(tmp_path):
    trained(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog"))
    wide = TINY_MODEL.model_copy(update={"head_channels": 64})
    _, _, table = started(tmp_path / "old.safetensors", MASKS, wide, ("cat", "pig"), tmp_path)
    layers = {name.rpartition(".")[0] for name in table.named("re-initialized")}
    predictors = {"roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"}
    assert layers == {"roi_heads.box_head.fc6", "roi_heads.box_head.fc7", *predictors}
    (bias,) = (tensor for tensor in table.tensors if tensor.name == "roi_heads.box_head.fc6.bias")
    assert (bias.shape, bias.file_shape) == ((64,), (32,))


def test_a_layer_is_loaded_whole_or_not_at_all():
    network = torch.nn.Linear(3, 2)
    before = network.weight.detach().clone()
    layer = torch.nn.ModuleDict({"a": network, "b": torch.nn.Linear(2, 2)})
    weights = Weights("w", "", {"a.weight": torch.ones(2, 3), "b.weight": torch.ones(2, 2), "b.bias": torch.ones(2)})
    fates = {tensor.name: tensor for tensor in load_tensors(layer, weights, (), {})}
    assert torch.equal(network.weight, before)
    assert fates["a.bias"].note == "missing, expected [2]"
    assert "another tensor" in fates["a.weight"].note
    assert torch.equal(layer["b"].bias, torch.ones(2))


def test_rows_without_a_background():
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(1, 2, bias=False)})
    before = network["a"].weight.detach().clone()
    weights = Weights("w", "", {"a.weight": torch.tensor([[1.0], [2.0], [3.0]])}, ("cat", "dog", "cow"))
    rows = {"a.weight": ClassRows(background=False)}
    load_tensors(network, weights, ("cow", "pig"), rows)
    assert network["a"].weight.flatten().tolist() == [3.0, before[1].item()]
    with raises(ModelFileError, "no tensor fits"):
        load_tensors(network, weights, ("pig", "owl"), rows)


def test_rows_that_are_not_grouped_by_class_are_new():
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(1, 6, bias=False), "b": torch.nn.Linear(1, 1)})
    before = network["a"].weight.detach().clone()  # such as RetinaNet's, with the rows of each anchor together
    tensors = {f"b.{kind}": tensor for kind, tensor in torch.nn.Linear(1, 1).state_dict().items()}
    weights = Weights("w", "", {"a.weight": torch.ones(6, 1), **tensors}, ("cat", "dog"))
    (fate, *_) = load_tensors(network, weights, ("dog", "cat"), {"a.weight": ClassRows()})
    assert (fate.fate, fate.note) == ("re-initialized", "its rows are not grouped by class")
    assert torch.equal(network["a"].weight, before)


def test_rows_of_unknown_classes_are_new(tmp_path):
    tensors = trained(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog"))
    save_file(tensors, tmp_path / "bare.safetensors")  # without the card that names the classes
    before, after, table = started(tmp_path / "bare.safetensors", MASKS, TINY_MODEL, ("cat", "dog"), tmp_path)
    assert set(table.named("re-initialized")) == {name for name in MASKS.class_rows if name in before}
    assert torch.equal(after[CLASSIFIER], before[CLASSIFIER])
    assert torch.equal(after["rpn.head.cls_logits.weight"], tensors["rpn.head.cls_logits.weight"])


def test_a_model_of_another_backbone_is_refused(tmp_path):
    other = TINY_MODEL.model_copy(update={"backbone": "timm:test_convnext"})
    trained(tmp_path / "old.safetensors", MASKS, other, ("cat", "dog"))
    with pytest.raises(ModelFileError, match="tensors do not match the backbone"):
        started(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "dog"), tmp_path)


def test_the_table_lists_every_tensor(tmp_path):
    trained(tmp_path / "old.safetensors", BOXES, BOX_MODEL, ("cat", "dog"))
    _, after, table = started(tmp_path / "old.safetensors", MASKS, TINY_MODEL, ("cat", "pig"), tmp_path)
    lines = table.text().splitlines()
    assert lines[0] == f"weights: {tmp_path / 'old.safetensors'}"
    assert lines[1] == f"sha256: {table.sha256}"
    assert lines[2] == "classes kept: cat"
    names = [line.split()[0] for line in lines[5:]]
    assert names == [name for name in after if not name.endswith("num_batches_tracked")]
    assert len(table.summary()) < 400
    assert "4 partly loaded (roi_heads.box_predictor.cls_score.weight," in table.summary()
