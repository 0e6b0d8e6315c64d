"""Training and prediction of classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import nn

from sightline.config.network import Network
from sightline.data.formats.coco import CocoDocument
from sightline.data.label_schema import LabelSetSchema, label_sets
from sightline.data.loading.dataset import Sample
from sightline.errors import ConfigurationError, DataError
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.models.weights.loading import ClassRows
from sightline.tasks.base import Task
from sightline.tasks.classification.loss_settings import LabelSetHead, loss_faults
from sightline.tasks.classification.losses import initial_loss, label_set_loss
from sightline.tasks.classification.network import HEAD, ClassifierNetwork, build_classifier
from sightline.tasks.classification.prediction import Classification
from sightline.tasks.classification.predictor import ClassificationPredictor
from sightline.tasks.classification.scores import overall
from sightline.tasks.classification.settings import Classifier
from sightline.tasks.classification.truth import results_of


class ClassificationTask(Task):
    """Classification of whole images by one or several label sets."""

    name = "classification"
    class_rows = MappingProxyType({f"{HEAD}.{kind}": ClassRows(background=False) for kind in ("weight", "bias")})

    def fitted(self, model: Network, truth: CocoDocument) -> Network:
        """The settings with the label sets of the train split, and the weights of their classes.

        Raises:
            ConfigurationError: A loss does not fit a label set.
            DataError: The training set has no label sets, or they do not list its categories in their order.
        """
        assert isinstance(model, Classifier)  # noqa: S101
        schemas = label_sets(truth)
        listed = [id_ for schema in schemas for id_ in schema.category_ids]
        if not schemas or listed != [category["id"] for category in truth["categories"]]:
            raise DataError(
                "the training set has no label sets with its categories in their order; record it again with the task "
                "classification"
            )
        faults = list(loss_faults(model.loss, {schema.name: schema.multiple for schema in schemas}))
        if faults:
            raise ConfigurationError("\n  ".join(faults))
        return model.model_copy(update={"label_sets": tuple(_head(schema, truth) for schema in schemas)})

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """Build the classifier with random weights."""
        return build_classifier(model, num_classes)

    def losses(self, network: nn.Module, batch: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
        """The loss of each label set, by its name."""
        assert isinstance(network, ClassifierNetwork)  # noqa: S101
        images = [as_tensor(sample.image).to(device, non_blocking=True) for sample in batch]
        targets = torch.from_numpy(np.stack([_image_labels(sample) for sample in batch])).to(device)
        counts = [len(one.classes) for one in network.label_sets]
        logits = torch.split(network(network.batch(images)), counts, dim=1)
        return {
            one.name: label_set_loss(found, target, one, network.settings.loss)
            for one, found, target in zip(network.label_sets, logits, torch.split(targets, counts, dim=1), strict=True)
        }

    def initial_losses(self, model: Network, num_classes: int) -> dict[str, float]:  # noqa: ARG002
        """The losses if all classes are equally probable; without those that theory does not give."""
        assert isinstance(model, Classifier)  # noqa: S101
        found = {one.name: initial_loss(one, model.loss) for one in model.label_sets}
        return {name: value for name, value in found.items() if value is not None}

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> ClassificationPredictor:
        """A predictor that uses the network."""
        return ClassificationPredictor(network, card, device)

    def thresholds(self, truth: CocoDocument, predictions: Sequence[Classification]) -> dict[str, float]:
        """The operating thresholds with the highest F1 on the val split, by class."""
        names = {category["id"]: category["name"] for category in truth["categories"]}
        return {
            names[id_]: float(np.float32(value))
            for results in results_of(truth, predictions)
            for id_, value in zip(results.schema.category_ids, results.best_thresholds(), strict=True)
            if not np.isnan(value)
        }

    def evaluate(
        self,
        truth: CocoDocument,
        predictions: Sequence[Classification],
        reading: str = "none",  # noqa: ARG002
    ) -> dict[str, float]:
        """The metrics of a validation, with the thresholds that are chosen on it, as in the model file."""
        chosen = [
            replace(results, thresholds=results.best_thresholds().astype(np.float32).astype(np.float64))
            for results in results_of(truth, predictions)
        ]
        return overall(chosen)[0]


def _head(schema: LabelSetSchema, truth: CocoDocument) -> LabelSetHead:
    """The label set, with the weights of its classes, that is the inverse of their frequencies, 1 on average."""
    counts = [_count(truth, id_) for id_ in schema.category_ids]
    weights = [sum(counts) / (len(counts) * max(1, count)) for count in counts]
    return LabelSetHead(
        name=schema.name,
        classes=schema.classes,
        multiple=schema.multiple,
        class_weights=tuple(max(weight, 1e-6) for weight in weights),
    )


def _count(truth: CocoDocument, category_id: int) -> int:
    return sum(category_id in image.get("labels", ()) for image in truth["images"])


def _image_labels(sample: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if sample.image_labels is None:
        raise DataError(f"image {sample.image_id} has no labels; record the training set with the task classification")
    return sample.image_labels


TASK = ClassificationTask()
