"""Object detection: boxes from shapes of any kind, measured as pycocotools measures them, and nothing about masks."""

import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.config.decode import decode
from sightline.data.detections import Detections
from sightline.errors import ConfigurationError, DataError, ModelFileError
from sightline.evaluation.inference import predictions_from_json, predictions_to_json
from sightline.metrics.coco import evaluate_coco
from sightline.metrics.divided import evaluate_divided
from sightline.models.model_file import read_card, save_model
from sightline.prediction.document import prediction_document
from sightline.report.drawing.draw import draw_detections, draw_truth
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.evaluators import open_evaluator
from sightline.tasks.object_detection.settings import BoxDetector
from tests.squares import CLASSES, TINY_MODEL, draw, make_card, make_dataset, write_coco

CPU = torch.device("cpu")
NETWORK = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)))
MODELS = [
    NETWORK.model_copy(update={"detector": name, "fpn_channels": 32})
    for name in ("faster_rcnn", "fcos", "retinanet", "ssdlite")
]
CARD = {"task": "object_detection", "architecture": NETWORK, "metrics": {"box_AP": 0.5}}
NAMES = dict(enumerate(CLASSES, start=1))


@pytest.fixture(scope="module")
def task():
    return load_task("object_detection")


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.detector)
def model(request):
    return request.param


@pytest.fixture(scope="module")
def network(task, model):
    torch.manual_seed(0)
    return task.build_network(model, 2)


def noisy(truth, seed=0, drop=0.2):
    """Detections near the truth: some moved, some missing, some of the other class, some where nothing is."""
    rng = np.random.default_rng(seed)
    found = []
    for image in truth["images"]:
        mine = [one for one in truth["annotations"] if one["image_id"] == image["id"] and rng.random() > drop]
        boxes = np.array([[*one["bbox"][:2], *np.add(one["bbox"][:2], one["bbox"][2:])] for one in mine])
        boxes = np.concatenate([boxes.reshape(-1, 4) + rng.normal(0, 1.5, (len(mine), 4)), [[1, 1, 9, 12]]])
        ids = np.array([one["category_id"] for one in mine] + [1])
        ids = np.where(rng.random(len(ids)) < 0.2, 3 - ids, ids)
        scores = np.sort(rng.random(len(ids)))[::-1]
        found.append(Detections(image["id"], boxes.astype(np.float32), scores.astype(np.float32), ids))
    return found


def test_the_loss_has_no_masks_and_every_parameter_a_gradient(task, model, tmp_path):
    torch.manual_seed(0)
    network = task.build_network(model, 2).train()
    dataset = make_dataset(tmp_path)
    losses = task.losses(network, [dataset.sample(0, 1), dataset.sample(1, 1)], CPU)
    assert (
        set(losses)
        == {
            "faster_rcnn": {"classifier", "box_reg", "objectness", "rpn_box_reg"},
            "fcos": {"classification", "bbox_regression", "bbox_ctrness"},
            "retinanet": {"classification", "bbox_regression"},
            "ssdlite": {"classification", "bbox_regression"},
        }[model.detector]
    )
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("detector", ["retinanet", "ssdlite"])
def test_the_loss_of_a_batch_is_the_mean_over_its_images(task, detector, tmp_path):
    """Therefore gradients do not depend on how a batch is divided; an image without objects counts as well."""
    torch.manual_seed(0)
    network = task.build_network(NETWORK.model_copy(update={"detector": detector, "fpn_channels": 32}), 2).train()
    dataset = make_dataset(tmp_path, augmentation=())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    first, second = dataset.sample(0, 1), dataset.sample(1, 1)
    empty = dataclasses.replace(second, boxes_xyxy=second.boxes_xyxy[:0], labels=second.labels[:0])
    both = task.losses(network, [first, empty], CPU)
    alone = [task.losses(network, [sample], CPU) for sample in (first, empty)]
    for name, loss in both.items():
        assert loss.item() == pytest.approx(sum(one[name].item() for one in alone) / 2, rel=1e-5)
    assert alone[1]["bbox_regression"].item() == 0
    assert alone[1]["classification"].item() > 1e-3
    sum(alone[1].values()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_box_of_a_shape_is_what_the_network_is_to_find(task, tmp_path):
    """Squares and discs, as polygons and as run-length encodings: the extent of each, at the input's size."""
    dataset, document = make_dataset(tmp_path, augmentation=()), write_coco(tmp_path, 1)
    sample = dataset.sample(0, 1)
    target = task.target(sample, CPU)
    image = document["images"][0]
    scale = np.array([sample.image.shape[1] / image["width"], sample.image.shape[0] / image["height"]] * 2)
    boxes = [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in document["annotations"])]
    assert set(target) == {"boxes", "labels", "canvas_hw", "seed"}
    assert target["labels"].tolist() == [one["category_id"] for one in document["annotations"]]
    assert target["boxes"].numpy() == pytest.approx(boxes * scale, abs=1e-3)


def test_a_model_file_gives_boxes_alone(network, model, tmp_path):
    path = tmp_path / "model.safetensors"
    # A threshold of 0 lets FCOS and RetinaNet answer with the background's label too, which is no class.
    sure_of_nothing = model.model_copy(update={"score_threshold": 0.0})
    save_model(path, network, make_card(**CARD | {"architecture": sure_of_nothing}))
    assert read_card(path).architecture == sure_of_nothing
    predictor = load_predictor(path, "cpu", task="object_detection", classes=CLASSES)
    image, _ = draw(0)
    found = predictor.predict(image)
    assert len(found)
    assert set(found.category_ids.tolist()) <= {1, 2}
    assert found.masks is None
    assert found.above(0.5).masks is None
    assert (found.boxes_xyxy[:, 2:] <= np.array(image.size)).all()
    with pytest.raises(ModelFileError) as caught:
        load_predictor(path, "cpu", task="instance_segmentation")
    assert "object_detection; expected instance_segmentation" in str(caught.value)


def test_boxes_are_measured_as_pycocotools_measures_them(tmp_path):
    truth = write_coco(tmp_path, 12)
    found = noisy(truth)
    scores = evaluate_coco(truth, found, ("box",))
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = COCO()
        oracle.dataset = json.loads(json.dumps(truth))
        oracle.createIndex()
        rows = [
            {
                "image_id": one.image_id,
                "category_id": int(id_),
                "score": float(score),
                "bbox": [*map(float, box[:2]), *map(float, box[2:].astype(float) - box[:2].astype(float))],
            }
            for one in found
            for box, score, id_ in zip(one.boxes_xyxy, one.scores, one.category_ids, strict=True)
        ]
        evaluator = COCOeval(oracle, oracle.loadRes(rows), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    expected = dict(zip(("box_AP", "box_AP50", "box_AP75", "box_AP_small"), evaluator.stats[:4], strict=True))
    assert {name: scores.values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert 0.1 < scores.values["box_AP50"] < 1


def test_the_numbers_of_boxes_do_not_depend_on_masks(tmp_path):
    truth = write_coco(tmp_path, 4)
    boxes = noisy(truth)
    empty = {"size": [60, 80], "counts": "PT1"}
    masked = [dataclasses.replace(one, masks=[empty] * len(one)) for one in boxes]
    both, alone = evaluate_coco(truth, masked).values, evaluate_coco(truth, boxes, ("box",)).values
    assert {name for name in alone if not name.startswith("box_")} == set()
    assert alone == {name: value for name, value in both.items() if name.startswith("box_")}


@pytest.mark.parametrize("evaluate", [evaluate_coco, evaluate_divided])
def test_masks_that_are_needed_must_be_there(evaluate, tmp_path):
    truth = write_coco(tmp_path, 2)
    with pytest.raises(DataError) as caught:
        evaluate(truth, noisy(truth))
    assert "have no masks" in str(caught.value)


def test_a_measurement_tells_nothing_of_masks(tmp_path):
    truth = write_coco(tmp_path, 4)
    measured = open_evaluator("object_detection", "none", NAMES).measure(truth, noisy(truth), 0.5)
    sections = {section["id"]: section for section in measured.document()["sections"]}
    assert {name.split("_")[0] for name in measured.metrics} == {"box"}
    assert list(sections["curves"]["lines"]) == [one["key"] for one in sections["confidence"]["charts"]] == ["box"]
    assert set(sections["classes"]["rows"]["disc"]) == {"instances", "box_AP", "box_AP50"}
    assert set(measured.remarks) == {1, 2, 3, 4}


def test_kept_detections_come_back_with_and_without_masks(tmp_path):
    found = noisy(write_coco(tmp_path, 2))
    (back, _) = predictions_from_json(predictions_to_json(found), Detections)
    assert back.masks is None
    assert np.array_equal(back.boxes_xyxy, found[0].boxes_xyxy)
    assert np.array_equal(back.scores, found[0].scores)
    mask = {"size": [1, 1], "counts": "01"}
    earlier = {"image_id": 1, "boxes_xyxy": [[1, 2, 3, 4]], "scores": [0.5], "category_ids": [1], "masks": [mask]}
    assert predictions_from_json(json.dumps([earlier]), Detections)[0].masks == [mask]


def test_a_document_of_predictions_has_masks_where_the_task_has_them(tmp_path):
    (found, _) = noisy(write_coco(tmp_path, 2))
    document = prediction_document(found, make_card(**CARD), "a.png")
    assert all(set(one) == {"class", "category_id", "score", "box_xyxy"} for one in document["detections"])
    json.dumps(document)


def test_boxes_alone_are_drawn(tmp_path):
    """Inside of a box nothing is tinted: its middle is as grey as it was."""
    truth = write_coco(tmp_path, 1)
    grey = Image.new("RGB", (800, 600), (100, 100, 100))
    boxes = np.array([[100, 100, 700, 500]], np.float32)
    drawn = draw_detections(grey, Detections(1, boxes, np.ones(1, np.float32), np.ones(1, np.int64)), NAMES)
    assert drawn.getpixel((400, 450)) == (100, 100, 100)
    assert np.asarray(drawn).std() > 0
    annotations = [{**truth["annotations"][1], "bbox": [100, 100, 600, 400]}]
    annotations[0]["segmentation"] = [[100, 100, 700, 100, 700, 500, 100, 500]]
    plain, tinted = (draw_truth(grey, annotations, NAMES, masks=masks) for masks in (False, True))
    assert plain.getpixel((400, 450)) == (100, 100, 100) != tinted.getpixel((400, 450))


def test_the_settings_of_masks_are_not_its_own():
    config = decode("object_detection", ["data.classes=[cat]", "model.fpn_channels=32"])
    assert isinstance(config.model, BoxDetector)
    assert not {"mask_channels", "mask_layers"} & set(config.model_dump()["model"])


@pytest.mark.parametrize("detector", ["fcos", "retinanet", "ssdlite"])
def test_norms_of_heads_need_channels_in_groups_of_32(detector):
    with pytest.raises(ConfigurationError) as caught:
        decode("object_detection", ["data.classes=[cat]", f"model.detector={detector}", "model.fpn_channels=48"])
    assert "fpn_channels to be a multiple of 32" in str(caught.value)
