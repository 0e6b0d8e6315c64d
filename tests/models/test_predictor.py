import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import nn

from sightline.errors import ConfigurationError
from sightline.models.device import choose_device
from sightline.models.model_file import save_model
from sightline.tasks.base import Predictor
from sightline.tasks.detection.pasting import paste_mask
from sightline.tasks.detection.predictor import DetectionPredictor
from sightline.tasks.instance_segmentation.network import build_detector
from tests.golden import raises
from tests.squares import TINY_MODEL, draw, make_card


class OneBox(nn.Module):
    """Finds one box, given in input pixels, whose left half is the object."""

    def __init__(self, box):
        super().__init__()
        self.box = box

    def forward(self, images):
        self.seen = images[0]
        masks = torch.zeros(1, 1, 28, 28)
        masks[..., :14] = 1
        return [
            {
                "boxes": torch.tensor([self.box], dtype=torch.float32),
                "scores": torch.tensor([0.9]),
                "labels": torch.tensor([2]),
                "masks": masks,
            }
        ]


def test_detections_are_in_the_images_own_pixels():
    network = OneBox([8.0, 4.0, 40.0, 20.0])
    predictor = DetectionPredictor(network, make_card(category_ids=(1, 7)), torch.device("cpu"))
    detections = predictor.predict(Image.new("RGB", (128, 96)), image_id=5)
    assert network.seen.shape == (3, 48, 64)
    assert network.seen.dtype == torch.uint8
    assert detections.image_id == 5
    assert detections.boxes_xyxy.tolist() == [[16, 8, 80, 40]]
    assert detections.category_ids.tolist() == [7]
    assert detections.masks[0]["size"] == [96, 128]
    mask = coco_mask.decode(detections.masks[0])
    assert mask[8:40, 16:48].all()
    assert mask.sum() == 32 * 32


def test_boxes_are_cut_at_the_border_and_empty_ones_left_out():
    predictor = DetectionPredictor(OneBox([-8.0, -4.0, 80.0, 60.0]), make_card(), torch.device("cpu"))
    assert predictor.predict(Image.new("RGB", (64, 48))).boxes_xyxy.tolist() == [[0, 0, 64, 48]]
    predictor = DetectionPredictor(OneBox([70.0, 4.0, 80.0, 20.0]), make_card(), torch.device("cpu"))
    assert len(predictor.predict(Image.new("RGB", (64, 48)))) == 0


@pytest.mark.parametrize(
    "box",
    [
        (0.0, 0.0, 30.0, 20.0),  # the whole image
        (3.3, 4.7, 17.9, 15.2),  # fractions of pixels
        (10.2, 5.1, 10.9, 5.8),  # less than a pixel
    ],
)
def test_a_full_mask_covers_the_pixels_whose_centres_lie_in_its_box(box):
    mask = coco_mask.decode(paste_mask(np.ones((28, 28), dtype=np.float32), np.array(box, dtype=np.float32), 20, 30))
    y, x = np.mgrid[:20, :30] + 0.5
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    assert np.array_equal(mask > 0, inside)


def test_a_disc_is_pasted_as_a_disc():
    y, x = (np.mgrid[:28, :28] + 0.5) / 28 - 0.5
    probabilities = ((x**2 + y**2) < 0.25).astype(np.float32)
    mask = coco_mask.decode(paste_mask(probabilities, np.array([10, 20, 90, 80], dtype=np.float32), 100, 100))
    y, x = np.mgrid[:100, :100] + 0.5
    ellipse = ((x - 50) / 40) ** 2 + ((y - 50) / 30) ** 2 < 1
    assert (ellipse & (mask > 0)).sum() / (ellipse | (mask > 0)).sum() > 0.96


def test_loading_needs_the_file_alone(tmp_path):
    torch.manual_seed(0)
    network = build_detector(TINY_MODEL, 2)
    save_model(tmp_path / "model.safetensors", network, make_card())
    loaded = Predictor.load(tmp_path / "model.safetensors", device="cpu", classes=["square", "disc"])
    direct = DetectionPredictor(network, make_card(), torch.device("cpu"))
    image, _ = draw(0)
    first, second = loaded.predict(image), direct.predict(image)
    assert len(first) > 0
    assert np.array_equal(first.boxes_xyxy, second.boxes_xyxy)
    assert first.masks == second.masks
    assert (np.diff(first.scores) <= 0).all()
    assert loaded.card == make_card()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    assert choose_device("auto") == torch.device("cpu")
    with raises(ConfigurationError, "GPU"):
        choose_device("cuda")
