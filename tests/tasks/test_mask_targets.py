"""Late masks against bitmaps of the whole image, resampled by torchvision."""

import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import roi_align

from sightline.data.rasterizer import encode_mask, rasterize
from sightline.tasks.base import load_task
from sightline.tasks.instance_segmentation.late_masks import LateMaskHeads
from sightline.tasks.instance_segmentation.mask_targets import mask_targets
from tests.squares import TINY_MODEL, make_dataset

HEIGHT, WIDTH, CELLS = 200, 300, 28
CPU = torch.device("cpu")


def stars(count, seed=0):
    """Outlines with corners pointing in and out, and their boxes."""
    random = np.random.default_rng(seed)
    outlines, boxes = [], []
    for _ in range(count):
        angles = np.sort(random.uniform(0, 2 * np.pi, 16))
        lengths = random.uniform(0.5, 1, (16, 1)) * random.uniform(20, 60)
        points = random.uniform((70, 70), (WIDTH - 70, HEIGHT - 70))
        points = points + lengths * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        outlines.append([points.ravel().tolist()])
        boxes.append([*points.min(axis=0), *points.max(axis=0)])
    return outlines, np.array(boxes, dtype=np.float32)


def proposals(boxes, count, seed=1):
    """Boxes near those of the objects, and the object of each."""
    random = np.random.default_rng(seed)
    matched = random.integers(0, len(boxes), count)
    sides = np.tile(boxes[matched, 2:] - boxes[matched, :2], 2)
    near = boxes[matched] + random.uniform(-0.2, 0.2, sides.shape) * sides
    return torch.from_numpy(matched), torch.from_numpy(near.clip(0, [WIDTH, HEIGHT] * 2).astype(np.float32))


def from_bitmaps(outlines, matched, boxes):
    masks = torch.from_numpy(np.stack([rasterize(outline, HEIGHT, WIDTH) for outline in outlines])).float()
    regions = torch.cat([matched[:, None].float(), boxes], dim=1)
    return roi_align(masks[:, None], regions, (CELLS, CELLS), aligned=True)[:, 0]


@pytest.mark.parametrize("kind", ["polygons", "run lengths", "both"])
def test_targets_are_those_of_bitmaps(kind):
    """On average 2 % of a cell apart, at the edges only; the loss differs by less than 5 %.

    The resampled bitmaps are blurred by a pixel, which makes the lowest possible loss a little larger.
    """
    outlines, boxes = stars(6)
    given = [
        encode_mask(rasterize(one, HEIGHT, WIDTH)) if kind == "run lengths" or (kind == "both" and index % 2) else one
        for index, one in enumerate(outlines)
    ]
    matched, places = proposals(boxes, 64)
    targets, expected = mask_targets(given, matched, places, CELLS), from_bitmaps(outlines, matched, places)
    assert targets.dtype == torch.float32
    assert targets.shape == expected.shape
    assert (targets - expected).abs().mean() < 0.02
    inside = (expected == 0) | (expected == 1)
    assert (targets - expected)[inside].abs().mean() < 0.003
    logits = torch.randn(targets.shape, generator=torch.Generator().manual_seed(0)) + 4 * (expected - 0.5)
    losses = [torch.nn.functional.binary_cross_entropy_with_logits(logits, one) for one in (targets, expected)]
    torch.testing.assert_close(*losses, rtol=0.05, atol=0)


def test_fractions_of_pixels_count():
    """A rectangle that covers 2.5 of 4 cells in both directions, at places that are no whole pixels."""
    outline = [[0.25, 0.5, 2.75, 0.5, 2.75, 3.0, 0.25, 3.0]]
    (target,) = mask_targets([outline], torch.tensor([0]), torch.tensor([[0.25, 0.5, 4.25, 4.5]]), 4)
    expected = torch.tensor([1, 1, 0.5, 0])
    assert torch.equal(target, expected[:, None] * expected[None, :])


def test_parts_are_joined_and_a_box_far_away_is_empty():
    outline = [[0.0, 0, 2, 0, 2, 4, 0, 4], [1.0, 0, 3, 0, 3, 4, 1, 4]]
    boxes = torch.tensor([[0.0, 0, 4, 4], [10, 10, 14, 14]])
    targets = mask_targets([[[8.0, 8, 9, 8, 9, 9]], outline], torch.tensor([1, 1]), boxes, 4)
    assert torch.equal(targets[0], torch.tensor([1.0, 1, 1, 0]).expand(4, 4))
    assert not targets[1].any()


@pytest.mark.parametrize("outlines", [[], [[[1.0, 1, 2, 1, 2, 2]]]])
def test_no_proposals_give_no_targets(outlines):
    targets = mask_targets(outlines, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), CELLS)
    assert targets.shape == (0, CELLS, CELLS)


class WithBitmaps(LateMaskHeads):
    """torchvision's own way, for comparison."""

    has_mask = RoIHeads.has_mask
    select_training_samples = RoIHeads.select_training_samples

    def forward(self, features, proposals, image_shapes, targets=None):
        for target, (height, width) in zip(targets, image_shapes, strict=True):
            masks = [rasterize(outline, height, width) for outline in target["outlines"]]
            target["masks"] = torch.from_numpy(np.array(masks, dtype=np.uint8).reshape(-1, height, width))
        return RoIHeads.forward(self, features, proposals, image_shapes, targets)


def test_all_losses_are_those_of_torchvision(tmp_path):
    """The same boxes, classes and proposals; the mask loss differs by the drawing alone."""
    task = load_task("instance_segmentation")
    torch.manual_seed(0)
    network = task.build_network(TINY_MODEL, 2).train()
    dataset = make_dataset(tmp_path)
    batch = [dataset.sample(index, position=index) for index in range(4)]
    with torch.no_grad():
        late = task.losses(network, batch, CPU)
        network.roi_heads = WithBitmaps.of(network.roi_heads)
        bitmaps = task.losses(network, batch, CPU)
    assert late.keys() == bitmaps.keys()
    for name in late.keys() - {"mask"}:
        torch.testing.assert_close(late[name], bitmaps[name])
    torch.testing.assert_close(late["mask"], bitmaps["mask"], rtol=0.05, atol=0)


def test_images_without_objects_have_a_loss_with_a_gradient(tmp_path):
    task = load_task("instance_segmentation")
    network = task.build_network(TINY_MODEL, 2).train()
    dataset = make_dataset(tmp_path, images=1)
    dataset._annotations.clear()
    losses = task.losses(network, [dataset.sample(0, 0)], CPU)
    assert losses["mask"] == 0
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in network.roi_heads.mask_head.parameters())


def test_parameters_keep_their_names_and_bytes():
    """A model file of an earlier release is loaded into the same network."""
    task = load_task("instance_segmentation")
    torch.manual_seed(0)
    network = task.build_network(TINY_MODEL, 2)
    names = [name for name in network.state_dict() if name.startswith("roi_heads.")]
    assert "roi_heads.mask_head.0.0.weight" in names
    assert "roi_heads.box_head.fc6.weight" in names
    assert type(network.roi_heads) is LateMaskHeads
