import pytest
import torch
from torch import nn

from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.instance_segmentation.network import build_detector
from tests.squares import TINY_MODEL


@pytest.fixture(scope="module")
def detector():
    changes = {"mask_layers": 2, "positive_share": 0.5, "max_detections": 7, "score_threshold": 0.0, "nms_iou": 0.4}
    return build_detector(TINY_MODEL.model_copy(update=changes), 2)


def test_the_configuration_is_what_is_built(detector):
    heads = detector.roi_heads
    assert sum(isinstance(module, nn.Conv2d) for module in heads.mask_head.modules()) == 2
    (positive,), (negative,) = heads.fg_bg_sampler([torch.tensor([1] * 100 + [0] * 100)])
    assert positive.sum() == negative.sum() == TINY_MODEL.sampled_proposals / 2
    assert (heads.score_thresh, heads.nms_thresh, heads.detections_per_img) == (0.0, 0.4, 7)
    assert heads.box_predictor.cls_score.out_features == 3
    assert detector.rpn.anchor_generator.sizes == ((8,), (16,), (32,), (64,))


def test_detections_stay_in_input_pixels(detector):
    images = [torch.randint(0, 255, (3, 48, 64), dtype=torch.uint8), torch.zeros(3, 20, 30, dtype=torch.uint8)]
    first, second = detector.eval()(images)
    assert len(first["scores"]) <= 7
    assert first["masks"].shape[1:] == (1, 28, 28)
    assert (second["boxes"] <= torch.tensor([30.0, 20.0, 30.0, 20.0])).all()


def test_a_batch_is_normalised_and_padded_with_zeros():
    batch = InputBatch(Preprocessing(64, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25)))
    white = torch.full((3, 33, 20), 255, dtype=torch.uint8)
    images, targets = batch([white, torch.zeros(3, 10, 40, dtype=torch.uint8)], None)
    assert targets is None
    assert images.tensors.shape == (2, 3, 64, 64)
    assert images.image_sizes == [(33, 20), (10, 40)]
    assert torch.allclose(images.tensors[0, :, :33, :20].amax(dim=(1, 2)), torch.tensor([1.0, 1.0, 0.0]))
    assert torch.allclose(images.tensors[1, :, :10, :40].amin(dim=(1, 2)), torch.tensor([0.0, -1.0, -4.0]))
    assert (images.tensors[0, :, 33:] == 0).all()
    assert (images.tensors[0, :, :, 20:] == 0).all()
