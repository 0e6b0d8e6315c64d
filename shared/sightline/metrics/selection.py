"""Which model is the best by a metric, and whether it takes the champion's place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sightline.errors import DataError


def metrics_line(values: Mapping[str, float], names: Iterable[str]) -> str:
    """Some metrics, for a line of a log; those without a value are left out.

    Example:
        >>> metrics_line({"EIR": 0.5, "mask_AP": 0.25, "mask_AP_small": 0.1}, ["mask_AP", "dv_mAP", "EIR"])
        'mask_AP=0.2500 EIR=0.5000'
    """
    return " ".join(f"{name}={values[name]:.4f}" for name in names if name in values)


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that was selected before.

    Attributes:
        training_tag: What it was trained on; empty where its pointer cannot be read.
        value: Its value on the split that the candidates are measured on; None when it cannot be measured there.
        obstacle: Why it cannot be measured, as a part of a sentence; empty where it can.
        candidate: The candidate that is this very model; empty for a model of another training.
        rival_value: The best candidate's value on the classes that both know; None where both know the same.
        difference: The classes that only one of them knows, as a part of a sentence; empty where there is none.
    """

    training_tag: str
    value: float | None
    obstacle: str = ""
    candidate: str = ""
    rival_value: float | None = None
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who won by one metric.

    Attributes:
        candidate: The best candidate's name.
        value: Its value on the whole split.
        promoted: Whether it takes the champion's place.
        reason: One sentence for a person.
    """

    candidate: str
    value: float
    promoted: bool
    reason: str


def best_candidate(metric: str, candidates: Mapping[str, Mapping[str, float]]) -> str:
    """The name of the best candidate by one metric; of equal ones the earlier.

    Args:
        metric: Its name.
        candidates: Name -> metrics by name, all on one split; at least one.

    Raises:
        DataError: No candidate has a value, for the split holds no truth for the metric.
    """
    measured = {name: metrics[metric] for name, metrics in candidates.items() if metric in metrics}
    if not measured:
        raise DataError(
            f"no model can be selected by {metric}: the split has no truth to compute it from; "
            "label more images, give the split a larger fraction (data.splits), or leave it out of evaluate.select_by"
        )
    return max(measured, key=lambda candidate: measured[candidate])


def choose(
    metric: str,
    candidates: Mapping[str, Mapping[str, float]],
    champion: Champion | None,
    min_improvement: float = 0.0,
    *,
    minimum: float = 0.0,
    replace_unmeasurable: bool = False,
) -> Choice:
    """Decide by one metric: the best candidate, and whether it beats the champion.

    Of equal candidates the earlier wins; a champion stays until a candidate is better by more than ``min_improvement``.
    Where there is no champion to beat, a candidate needs ``minimum``.  A champion that cannot be measured stays, unless
    ``replace_unmeasurable`` says otherwise.

    Args:
        metric: Its name.
        candidates: Name -> metrics by name, all on one split; at least one.
        champion: None when there is none.
        min_improvement: 0 or more.
        minimum: 0 to 1.
        replace_unmeasurable: Whether a champion gives way that cannot be measured.

    Raises:
        DataError: No candidate has a value, for the split holds no truth for the metric.

    Example:
        >>> candidates = {"best": {"EIR": 0.98}, "last": {"EIR": 0.98}}
        >>> choose("EIR", candidates, Champion("plates_train_v1", 0.95)).reason
        'best beats the champion of plates_train_v1: EIR 0.98 against 0.95'
        >>> choose("EIR", candidates, Champion("plates_train_v1", 0.98)).reason
        'the champion of plates_train_v1 stays: EIR 0.98, and best, the best candidate, has 0.98 as well'
        >>> choose("EIR", {"best": {"EIR": 0.01}}, None, minimum=0.05).reason
        'no champion: EIR 0.01 of best, the best candidate, is below evaluate.minimum 0.05'
    """
    name = best_candidate(metric, candidates)
    value = candidates[name][metric]
    if champion is None or champion.value is None:
        promoted, reason = _uncontested(metric, name, value, champion, (minimum, replace_unmeasurable))
        return Choice(name, value, promoted, reason)
    if champion.candidate == name:
        return Choice(name, value, False, f"{name} is the champion already: {metric} {champion.value:.4g}")
    promoted, reason = _contested(metric, name, value, champion, min_improvement)
    if champion.difference:
        reason += f"; compared on the classes that both know ({champion.difference})"
    return Choice(name, value, promoted, reason)


def _uncontested(
    metric: str, name: str, value: float, champion: Champion | None, rule: tuple[float, bool]
) -> tuple[bool, str]:
    """Whether a candidate becomes champion where there is none, or one that cannot be measured, and why.

    ``rule`` is the minimum, and whether a champion gives way that cannot be measured.
    """
    minimum, replaces = rule
    if champion is not None and not replaces:
        return False, (
            f"{name} is not promoted, for the champion cannot be measured: {champion.obstacle}; {metric} {value:.4g}; "
            "evaluate.replace_unreadable=true replaces such a champion"
        )
    if value < minimum:
        before = "no champion" if champion is None else f"not promoted, though {champion.obstacle}"
        one, other = _shown(value, minimum)
        return False, f"{before}: {metric} {one} of {name}, the best candidate, is below evaluate.minimum {other}"
    if champion is None:
        return True, f"{name} is the first champion: {metric} {value:.4g}"
    return True, (
        f"{name} is promoted without a comparison, as evaluate.replace_unreadable says: {champion.obstacle}; "
        f"{metric} {value:.4g}"
    )


def _contested(metric: str, name: str, value: float, champion: Champion, margin: float) -> tuple[bool, str]:
    """Whether the best candidate beats a measured champion by more than ``margin``, and why."""
    held = champion.value or 0.0
    value = value if champion.rival_value is None else champion.rival_value
    rival = f"the champion of {champion.training_tag}"
    one, other = _shown(value, held)
    if value - held > margin:
        return True, f"{name} beats {rival}: {metric} {one} against {other}"
    if value == held:
        return False, f"{rival} stays: {metric} {other}, and {name}, the best candidate, has {one} as well"
    if value > held:
        return False, f"{rival} stays: {metric} {other}; {name} has {one}, which is not better by more than {margin:g}"
    return False, f"{rival} stays: {metric} {other} against {one} of {name}, the best candidate"


def _shown(one: float, other: float) -> tuple[str, str]:
    """Two values with as many digits as it takes to tell them apart, four at least."""
    for digits in (4, 6, 9, 17):
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if one == other or texts[0] != texts[1]:
            break
    return texts
