"""The losses of classification: those of PyTorch where it has them, soft targets, parts of a batch, and refusals."""

import math

import pytest
import torch
from torch.nn import functional

from sightline.config.decode import decode
from sightline.errors import ConfigurationError
from sightline.runs.configuration_checks import check_configuration
from sightline.tasks.base import load_task
from sightline.tasks.classification.loss_settings import LabelSetHead, Loss
from sightline.tasks.classification.losses import initial_loss, label_set_loss, soft_f1_loss
from tests.classified import NETWORKS, SEVERAL, fitted, sample_of, write_coco

ONE = LabelSetHead(name="class", classes=("a", "b", "c"), class_weights=(0.5, 1.0, 1.5))
ANY = LabelSetHead(name="marks", classes=("a", "b", "c"), multiple=True, class_weights=(0.5, 1.0, 1.5))


def made_up(images=7, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(images, 3, generator=random), torch.randint(0, 3, (images,), generator=random)


def one_hot(labels):
    return functional.one_hot(labels, 3).float()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_of_pytorch(smoothing):
    logits, labels = made_up()
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    found = label_set_loss(logits, one_hot(labels), ONE, (Loss(label_smoothing=smoothing),))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_mixed_targets_are_a_mixture_of_losses():
    """What MixUp makes of two images: 0.3 of one class and 0.7 of another."""
    logits, labels = made_up()
    other = (labels + 1) % 3
    mixed = 0.3 * one_hot(labels) + 0.7 * one_hot(other)
    expected = 0.3 * functional.cross_entropy(logits, labels) + 0.7 * functional.cross_entropy(logits, other)
    assert label_set_loss(logits, mixed, ONE, ()).item() == pytest.approx(expected.item(), rel=1e-6)
    assert functional.cross_entropy(logits, mixed).item() == pytest.approx(expected.item(), rel=1e-6)


def test_balanced_classes_count_alike():
    logits, labels = made_up(9)
    losses = functional.cross_entropy(logits, labels, reduction="none")
    expected = (losses * torch.tensor(ONE.class_weights)[labels]).mean()
    found = label_set_loss(logits, one_hot(labels), ONE, (Loss(class_weights="balanced"),))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_binary_cross_entropy_is_that_of_pytorch():
    logits, _ = made_up()
    target = torch.rand(7, 3)
    expected = functional.binary_cross_entropy_with_logits(logits, target)
    assert label_set_loss(logits, target, ANY, ()).item() == pytest.approx(expected.item(), rel=1e-6)


def test_focal_loss_by_its_formula():
    logits, labels = made_up()
    right = logits.softmax(dim=1)[torch.arange(7), labels]
    expected = (-((1 - right) ** 2) * right.log()).mean()
    focal = (Loss(name="focal", gamma=2.0),)
    assert label_set_loss(logits, one_hot(labels), ONE, focal).item() == pytest.approx(expected.item(), rel=1e-5)
    from torchvision.ops import sigmoid_focal_loss

    target = one_hot(labels)
    expected = sigmoid_focal_loss(logits, target, alpha=-1, gamma=2, reduction="mean")
    assert label_set_loss(logits, target, ANY, focal).item() == pytest.approx(expected.item(), rel=1e-5)
    plain = (Loss(name="focal", gamma=0.0),)
    expected = functional.cross_entropy(logits, labels)
    assert label_set_loss(logits, one_hot(labels), ONE, plain).item() == pytest.approx(expected.item(), rel=1e-6)


def test_soft_f1_of_sure_answers_is_macro_f1():
    from sklearn.metrics import f1_score

    labels, said = torch.tensor([0, 0, 1, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 1, 2, 0, 2])
    found = soft_f1_loss(100 * one_hot(said), one_hot(labels), multiple=False)
    assert 1 - found.item() == pytest.approx(f1_score(labels, said, average="macro"), abs=1e-5)
    several = soft_f1_loss(200 * one_hot(said) - 100, one_hot(labels), multiple=True)
    assert 1 - several.item() == pytest.approx(f1_score(labels, said, average="macro"), abs=1e-5)
    absent = soft_f1_loss(100 * one_hot(labels[:4]), one_hot(labels[:4]), multiple=False)
    assert absent.item() == pytest.approx(0, abs=1e-5)  # the third class is not in the batch


def test_terms_are_summed_with_their_weights():
    logits, labels = made_up()
    target = one_hot(labels)
    both = (Loss(name="focal", weight=0.5), Loss(name="f1", weight=2.0))
    alone = [label_set_loss(logits, target, ONE, (one,)).item() for one in both]
    assert label_set_loss(logits, target, ONE, both).item() == pytest.approx(sum(alone), rel=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_parts_of_a_batch_give_the_loss_of_the_whole(name):
    logits, labels = made_up(8)
    loss = (Loss(name=name, class_weights="balanced"),)
    whole = label_set_loss(logits, one_hot(labels), ONE, loss)
    parts = [label_set_loss(logits[part], one_hot(labels[part]), ONE, loss) for part in (slice(0, 2), slice(2, 8))]
    assert (2 * parts[0] + 6 * parts[1]).item() / 8 == pytest.approx(whole.item(), rel=1e-6)


@pytest.mark.parametrize("label_set", [ONE, ANY], ids=lambda one: one.name)
@pytest.mark.parametrize("name", ["usual", "focal"])
def test_the_first_loss_is_that_of_equal_probabilities(label_set, name):
    losses = () if name == "usual" else (Loss(name=name, weight=3.0),)
    _, labels = made_up(30)
    found = label_set_loss(torch.zeros(30, 3), one_hot(labels), label_set, losses)
    assert found.item() == pytest.approx(initial_loss(label_set, losses), rel=1e-6)
    assert initial_loss(label_set, (Loss(name="f1"),)) is None


def test_each_label_set_has_its_loss(tmp_path):
    task = load_task("classification")
    model = fitted(task, "cnn", write_coco(tmp_path, 8, sets=SEVERAL))
    torch.manual_seed(0)
    network = task.build_network(model, 7)
    found = task.losses(
        network, [sample_of([1, 0, 0, 1, 0, 1, 1]), sample_of([0, 1, 1, 0, 0, 0, 0])], torch.device("cpu")
    )
    assert list(found) == ["shape", "colour", "marks"]
    assert task.initial_losses(model, 7) == pytest.approx(
        {"shape": math.log(2), "colour": math.log(3), "marks": math.log(2)}
    )
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    found = task.losses(network, [sample_of([1, 0, 0, 1, 0, 1, 1])], torch.device("cpu"))
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(task.initial_losses(model, 7))


SETS = "data.label_sets={mask: [with, without], marks: {classes: [bar, dot], multiple: true}}"


def faults(*overrides):
    with pytest.raises(ConfigurationError) as caught:
        check_configuration(decode("classification_small", [SETS, *overrides]), elsewhere=True)
    return str(caught.value)


def test_losses_that_do_not_fit_are_refused_before_training():
    text = faults("model.loss=cross_entropy")
    assert "cross_entropy does not fit the label set marks" in text
    assert "mask" not in text
    text = faults("model.loss=[{name: binary_cross_entropy}, {name: f1, label_sets: [masks]}]")
    assert "binary_cross_entropy does not fit the label set mask" in text
    assert "unknown label set 'masks'" in text
    assert "no loss for the label set marks" in faults("model.loss=[{name: focal, label_sets: [mask]}]")
    text = faults("model.loss=[{name: f1, class_weights: balanced}, {name: focal, label_smoothing: 0.1}]")
    assert "loss.0.class_weights" in text
    assert "loss.1.label_smoothing" in text


def test_losses_that_fit_are_accepted():
    for loss in (
        "[]",
        "f1",
        "[focal, f1]",
        "[{name: cross_entropy, label_sets: [mask], label_smoothing: 0.1}, {name: focal, label_sets: [marks]}]",
    ):
        check_configuration(decode("classification_small", [SETS, f"model.loss={loss}"]), elsewhere=True)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.loss=hinge", "model.loss"),
        ("model.dropout=1", "model.dropout"),
        ("model.loss=[{name: focal, gamma: -1}]", "gamma"),
        ("model.width=4", "model.width"),
        ("model.network=resnet", "model.network"),
        ("model.attention_heads=3", "attention_heads"),
    ],
)
def test_values_out_of_range_are_refused(override, named):
    with pytest.raises(ConfigurationError) as caught:
        decode("classification_small", ["data.classes=[a, b]", override])
    assert named in str(caught.value)


def test_unknown_backbones_are_refused_with_a_suggestion():
    def check(backbone, size=224):
        overrides = ["data.classes=[a, b]", f"model.backbone={backbone}", f"model.image_size={size}"]
        check_configuration(decode("classification", overrides), elsewhere=True)

    for known in ("resnet18", "timm:resnet18", "efficientnet_b2"):
        check(known)
    with pytest.raises(ConfigurationError) as caught:
        check("efficientnet_b00")
    assert "did you mean efficientnet_b0?" in str(caught.value)
    check("vit_tiny_patch16_224", 96)  # made for 224 pixels, but timm can build it for others
    with pytest.raises(ConfigurationError) as caught:
        check("inception_v4", 64)
    assert "inception_v4 cannot classify images of 64 pixels" in str(caught.value)


def test_settings_do_not_change_when_fitted_again(tmp_path):
    task = load_task("classification")
    document = write_coco(tmp_path, 4, sets=SEVERAL)
    once = task.fitted(NETWORKS["cnn"], document)
    assert task.fitted(once, document) == once
