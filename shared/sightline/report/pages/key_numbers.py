"""The headline metrics of a run: of its own candidates, compared with those of the champion that was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.report.pages.gate_view import GateView, gate_view
from sightline.report.pages.summary import ModelSummary, SelectionSummary, Summary, is_champion


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of one metric of one model, 0 to 1, on each split; None if it was not measured.

    Attributes:
        name: Name of the model.
        test: The value on the test split.
        val: The value on the val split.
        interval: The 95 % interval of :attr:`value`; None if it is unknown.
    """

    name: str
    test: float | None
    val: float | None
    interval: Sequence[float] | None = None

    @property
    def value(self) -> float | None:
        """The value on the test split, or else on val."""
        return self.val if self.test is None else self.test

    @property
    def split(self) -> str:
        """The split of :attr:`value`."""
        return "val" if self.test is None else "test"


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One headline metric.

    Attributes:
        metric: Name of the metric.
        own: The run's best candidate by this metric, or by the first metric that selects models if this one does not.
        champion: The champion that was kept; None if the candidate replaced it or there was none.
        decided_by: The metric by which ``own`` was chosen; empty if nothing was selected.
        note: The decision on the candidate, such as ``new champion``.
    """

    metric: str
    own: Measured
    champion: Measured | None
    decided_by: str
    note: str

    @property
    def champion_value(self) -> float | None:
        """The champion's value on the split of the candidate's, as values on different splits are not comparable."""
        if self.champion is None:
            return None
        return self.champion.test if self.own.split == "test" else self.champion.val


def key_numbers(
    metrics: Sequence[str], selections: Sequence[SelectionSummary], evaluate: Summary | None, test: Summary | None
) -> list[KeyNumber]:
    """The headline metrics; metrics that were measured on neither split are left out.

    Args:
        metrics: Names of the metrics, in the order to show them.
        selections: Selections of evaluate.
        evaluate: Every candidate and the champion, measured on val.
        test: The tested models.
    """
    numbers = (_key_number(metric, selections, evaluate, test) for metric in metrics)
    return [number for number in numbers if number.own.value is not None or number.champion is not None]


def _key_number(
    metric: str, selections: Sequence[SelectionSummary], evaluate: Summary | None, test: Summary | None
) -> KeyNumber:
    chosen = next((one for one in selections if one.metric == metric), selections[0] if selections else None)
    if chosen is None:
        name, model = _first_own(evaluate, test)
        return KeyNumber(metric, _measured(metric, name, model, evaluate, test), None, "", "")
    name, model = own_candidate(chosen, evaluate, test)
    own = _measured(metric, name, model, evaluate, test)
    champion = None
    if not chosen.promoted and chosen.sha256 != model.sha256 and is_champion(chosen.name):
        measured = _measured(metric, chosen.name, ModelSummary(sha256=chosen.sha256), evaluate, test)
        champion = measured if measured.value is not None else None
    return KeyNumber(metric, own, champion, chosen.metric, chosen.decision)


def own_candidate(
    selection: SelectionSummary, evaluate: Summary | None, test: Summary | None
) -> tuple[str, ModelSummary]:
    """The name and model of the run's best candidate by the metric of a selection, on val as in evaluate.

    If the candidate was selected, the selection names it; if the champion was kept, the measured models decide.
    """
    for summary in (evaluate, test):
        if summary is None:
            continue
        name = summary.best_own(selection.metric) if is_champion(selection.name) else selection.name
        if name in summary.models:
            return name, summary.models[name]
    return selection.name, ModelSummary(sha256=selection.sha256, uri=selection.uri)


@dataclass(frozen=True, slots=True)
class Choice:
    """One selection, ready for the page.

    Attributes:
        selection: The decision.
        name: Name of the run's best candidate.
        value: Its value on val.
        champion_value: Value of the champion it was compared with; None if there was no comparison.
        uri: URI of the candidate's model file.
        sha256: SHA-256 of that file.
        gate: The decision of the gate; None if there was none.
    """

    selection: SelectionSummary
    name: str
    value: float | None
    champion_value: float | None
    uri: str
    sha256: str
    gate: GateView | None = None


def choices(selections: Sequence[SelectionSummary], evaluate: Summary | None) -> list[Choice]:
    """The selections together with the run's best candidates."""
    made = []
    for one in selections:
        name, model = own_candidate(one, evaluate, None)
        stays = is_champion(one.name)
        value = model.metrics.get(one.metric, None if stays else one.value)
        champion_value = one.previous_value
        if champion_value is None and stays:
            champion_value = one.value
        selected = model.sha256 == one.sha256
        uri = one.uri if selected and one.uri else model.uri
        gate = None if one.gate is None else gate_view(one.gate)
        made.append(Choice(one, name, value, champion_value, uri, model.sha256, gate))
    return made


def _first_own(evaluate: Summary | None, test: Summary | None) -> tuple[str, ModelSummary]:
    models = [*(test.models.items() if test else ()), *(evaluate.models.items() if evaluate else ())]
    return next((one for one in models if not is_champion(one[0])), models[0] if models else ("", ModelSummary()))


def _measured(metric: str, name: str, model: ModelSummary, evaluate: Summary | None, test: Summary | None) -> Measured:
    on_test, on_val = (_find(name, model.sha256, summary) for summary in (test, evaluate))
    shown = on_test if metric in on_test.metrics else on_val
    return Measured(name, on_test.metrics.get(metric), on_val.metrics.get(metric), shown.intervals.get(metric))


def _find(name: str, sha256: str, summary: Summary | None) -> ModelSummary:
    """Look the model up by its digest, because its name in test may differ; without a digest, look it up by name."""
    models = summary.models.items() if summary else ()
    return next(
        (model for other, model in models if (model.sha256 == sha256 if model.sha256 and sha256 else other == name)),
        ModelSummary(),
    )


def summary_of_result(result: Mapping[str, Any], split: str, names: Mapping[str, str] | None = None) -> Summary:
    """A summary made from the ``result.json`` of evaluate or test, with metrics and without files.

    Args:
        result: The result as JSON values.
        split: ``val`` or ``test``.
        names: Names of the models by digest, because the result of test does not have them.
    """
    known = names or {}
    models = {
        str(one.get("name") or known.get(one.get("sha256", ""), "") or f"selected by {one.get('metric', '')}"): {
            "uri": one.get("uri", ""),
            "sha256": one.get("sha256", ""),
            "training_tag": one.get("training_tag", ""),
            "metrics": one.get("metrics", {}),
        }
        for one in result.get("models", [])
    }
    return Summary.model_validate(
        {"folder": Path(), "split": split, "models": models, "selections": result.get("selections", [])}
    )
