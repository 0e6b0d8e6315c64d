"""A classifier is trained by the engine: with averaged weights and thresholds, and on after an interruption."""

import pytest
import torch

from sightline.config.hooks import Ema, Hooks
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.hooks.base import open_hooks
from sightline.engine.loop import train
from sightline.engine.pace import Pace
from sightline.engine.state import Validation
from sightline.engine.training import assemble
from sightline.models.model_file import read_card
from sightline.tasks.base import load_model, load_predictor, load_task
from sightline.tasks.batch_inference import predict_images
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.evaluators import open_evaluator
from tests.classified import SEVERAL, TINY_TRAIN, fitted, make_card, make_dataset, write_coco

SETTINGS = TINY_TRAIN.model_copy(update={"hooks": Hooks(ema=Ema(decay=0.9)), "sampling": "class_balanced"})


class Interrupted(Exception):  # noqa: N818
    """Stands for whatever ends a process."""


class Failing(ClassificationTask):
    """Fails at the fifth batch."""

    batches = 0

    def losses(self, network, batch, device):
        self.batches += 1
        if self.batches == 5:
            raise Interrupted
        return super().losses(network, batch, device)


def run(folder, task=None):
    task = task or load_task("classification")
    dataset, document = make_dataset(folder / "train", 9, sets=SEVERAL, loading=SETTINGS)
    truth = write_coco(folder / "val", 12, first=40, sets=SEVERAL)
    model = fitted(task, "cnn", document, width=8, stages=2, dropout=0.2)
    torch.manual_seed(0)
    training = assemble(
        task,
        task.build_network(model, 7),
        dataset,
        Validation(truth, folder / "val", 10**6),
        SETTINGS,
        seed=0,
        device=torch.device("cpu"),
        card=make_card(model, SEVERAL, iteration=0, metrics={}),
        files=folder,
    )
    pace = Pace(training.total, training.device, for_gpu=False, short_names=task.short_names)
    state = train(training, open_hooks(SETTINGS.hooks), Checkpoints(folder / "checkpoints", None, minutes=5), pace)
    return training, state, truth


def test_a_resumed_training_is_the_same_as_an_uninterrupted_one(tmp_path):
    _, whole, _ = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", Failing())
    _, resumed, _ = run(tmp_path / "parts")
    assert resumed.iteration == whole.iteration == SETTINGS.iterations
    for name in ("best", "last", "last_live"):
        one, other = (load_model(tmp_path / place / f"{name}.safetensors") for place in ("whole", "parts"))
        assert one[1] == other[1]
        for key, tensor in one[0].state_dict().items():
            assert torch.equal(tensor, other[0].state_dict()[key]), key


def test_the_file_says_what_the_validation_measured(tmp_path):
    _, state, truth = run(tmp_path)
    card = read_card(tmp_path / "last.safetensors")
    assert set(card.thresholds) == {"shape/disc", "marks/bar", "marks/dot"}
    assert {"loss_shape", "loss_colour", "loss_marks"} <= set(state.history[-1])
    assert {"accuracy", "joint_accuracy", "accuracy/shape"} <= set(card.metrics)
    predictor = load_predictor(tmp_path / "last.safetensors", "cpu")
    found = predict_images(predictor, truth["images"], tmp_path / "val", max_pixels=10**6, description="test")
    assert found[0].label_sets[2].thresholds.tolist() == pytest.approx(
        [card.thresholds["marks/bar"], card.thresholds["marks/dot"]]
    )
    names = {one["id"]: one["name"] for one in truth["categories"]}
    measured = open_evaluator("classification", "none", names).measure(truth, found, 0.5)
    assert {name: measured.metrics[name] for name in card.metrics} == pytest.approx(card.metrics)
