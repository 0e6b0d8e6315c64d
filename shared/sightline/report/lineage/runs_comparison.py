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
        a: Of the first run's model, 0 to 1; None where it was not measured.
        b: Of the second run's.
    """

    split: str
    name: str
    a: float | None
    b: float | None

    @property
    def difference(self) -> float | None:
        """How much better (positive) the second run's model is; None where one was not measured."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True, slots=True)
class RunSide:
    """One of two runs.

    Attributes:
        run: The run.
        training_tag: What its model was measured on; empty where there is no model.
        digest: Of that training set; empty where it is not registered.
        model: The SHA-256 of the model that stands for it; empty where it has none.
        role: What that model was: ``best candidate by mask_AP``, ``selected by mask_AP`` in runs of earlier releases,
            or ``best``.
        selected: The selected model's SHA-256, by metric.
        champion: SHA-256 of the champion that stayed by the metric of ``role``; empty where none did.
        became: What the model was from then on, such as ``became champion``; empty where it was no champion.
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
        configuration: Where their configurations differ; places such as ``work.dir`` left out.
        metrics: Of the models that stand for them, val first.
    """

    a: RunSide
    b: RunSide
    configuration: list[Difference]
    metrics: list[ComparedMetric]

    def document(self) -> dict[str, Any]:
        """As JSON values; the keys are stable."""
        return {
            "a": _side_document(self.a),
            "b": _side_document(self.b),
            "configuration": {one.path: {"a": one.before, "b": one.now} for one in self.configuration},
            "metrics": [asdict(one) | {"difference": one.difference} for one in self.metrics],
        }


def compare_runs(a: Lineage, b: Lineage) -> Comparison:
    """Compare two runs.

    The model that stands for a run is its own best candidate by its first metric, whether or not it became champion;
    before there is one, its best.

    Args:
        a: The lineage of the first run.
        b: The lineage of the second.
    """
    sides = (_side(a), _side(b))
    found = differences(run_configuration(sides[0].run), run_configuration(sides[1].run))
    values = [_values(lineage, side) for lineage, side in zip((a, b), sides, strict=True)]
    keys = sorted(values[0].keys() | values[1].keys(), key=lambda key: (key[0] != "val", metric_order(key[1])))
    return Comparison(
        a=sides[0],
        b=sides[1],
        configuration=[one for one in found if not any(f"{one.path}.".startswith(f"{place}.") for place in PLACES[1:])],
        metrics=[ComparedMetric(*key, values[0].get(key), values[1].get(key)) for key in keys],
    )


def _side(lineage: Lineage) -> RunSide:
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
    """Whether the run made a model the champion by a metric, or found it to be so."""
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
    """The run's own training set: what was made from its annotation tag, or what its candidates were trained on."""
    asked = lineage.runs[0].record.dataset_tag
    own = [
        version.row.record.tag
        for version in lineage.training_sets
        if asked in {version.row.record.parent_tag, version.row.record.tag}
    ]
    return own[0] if own else "" if model is None else model.record.training_tag


def _values(lineage: Lineage, side: RunSide) -> dict[tuple[str, str], float]:
    return {
        (scores.split, name): value
        for model in lineage.models
        if model.record.sha256 == side.model
        for scores in model.scores
        if scores.dataset_tag == side.training_tag
        for name, value in scores.values.items()
    }


def _side_document(side: RunSide) -> dict[str, Any]:
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
