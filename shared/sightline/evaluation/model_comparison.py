"""Two models on the same images: differences of metrics with intervals, and the images that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.config.task_declarations import is_higher_better, known_metrics, task_declaration
from sightline.data.formats.coco import CocoDocument
from sightline.data.label_schema import keypoint_schema
from sightline.errors import DataError, ModelFileError
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.inference import names_by_id, related_images
from sightline.evaluation.shared_classes import SharedClasses, listed, shared_classes
from sightline.metrics.statistic import Statistic
from sightline.report.sections import Remark
from sightline.tasks.evaluators import Evaluator, Measurement, open_evaluator

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard
    from sightline.tasks.base import Prediction


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """A value of both models.

    Attributes:
        name: Name of the metric, or of the class.
        a: Value of the first model; None if it was not measured.
        b: Value of the second model.
        difference: ``b - a``.
        low: Lower limit of the 95 % interval of the difference; None without values per image.
        high: Upper limit.
        better: Probability that the second model is better, 0 to 1.
        higher_is_better: Whether larger values are better.
    """

    name: str
    a: float | None
    b: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    better: float | None = None
    higher_is_better: bool = True

    @property
    def sure(self) -> str:
        """The model whose advantage the interval shows, ``a`` or ``b``; empty if it includes 0."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return ""
        return "b" if (self.low > 0) == self.higher_is_better else "a"


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """An image and the mistakes of both models in it.

    Attributes:
        image_id: Its id in the split.
        image: Its path.
        a: The remark on the prediction of the first model.
        b: The remark on that of the second model.
    """

    image_id: int
    image: str
    a: Remark
    b: Remark


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One of the two models.

    Attributes:
        name: As the user named it.
        sha256: SHA-256 of the model file.
        card: Its card.
        predictions: For each image, restricted to the classes that are compared, with the category ids of the split.
        measured: Its measurement on these classes.
    """

    name: str
    sha256: str
    card: ModelCard
    predictions: Sequence[Prediction]
    measured: Measurement


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the same images.

    Attributes:
        tag: The training set.
        split: ``val`` or ``test``.
        truth: The split, restricted to the classes that are compared.
        root: The folder that its file names are relative to.
        evaluator: Draws predictions and truth.
        score: Lowest score of predictions that count.
        a: The first model.
        b: The second model.
        notes: What was left out, in full sentences.
        metrics: The metrics of both.
        class_metric: The metric of ``classes``.
        classes: One metric of each class.
        images: The images, those that the models treat most differently first.
    """

    tag: str
    split: str
    truth: CocoDocument
    root: Path
    evaluator: Evaluator
    score: float
    a: ComparedModel
    b: ComparedModel
    notes: list[str] = field(default_factory=list)
    metrics: list[ComparedValue] = field(default_factory=list)
    class_metric: str = ""
    classes: list[ComparedValue] = field(default_factory=list)
    images: list[ComparedImage] = field(default_factory=list)

    def better(self, model: str) -> list[ComparedImage]:
        """The images in which a model, ``a`` or ``b``, has fewer mistakes than the other; the clearest first."""
        sign = 1 if model == "b" else -1
        found = [one for one in self.images if sign * (one.a.mistakes - one.b.mistakes) > 0]
        return sorted(found, key=lambda one: (_rank(one, model), -abs(one.a.mistakes - one.b.mistakes)))

    @property
    def counts(self) -> dict[str, int]:
        """Number of images that both, only one, or none of the models predicts without a mistake."""
        right = [(not one.a.mistakes, not one.b.mistakes) for one in self.images]
        return {
            "both": right.count((True, True)),
            "only_a": right.count((True, False)),
            "only_b": right.count((False, True)),
            "neither": right.count((False, False)),
        }

    def document(self) -> dict[str, Any]:
        """As JSON values; the keys are stable."""
        return {
            "tag": self.tag,
            "split": self.split,
            "images": len(self.truth["images"]),
            "score": self.score,
            "a": {"model": self.a.name, "sha256": self.a.sha256, "training_tag": self.a.card.training_tag},
            "b": {"model": self.b.name, "sha256": self.b.sha256, "training_tag": self.b.card.training_tag},
            "notes": self.notes,
            "metrics": [asdict(one) for one in self.metrics],
            "class_metric": self.class_metric,
            "classes": [asdict(one) for one in self.classes],
            "without_mistakes": self.counts,
            "different": [
                {"image": one.image, "a": one.a.model_dump(), "b": one.b.model_dump()}
                for one in self.images
                if one.a.mistakes != one.b.mistakes
            ],
        }


def _rank(image: ComparedImage, model: str) -> bool:
    """False, which sorts first, for an image that this model predicts without a mistake."""
    return bool((image.b if model == "b" else image.a).mistakes)


def compare_models(
    models: tuple[tuple[str, Path], tuple[str, Path]],
    tag: str,
    split: str,
    truth: CocoDocument,
    root: Path,
    *,
    score: float,
    max_pixels: int,
    device: str = "auto",
) -> ModelComparison:
    """Run two models on a split, and compare them on the classes that both and the split have.

    Args:
        models: Name and file of the first and of the second model.
        tag: The training set.
        split: Name of the split.
        truth: The split.
        root: The folder that its file names are relative to.
        score: Lowest score of predictions that count as a decision.
        max_pixels: Images with more pixels are rejected.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ModelFileError: A file cannot be used, the tasks differ, or there is no common class.
        DataError: The split is empty, or an image cannot be read.
    """
    from sightline.files import file_sha256
    from sightline.models.model_file import read_card
    from sightline.tasks.base import load_predictor
    from sightline.tasks.batch_inference import predict_images
    from sightline.tasks.readers.registry import usable_reading

    if not truth["images"]:
        raise DataError(f"the {split} split of {tag} has no images; choose another split with --split")
    cards = [read_card(path) for _, path in models]
    common, shares, notes = _common_classes([name for name, _ in models], cards, truth, tag)
    reading, names = cards[0].reading if cards[0].reading == cards[1].reading else "none", names_by_id(truth)
    evaluator = open_evaluator(
        cards[0].task, usable_reading(reading, list(names.values())), names, keypoint_schema(truth)
    )
    measuring = evaluator if common.complete else evaluator.for_classes(common.names)
    compared = []
    for (name, path), shared in zip(models, shares, strict=True):
        predictor = load_predictor(path, device).for_split(truth)
        found = predict_images(predictor, truth["images"], root, max_pixels=max_pixels, description=f"run {name}")
        kept = common.restricted(shared.translated(found))
        measured = measuring.measure(common.truth(truth), kept, score)
        compared.append(ComparedModel(name, file_sha256(path), predictor.card, kept, measured))
    bare = ModelComparison(
        tag, split, common.truth(truth), root, evaluator, score, compared[0], compared[1], notes=notes
    )
    return with_differences(bare)


def _common_classes(
    names: Sequence[str], cards: Sequence[ModelCard], truth: CocoDocument, tag: str
) -> tuple[SharedClasses, list[SharedClasses], list[str]]:
    """The classes that both models and the split have, what each model shares with the split, and remarks."""
    if cards[0].task != cards[1].task:
        raise ModelFileError(
            f"{names[0]} was trained for {cards[0].task}, {names[1]} for {cards[1].task}; only models of one task can "
            "be compared"
        )
    shares = [shared_classes(card.classes, card.category_ids, truth) for card in cards]
    both = set(shares[0].names) & set(shares[1].names)
    ids = {name: id_ for id_, name in names_by_id(truth).items()}
    common = SharedClasses(
        names=tuple(name for name in ids if name in both),
        added=tuple(name for name in ids if name not in both),
        removed=(),
        ids={ids[name]: ids[name] for name in ids if name in both},
    )
    if not common.names:
        raise ModelFileError(
            f"{names[0]}, {names[1]} and {tag} have no class in common: {listed(cards[0].classes)}; "
            f"{listed(cards[1].classes)}; {listed(list(ids))}; compare them on a training set with their classes"
        )
    notes = (
        [f"Compared on the classes that both models know; left out: {listed(common.added)}."] if common.added else []
    )
    notes += [
        f"{name} also has classes that {tag} has not: {listed(shared.removed)}."
        for name, shared in zip(names, shares, strict=True)
        if shared.removed
    ]
    return common, shares, notes


def with_differences(bare: ModelComparison) -> ModelComparison:
    """A comparison of measured models, completed with differences of metrics and classes, and with images."""
    images = bare.truth["images"]
    resamples = Resamples(related_images(bare.truth))
    a, b = bare.a.measured, bare.b.measured
    declared = known_metrics([bare.a.card.task])
    main = task_declaration(bare.a.card.task).main_metric
    ranked = [main, *sorted(declared, key=lambda name: declared[name].place or np.inf)]
    order = [name for name in dict.fromkeys([*ranked, *a.metrics, *b.metrics]) if name in {*a.metrics, *b.metrics}]
    metrics = [
        _value(
            name,
            (a.metrics.get(name), b.metrics.get(name)),
            (a.statistics.get(name), b.statistics.get(name)),
            resamples,
            name,
        )
        for name in order
    ]
    class_metric = next((name for name in order if name in a.class_statistics and name in b.class_statistics), "")
    return replace(
        bare,
        metrics=metrics,
        class_metric=class_metric,
        classes=_classes(a, b, class_metric, resamples),
        images=[
            ComparedImage(image["id"], image["file_name"], a.remark(image["id"]), b.remark(image["id"]))
            for image in images
        ],
    )


def _classes(a: Measurement, b: Measurement, metric: str, resamples: Resamples) -> list[ComparedValue]:
    """The metric of each class that both have, the largest loss of the second model first."""
    if not metric:
        return []
    ours, theirs = a.class_statistics[metric], b.class_statistics[metric]
    found = []
    for name in ours:
        if name in theirs:
            values = [resamples.value(one[name]) for one in (ours, theirs)]
            numbers = (None if np.isnan(values[0]) else values[0], None if np.isnan(values[1]) else values[1])
            found.append(_value(name, numbers, (ours[name], theirs[name]), resamples, metric))
    return sorted(found, key=lambda one: np.inf if one.difference is None else one.difference)


def _value(
    name: str,
    values: tuple[float | None, float | None],
    statistics: tuple[Statistic | None, Statistic | None],
    resamples: Resamples,
    metric: str,
) -> ComparedValue:
    a, b = values
    plain = ComparedValue(name, a, b, higher_is_better=is_higher_better(metric))
    if a is None or b is None:
        return plain
    plain = replace(plain, difference=b - a)
    if statistics[0] is None or statistics[1] is None:
        return plain
    found = resamples.difference(statistics[1], statistics[0])
    if found is None or not len(found.samples):
        return plain
    above = found.probability_above(0.0)
    return replace(plain, low=found.low, high=found.high, better=above if plain.higher_is_better else 1 - above)
