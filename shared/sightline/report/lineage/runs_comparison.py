"""Two runs side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sightline.config.difference import PLACES, Difference, differences
from sightline.database import Lineage, ModelLineage, RunRow
from sightline.report.lineage.document import run_configuration, run_seconds
from sightline.report.lineage.wording import metric_order


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric of both runs' models.

    Attributes:
        split: ``val`` or ``test``.
        name: Such as ``mask_AP``.
        a: Value of the first run's model, 0 to 1; None if it was not measured.
        b: Value of the second run's model.
    """

    split: str
    name: str
    a: float | None
    b: float | None

    @property
    def difference(self) -> float | None:
        """``b - a``, positive if the second run's model is better; None if either was not measured."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True, slots=True)
class RunSide:
    """One of the two runs.

    Attributes:
        run: The run.
        training_tag: Training set that its model was measured on; empty if there is no model.
        digest: Digest of that training set; empty if it is not registered.
        model: SHA-256 of the model that represents the run; empty if it has none.
        role: Role of that model: ``best candidate by mask_AP``, ``selected by mask_AP`` in runs of earlier releases, or
            ``best``.
        selected: SHA-256 of the selected model, by metric.
        champion: SHA-256 of the champion that was kept by the metric of ``role``; empty if none was.
        became: Whether the model is champion, such as ``its model became champion``; empty if it is not.
    """

    run: RunRow
    training_tag: str
    digest: str
    model: str
    role: str
    selected: dict[str, str]
    champion: str = ""
    became: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        a: The first.
        b: The second.
        configuration: Differences of their configurations, without locations such as ``work.dir``.
        metrics: Metrics of the models that represent them, val first.
    """

    a: RunSide
    b: RunSide
    configuration: list[Difference]
    metrics: list[ComparedMetric]

    def document(self) -> dict[str, Any]:
        """As JSON values; the keys are stable."""
        return {
            "a": side_document(self.a),
            "b": side_document(self.b),
            "configuration": {one.path: {"a": one.before, "b": one.now} for one in self.configuration},
            "metrics": [asdict(one) | {"difference": one.difference} for one in self.metrics],
        }


def compare_runs(a: Lineage, b: Lineage) -> Comparison:
    """Compare two runs.

    A run is represented by its best candidate by its first metric, whether or not it became champion; before evaluate
    has run, by its model ``best``.

    Args:
        a: The lineage of the first run.
        b: The lineage of the second.
    """
    sides = (run_side(a), run_side(b))
    found = differences(run_configuration(sides[0].run), run_configuration(sides[1].run))
    values = [measured_values(lineage, side) for lineage, side in zip((a, b), sides, strict=True)]
    keys = sorted(values[0].keys() | values[1].keys(), key=lambda key: (key[0] != "val", metric_order(key[1])))
    return Comparison(
        a=sides[0],
        b=sides[1],
        configuration=[one for one in found if not any(f"{one.path}.".startswith(f"{place}.") for place in PLACES[1:])],
        metrics=[ComparedMetric(*key, values[0].get(key), values[1].get(key)) for key in keys],
    )


def run_side(lineage: Lineage) -> RunSide:
    """A run with the model that represents it."""
    (run,) = lineage.runs
    roles = {
        (one.use.role, one.use.metric): model
        for model in lineage.models
        for one in model.uses
        if one.run_id == run.record.run_id
    }
    order = list(run_configuration(run).get("evaluate", {}).get("select_by", []))
    selected = {metric: model for (role, metric), model in roles.items() if role == "selected"}
    own = {metric: model for (role, metric), model in roles.items() if role == "proposed"}
    first = next((metric for metric in (*order, *selected) if metric in selected), None)
    chosen: ModelLineage | None
    champion = ""
    if first is not None and first in own:
        chosen, role = own[first], f"best candidate by {first}"
        stays = selected[first].record.sha256 != chosen.record.sha256
        champion = selected[first].record.sha256 if stays else ""
    elif first is not None:
        chosen, role = selected[first], f"selected by {first}"
    else:
        chosen, role = next(((roles[(name, "")], name) for name in ("best", "last") if (name, "") in roles), (None, ""))
    tag = _measured_on(lineage, chosen)
    digests = {version.row.record.tag: version.row.record.digest for version in lineage.training_sets}
    return RunSide(
        run=run,
        training_tag=tag,
        digest=digests.get(tag, ""),
        model="" if chosen is None else chosen.record.sha256,
        role=role,
        selected={metric: selected[metric].record.sha256 for metric in sorted(selected)},
        champion=champion,
        became="" if chosen is None or first is None else _became(lineage, chosen.record.sha256, first),
    )


def _became(lineage: Lineage, model: str, metric: str) -> str:
    """Whether the run promoted a model to champion by a metric, or the model was champion already."""
    (run,) = lineage.runs
    for one in lineage.promotions:
        if (one.model_sha256, one.metric) != (model, metric):
            continue
        if one.run_id == run.record.run_id:
            return "its model became champion"
        if one.promoted_at <= run.started_at and (one.replaced_at is None or one.replaced_at > run.started_at):
            return "its model was champion already"
    return ""


def _measured_on(lineage: Lineage, model: ModelLineage | None) -> str:
    """The run's training set: the one made from its annotation tag, or the one its candidates were trained on."""
    asked = lineage.runs[0].record.dataset_tag
    own = [
        version.row.record.tag
        for version in lineage.training_sets
        if asked in {version.row.record.parent_tag, version.row.record.tag}
    ]
    return own[0] if own else "" if model is None else model.record.training_tag


def measured_values(lineage: Lineage, side: RunSide) -> dict[tuple[str, str], float]:
    """The metrics of the model that represents a run, by split and name, on its own training set."""
    return {
        (scores.split, name): value
        for model in lineage.models
        if model.record.sha256 == side.model
        for scores in model.scores
        if scores.dataset_tag == side.training_tag
        for name, value in scores.values.items()
    }


def side_document(side: RunSide) -> dict[str, Any]:
    """A side as JSON values; the keys are stable."""
    return {
        "run_id": side.run.record.run_id,
        "state": side.run.state,
        "seconds": run_seconds(side.run),
        "dataset_tag": side.run.record.dataset_tag,
        "training_tag": side.training_tag,
        "digest": side.digest,
        "code_rev": side.run.record.code_rev,
        "configuration_digest": side.run.record.configuration_digest,
        "model": side.model,
        "role": side.role,
        "selected": side.selected,
        "champion": side.champion or None,
    }
