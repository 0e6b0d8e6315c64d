"""Heat maps: targets, loss, decoding between the cells, and crops that shift nothing."""

import math

import pytest
import torch

from sightline.tasks.keypoints.crops import crop_regions, cut_crops, keypoints_in_image, keypoints_in_maps
from sightline.tasks.keypoints.maps import decode_maps, map_losses, map_targets
from tests.arrows import HEATMAP

HEIGHT, WIDTH = 24, 32


def points(number, border=4.0, seed=0):
    """Keypoints in cells, visible."""
    generator = torch.Generator().manual_seed(seed)
    places = border + torch.rand((number, 3, 2), generator=generator) * torch.tensor([WIDTH, HEIGHT]).sub(2 * border)
    return torch.cat((places, torch.full((number, 3, 1), 2.0)), dim=-1)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_a_perfect_map_gives_its_keypoint_back(sigma):
    wanted = points(50)
    targets, weights = map_targets(wanted, HEIGHT, WIDTH, sigma)
    assert targets.flatten(2).sum(dim=-1).allclose(torch.ones(50, 3))
    assert weights.all()
    found = decode_maps(torch.log(targets.clamp(min=1e-30)), sigma)
    assert (found[..., :2] - wanted[..., :2]).abs().max() < 0.01
    assert (found[..., 2] > 0.85).all()
    assert map_losses(torch.log(targets.clamp(min=1e-30)), targets).abs().max() < 1e-4


def test_a_highest_cell_alone_is_up_to_half_a_cell_off():
    """What decoding between the cells is for."""
    wanted = points(200)
    targets, _ = map_targets(wanted, HEIGHT, WIDTH, 2.0)
    index = targets.flatten(2).argmax(dim=-1)
    cells = torch.stack((index % WIDTH + 0.5, index // WIDTH + 0.5), dim=-1)
    assert (cells - wanted[..., :2]).abs().mean() > 0.2


def test_noise_moves_a_keypoint_little():
    wanted = points(200)
    targets, _ = map_targets(wanted, HEIGHT, WIDTH, 2.0)
    noise = 1 + 0.1 * torch.randn(targets.shape, generator=torch.Generator().manual_seed(1))
    found = decode_maps(torch.log((targets * noise).clamp(min=1e-30)), 2.0)
    assert (found[..., :2] - wanted[..., :2]).norm(dim=-1).mean() < 0.25


def test_a_map_that_knows_nothing_has_a_low_score_and_a_place_inside():
    found = decode_maps(torch.zeros(1, 2, HEIGHT, WIDTH), 1.0)
    assert (found[..., 2] <= 25 / (HEIGHT * WIDTH) + 1e-6).all()
    assert found.isfinite().all()


def test_the_loss_of_equal_logits_is_what_theory_gives():
    wanted = points(20, border=9)
    targets, _ = map_targets(wanted, HEIGHT, WIDTH, 1.5)
    expected = math.log(HEIGHT * WIDTH) - math.log(2 * math.pi * math.e * 1.5**2)
    assert map_losses(torch.zeros_like(targets), targets).mean().item() == pytest.approx(expected, abs=0.05)


def test_hidden_keypoints_count_and_absent_or_outside_ones_do_not():
    wanted = torch.tensor([[[5.0, 5.0, 2.0], [5.0, 5.0, 1.0], [5.0, 5.0, 0.0], [-0.1, 5.0, 2.0], [5.0, 24.1, 2.0]]])
    assert map_targets(wanted, HEIGHT, WIDTH, 1.0)[1].tolist() == [[1.0, 1.0, 0.0, 0.0, 0.0]]


def test_a_crop_has_its_shape_and_shows_the_padded_box():
    (region,) = crop_regions(torch.tensor([[10.0, 20.0, 30.0, 30.0]]), HEATMAP)
    assert region.tolist() == pytest.approx([7.5, 12.5, 32.5, 37.5])  # 64 x 64 pixels, so a square of 1.25 * 20


def test_a_crop_shifts_nothing():
    """A bright dot of an image lies in the crop where the coordinates say, also in a mirrored crop."""
    image = torch.zeros(1, 3, 60, 80)
    image[..., 25, 33] = 1.0  # the middle of this pixel is at (33.5, 25.5)
    regions = crop_regions(torch.tensor([[20.0, 12.0, 44.0, 40.0]]), HEATMAP)
    crop = cut_crops(image, torch.zeros(1), regions, HEATMAP)[0, 0]
    for mirrored in (False, True):
        shown = crop.flip(-1) if mirrored else crop
        x = (shown.sum(dim=0) * (torch.arange(64) + 0.5)).sum() / shown.sum()
        y = (shown.sum(dim=1) * (torch.arange(64) + 0.5)).sum() / shown.sum()
        place = torch.tensor([[[64 - x if mirrored else x, y, 2.0]]])
        found = keypoints_in_image(place, regions, (64, 64))
        assert found[0, 0, :2].tolist() == pytest.approx([33.5, 25.5], abs=0.02)
        assert keypoints_in_maps(found, regions, (64, 64)).allclose(place, atol=1e-4)
