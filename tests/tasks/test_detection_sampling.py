import pytest
import torch
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from sightline.tasks.base import load_task
from sightline.tasks.detection.sampling import SeededSampler
from tests.squares import TINY_MODEL, make_dataset

CPU = torch.device("cpu")


def labels(positives, negatives, ignored=3):
    return torch.cat([torch.full((count,), value) for count, value in ((positives, 2), (negatives, 0), (ignored, -1))])


@pytest.mark.parametrize(
    ("positives", "negatives"),
    [(20, 50), (2, 50), (0, 50), (20, 3), (0, 0), (1, 0)],
)
def test_as_many_are_chosen_as_torchvision_chooses(positives, negatives):
    given = labels(positives, negatives)
    expected = BalancedPositiveNegativeSampler(16, 0.25)([given])
    sampler = SeededSampler(16, 0.25, 0)
    sampler.use([5])
    for (mine,), (theirs,), sign in zip(sampler([given]), expected, (1, 0), strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.sum() == theirs.sum()
        assert (given[mine > 0].clamp(max=1) == sign).all()


def test_the_choice_for_an_image_depends_on_its_seed_alone():
    given = labels(20, 50)
    sampler = SeededSampler(16, 0.25, 0)

    def chosen(*seeds):
        sampler.use(seeds)
        return [torch.cat(pair) for pair in zip(*sampler([given] * len(seeds)), strict=True)]

    together = chosen(3, 2**63 - 1, 3)
    assert torch.equal(together[0], together[2])
    assert torch.equal(together[1], chosen(2**63 - 1)[0])
    assert not torch.equal(together[0], together[1])
    other = SeededSampler(16, 0.25, 1)
    other.use([3])
    assert not torch.equal(torch.cat([part[0] for part in other([given])]), together[0])


def test_every_candidate_is_chosen_equally_often():
    given, sampler = labels(8, 40), SeededSampler(16, 0.25, 0)
    counts = torch.zeros(len(given))
    for seed in range(400):
        sampler.use([seed])
        counts += sum(part[0] for part in sampler([given]))
    assert (counts[:8] / 400 - 4 / 8).abs().max() < 0.1
    assert (counts[8:48] / 400 - 12 / 40).abs().max() < 0.1


@pytest.mark.parametrize("task", ["instance_segmentation", "object_detection"])
def test_an_image_has_the_same_losses_in_any_batch(tmp_path, task):
    """The sum over micro-batches of one image, weighted as one batch, with other random numbers drawn in between."""
    task = load_task(task)
    torch.manual_seed(0)
    network = task.build_network(TINY_MODEL if task.name == "instance_segmentation" else box_model(), 2).train()
    for module in network.modules():  # statistics of a batch would make its images depend on each other
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    dataset = make_dataset(tmp_path)
    samples = [dataset.sample(index, position=index) for index in range(3)]
    with torch.no_grad():
        alone = task.losses(network, samples[1:2], CPU)
        torch.rand(5)
        again = task.losses(network, samples[1:2], CPU)
        batch = task.losses(network, samples, CPU)
        parts = [task.losses(network, [sample], CPU) for sample in samples]
    assert {name: loss.item() for name, loss in alone.items()} == {name: loss.item() for name, loss in again.items()}
    # The objectness loss has the same number of anchors in every image, so that its mean is that of the images.
    expected = torch.stack([part["objectness"] for part in parts]).mean()
    torch.testing.assert_close(batch["objectness"], expected, rtol=1e-5, atol=1e-6)


def box_model():
    from sightline.tasks.object_detection.settings import BoxDetector

    shared = {name: getattr(TINY_MODEL, name) for name in BoxDetector.model_fields if hasattr(TINY_MODEL, name)}
    return BoxDetector(**shared)


def test_images_of_other_shapes_do_not_change_an_image(tmp_path):
    """An image is padded to the canvas of the whole batch even if it is alone in its micro-batch."""
    task = load_task("object_detection")
    torch.manual_seed(0)
    network = task.build_network(box_model(), 2).train()
    dataset = make_dataset(tmp_path)
    wide, tall = (dataset.sample(0, 0, canvas_hw=canvas) for canvas in ((48, 64), (128, 64)))
    with torch.no_grad():
        sizes = [
            network.transform([torch.zeros(3, 48, 64)], [task.target(one, CPU)])[0].tensors.shape
            for one in (wide, tall)
        ]
    assert sizes == [(1, 3, 64, 64), (1, 3, 128, 64)]
