"""The numbers that stand for a run: of its own candidates, and beside them of the champion that stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.report.pages.summary import ModelSummary, SelectionSummary, Summary, is_champion


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's value of one metric, 0 to 1, on each split; None where it was not measured."""

    name: str
    test: float | None
    val: float | None

    @property
    def value(self) -> float | None:
        """On the test split, else on val."""
        return self.val if self.test is None else self.test

    @property
    def split(self) -> str:
        """The split of :attr:`value`."""
        return "val" if self.test is None else "test"


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One big number.

    Attributes:
        metric: Its name.
        own: The run's own best candidate by this metric, or by the first that selects where this one does not.
        champion: The champion that stayed; None where the candidate took its place or there was none.
        decided_by: The metric by which ``own`` was chosen; empty where nothing was selected.
        note: What became of the candidate, such as ``new champion``.
    """

    metric: str
    own: Measured
    champion: Measured | None
    decided_by: str
    note: str

    @property
    def champion_value(self) -> float | None:
        """The champion's value on the split of the own one: values of two splits do not compare."""
        if self.champion is None:
            return None
        return self.champion.test if self.own.split == "test" else self.champion.val


def key_numbers(
    metrics: Sequence[str], selections: Sequence[SelectionSummary], evaluate: Summary | None, test: Summary | None
) -> list[KeyNumber]:
    """The numbers of these metrics; a metric that neither split has is left out.

    Args:
        metrics: Names, in the order in which they are shown.
        selections: Evaluate's.
        evaluate: Every candidate and the champion on val.
        test: Those that were tested.
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
    """The run's own best candidate by the metric of a selection, with its name: by its val value, as evaluate does.

    Where it was selected the selection names it; where the champion stayed the measured models tell.
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
    """One selection, as a card shows it.

    Attributes:
        selection: What was decided.
        name: The run's own best candidate.
        value: Its value on val.
        champion_value: That of the champion that it was compared with; None where there was none to compare with.
        uri: The candidate's model file.
        sha256: Of that file.
    """

    selection: SelectionSummary
    name: str
    value: float | None
    champion_value: float | None
    uri: str
    sha256: str


def choices(selections: Sequence[SelectionSummary], evaluate: Summary | None) -> list[Choice]:
    """The selections with the run's own candidates in front."""
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
        made.append(Choice(one, name, value, champion_value, uri, model.sha256))
    return made


def _first_own(evaluate: Summary | None, test: Summary | None) -> tuple[str, ModelSummary]:
    models = [*(test.models.items() if test else ()), *(evaluate.models.items() if evaluate else ())]
    return next((one for one in models if not is_champion(one[0])), models[0] if models else ("", ModelSummary()))


def _measured(metric: str, name: str, model: ModelSummary, evaluate: Summary | None, test: Summary | None) -> Measured:
    return Measured(name, _value(metric, name, model.sha256, test), _value(metric, name, model.sha256, evaluate))


def _value(metric: str, name: str, sha256: str, summary: Summary | None) -> float | None:
    """By the model's digest, for test may name it otherwise; documents without one are found by name."""
    models = summary.models.items() if summary else ()
    return next(
        (
            model.metrics.get(metric)
            for other, model in models
            if (model.sha256 == sha256 if model.sha256 and sha256 else other == name)
        ),
        None,
    )


def summary_of_result(result: Mapping[str, Any], split: str, names: Mapping[str, str] | None = None) -> Summary:
    """What the ``result.json`` of evaluate or test says, in the form of a summary: metrics, and no files.

    Args:
        result: The result as JSON values.
        split: ``val`` or ``test``.
        names: The models' names by digest, for test's result does not tell them.
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
