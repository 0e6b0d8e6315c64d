"""Keypoints: both networks train, predict, and start from other models; where boxes come from."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from sightline.config.decode import decode
from sightline.data.keypoint_detections import KeypointDetections
from sightline.errors import ConfigurationError, DataError, ModelFileError
from sightline.evaluation.inference import predictions_from_json, predictions_to_json
from sightline.models.model_file import read_card, save_model
from sightline.models.weights.initialize import load_weights
from sightline.runs.configuration_checks import check_configuration
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.object_detection.settings import BoxDetector
from tests.arrows import CLASSES, DETECTOR, HEATMAP, KEYPOINTS, NETWORKS, card_of, draw, make_dataset, write_coco
from tests.squares import TINY_MODEL, make_card

CPU = torch.device("cpu")
TASK = load_task("keypoints")


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def model(request):
    return request.param


def build(model, seed=0):
    torch.manual_seed(seed)
    return TASK.build_network(model, 1)


def test_every_parameter_has_a_gradient_also_beside_an_image_without_objects(model, tmp_path):
    network, dataset = build(model).train(), make_dataset(tmp_path, 4)
    losses = TASK.losses(network, [dataset.sample(index, 1) for index in (0, 3)], CPU)
    assert "keypoint" in losses
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


def test_an_hrnet_has_no_parameters_without_use(tmp_path):
    network = build(type(HEATMAP)(**HEATMAP.model_dump() | {"backbone": "hrnet_w18_small"})).train()
    dataset = make_dataset(tmp_path, 2)
    TASK.losses(network, [dataset.sample(0, 1)], CPU)["keypoint"].backward()
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


def test_images_without_objects_alone_have_a_loss_of_keypoints_of_zero(model, tmp_path):
    dataset = make_dataset(tmp_path, 4)
    losses = TASK.losses(build(model).train(), [dataset.sample(3, 1)], CPU)
    assert losses["keypoint"].item() == 0
    sum(losses.values()).backward()


def test_the_settings_take_the_keypoints_of_the_dataset(model, tmp_path):
    truth = write_coco(tmp_path, 2)
    bare = model.model_copy(update={"keypoints": type(KEYPOINTS)()})
    assert TASK.fitted(bare, truth) == model
    for category in truth["categories"]:
        category["uniform_sigmas"] = True
    assert TASK.fitted(bare, truth).keypoints.sigmas == ()
    with pytest.raises(DataError):
        TASK.fitted(bare, {**truth, "categories": [{"id": 1, "name": "arrow"}]})


def test_a_model_file_predicts_what_the_network_predicts(model, tmp_path):
    network, path = build(model), tmp_path / "m.safetensors"
    save_model(path, network, card_of(model))
    assert read_card(path).architecture == model
    image = draw(0)[0]
    expected = TASK.predictor(network, card_of(model), CPU).predict(image)
    found = load_predictor(path, "cpu", task="keypoints", classes=CLASSES).predict(image)
    assert len(found)
    assert np.array_equal(found.keypoints, expected.keypoints)
    assert np.array_equal(found.scores, expected.scores)
    assert found.keypoints.shape == (len(found), 3, 3)
    assert ((found.keypoints >= 0) & (found.keypoints <= (*image.size, 1))).all()


def test_images_together_are_predicted_as_one_by_one(model):
    predictor = TASK.predictor(build(model), card_of(model), CPU)
    images = [draw(index)[0] for index in range(3)] + [draw(4, (60, 80))[0]]
    for index, found in enumerate(predictor.predict_batch(images, [1, 2, 3, 4])):
        alone = predictor.predict(images[index], index + 1)
        assert found.image_id == alone.image_id == index + 1
        assert found.keypoints[:3] == pytest.approx(alone.keypoints[:3], abs=0.05)  # maps of random weights are flat


def test_gradients_of_a_divided_batch_are_those_of_the_batch(tmp_path):
    """With norms that do not depend on the batch; images have different numbers of objects."""
    model = HEATMAP.model_copy(update={"backbone": "resnet18_gn"})
    dataset = make_dataset(tmp_path, 4)
    batch = [dataset.sample(index, 1, (64, 64)) for index in range(4)]
    both = []
    for parts in ([batch], [batch[:1], batch[1:2], batch[2:]]):
        network = build(model).train()
        for part in parts:
            (TASK.losses(network, part, CPU)["keypoint"] * (len(part) / len(batch))).backward()
        both.append(network.predictor.weight.grad)
    assert torch.allclose(*both, rtol=1e-3, atol=1e-6)
    assert both[0].abs().max() > 0


def test_kept_predictions_come_back_exactly(model):
    found = TASK.predictor(build(model), card_of(model), CPU).predict(draw(0)[0], 7)
    none = found.chosen(np.zeros(0, np.intp))
    back, empty = predictions_from_json(predictions_to_json([found, none]), KeypointDetections)
    for field in dataclasses.fields(found):
        assert np.array_equal(getattr(back, field.name), getattr(found, field.name)), field.name
    assert empty.keypoints.shape == (0, 3, 3)
    assert back.above(0.5).keypoints.shape[0] == len(back.above(0.5))
    assert set(back.of_classes({1: 5}).category_ids.tolist()) <= {5}


def test_another_number_of_keypoints_takes_everything_but_the_last_layer(model, tmp_path):
    path = tmp_path / "old.safetensors"
    save_model(path, build(model, seed=1), card_of(model))
    more = KEYPOINTS.model_copy(update={"names": ("front", "left", "right", "tail"), "sigmas": ()})
    other = model.model_copy(update={"keypoints": more, "weights": str(path)})
    table = load_weights(build(other), other, CLASSES, TASK.class_rows, cache=tmp_path / "cache")
    layer = "roi_heads.keypoint_predictor.kps_score_lowres" if model is DETECTOR else "predictor"
    assert table.named("re-initialized") == [f"{layer}.weight", f"{layer}.bias"]
    assert table.named("unused") == []


def test_a_detector_gives_its_boxes_to_keypoint_rcnn(tmp_path):
    boxes = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)))
    network = load_task("object_detection").build_network(boxes, 1)
    save_model(
        tmp_path / "old.safetensors",
        network,
        make_card(boxes, task="object_detection", classes=CLASSES, category_ids=(1,)),
    )
    model = DETECTOR.model_copy(update={"weights": str(tmp_path / "old.safetensors")})
    new = load_weights(build(model), model, CLASSES, TASK.class_rows, cache=tmp_path / "cache").named("re-initialized")
    assert new
    assert all(name.startswith("roi_heads.keypoint_") for name in new)


@pytest.mark.parametrize("body", ["resnet18", "timm:test_resnet", "hrnet_w18_small"])
def test_weights_of_a_body_are_taken_by_the_heat_map_network(body, tmp_path):
    import timm
    import torchvision

    source = torchvision.models.resnet18() if body == "resnet18" else timm.create_model(body.removeprefix("timm:"))
    torch.save(source.state_dict(), tmp_path / "w.pth")
    model = type(HEATMAP)(**HEATMAP.model_dump() | {"backbone": body, "weights": str(tmp_path / "w.pth")})
    network = build(model)
    table = load_weights(network, model, CLASSES, TASK.class_rows, cache=tmp_path / "cache")
    assert all(not name.startswith("backbone.body.") for name in table.named("re-initialized"))
    assert torch.equal(next(network.backbone.body.parameters()), next(source.parameters()))


def heatmap_predictor(boxes="truth", model=HEATMAP):
    model = model.model_copy(update={"boxes": boxes})
    return TASK.predictor(build(model), card_of(model), CPU)


def test_boxes_of_a_split_are_its_true_ones(tmp_path):
    truth = write_coco(tmp_path, 4)
    predictor = heatmap_predictor().for_split(truth)
    found = predictor.predict(draw(0)[0], 1)
    mine = [one["bbox"] for one in truth["annotations"] if one["image_id"] == 1]
    expected = sorted([x, y, x + width, y + height] for x, y, width, height in mine)
    assert sorted(found.boxes_xyxy.tolist()) == [pytest.approx(box, abs=1e-3) for box in expected]
    assert found.boxes_given
    assert len(predictor.predict(draw(3)[0], 4)) == 0  # an image without objects
    assert found.scores == pytest.approx(found.keypoints[..., 2].mean(axis=1))


def test_other_images_are_one_object_each_and_this_is_said_once(caplog):
    predictor = heatmap_predictor()
    with caplog.at_level(logging.WARNING):
        boxes = [predictor.predict(draw(index)[0]).boxes_xyxy.tolist() for index in range(2)]
        heatmap_predictor("image").predict(draw(0)[0])
    assert boxes == [[[0, 0, 80, 60]]] * 2
    assert len(caplog.records) == 1


def test_a_network_for_whole_images_is_trained_on_whole_images(tmp_path):
    """Its loss is that of crops around boxes of the size of the image, wherever the objects are."""
    sample = make_dataset(tmp_path, 2).sample(0, 1)
    height, width = sample.image.shape[:2]
    whole = np.float32([[0, 0, width, height]] * len(sample.boxes_xyxy))
    widened = dataclasses.replace(sample, boxes_xyxy=whole)

    def loss(boxes, one):
        network = build(HEATMAP.model_copy(update={"boxes": boxes})).train()
        return TASK.losses(network, [one], CPU)["keypoint"].item()

    assert loss("image", sample) == loss("image", widened) == loss("truth", widened)
    assert loss("truth", sample) != loss("truth", widened)


def test_a_training_set_with_several_objects_an_image_is_refused_for_whole_images(tmp_path):
    truth = write_coco(tmp_path, 4)
    whole = HEATMAP.model_copy(update={"boxes": "image"})
    with pytest.raises(DataError) as caught:
        TASK.fitted(whole, truth)
    assert "3 images of 4" in str(caught.value)
    assert f"{truth['images'][0]['file_name']} with 2" in str(caught.value)
    single = {one["image_id"]: one for one in truth["annotations"]}
    assert TASK.fitted(whole, {**truth, "annotations": [*single.values()]}) == whole


def test_boxes_are_those_of_a_detector(tmp_path):
    """Its scores are multiplied with those of the keypoints, and classes go by their names."""
    settings = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)))
    detector = load_task("object_detection").build_network(settings, 2)
    card = make_card(settings, task="object_detection", classes=("other", "arrow"), category_ids=(1, 2))
    save_model(tmp_path / "boxes.safetensors", detector, card)
    image = draw(0)[0]
    expected = load_predictor(tmp_path / "boxes.safetensors", "cpu").predict(image).of_classes({2: 1})
    found = heatmap_predictor(str(tmp_path / "boxes.safetensors")).predict(image)
    assert len(found) == len(expected) > 0
    assert not found.boxes_given
    assert set(found.category_ids.tolist()) == {1}
    assert found.scores.max() < expected.scores.max()
    save_model(tmp_path / "boxes.safetensors", detector, dataclasses.replace(card, classes=("a", "b")))
    with pytest.raises(ModelFileError) as caught:
        heatmap_predictor(str(tmp_path / "boxes.safetensors")).predict(image)
    assert "a, b" in str(caught.value)


def test_a_split_with_other_keypoints_is_refused(model, tmp_path):
    truth = write_coco(tmp_path, 1)
    truth["categories"][0]["keypoints"] = ["front", "right", "left"]
    with pytest.raises(DataError) as caught:
        TASK.predictor(build(model), card_of(model), CPU).for_split(truth)
    assert "front, left, right" in str(caught.value)


def test_a_flip_test_makes_predictions_symmetric():
    """A mirrored crop gives the mirrored keypoints, with left and right exchanged."""
    network = build(HEATMAP).eval()
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    with torch.no_grad():
        (straight,), (mirrored,) = (network([one], [{"boxes": whole}]) for one in (image, image.flip(-1)))
    back = mirrored["keypoints"][:, [0, 2, 1]] * torch.tensor([-1.0, 1, 1]) + torch.tensor([64.0, 0, 0])
    assert torch.allclose(back, straight["keypoints"], atol=0.02)


def configured(*more):
    settings = {"backbone": "resnet18_gn", "weights": "none", "boxes": "truth", **dict(one.split("=") for one in more)}
    overrides = [f"model.{name}={value}" for name, value in settings.items()]
    return decode("figures", [*overrides, "data.classes=[cat, dog]", "data.tag=x_ann_v1"])


def test_the_whole_image_is_an_object_of_one_class_only():
    check_configuration(configured())
    with pytest.raises(ConfigurationError) as caught:
        check_configuration(configured("boxes=image", "backbone=resnet18"))
    assert "model.boxes: image, but there are 2 classes" in str(caught.value)


@pytest.mark.parametrize("backbone", ["resnet19", "hrnet_w33", "timm:nothing"])
def test_a_backbone_that_does_not_exist_is_refused_before_training(backbone):
    with pytest.raises(ConfigurationError) as caught:
        check_configuration(configured(f"backbone={backbone}"))
    assert "model.backbone" in str(caught.value)
