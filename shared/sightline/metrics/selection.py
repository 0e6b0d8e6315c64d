"""Selection of the best model by a metric, and whether it replaces the champion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sightline.errors import DataError
from sightline.registry.gate_report import GateReport


def metrics_line(values: Mapping[str, float], names: Iterable[str]) -> str:
    """Some metrics as text for a log line; metrics without a value are left out.

    Example:
        >>> metrics_line({"EIR": 0.5, "mask_AP": 0.25, "mask_AP_small": 0.1}, ["mask_AP", "dv_mAP", "EIR"])
        'mask_AP=0.2500 EIR=0.5000'
    """
    return " ".join(f"{name}={values[name]:.4f}" for name in names if name in values)


@dataclass(frozen=True, slots=True)
class Champion:
    """The current champion.

    Attributes:
        training_tag: The training set it was trained on; empty if its pointer cannot be read.
        value: Its value on the same split as the candidates; None if it cannot be measured there.
        obstacle: Reason why it cannot be measured, as a clause; empty if it can.
        candidate: Name of the candidate that is the same model; empty if it comes from another training.
        rival_value: Value of the best candidate on the shared classes; None if both have the same classes.
        difference: The classes that only one of them has, as a clause; empty if there are none.
    """

    training_tag: str
    value: float | None
    obstacle: str = ""
    candidate: str = ""
    rival_value: float | None = None
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision by one metric.

    Attributes:
        promoted: Whether the best candidate replaces the champion.
        reason: The reason, in one sentence.
    """

    promoted: bool
    reason: str


def best_candidate(
    metric: str,
    candidates: Mapping[str, Mapping[str, float]],
    *,
    higher_is_better: bool = True,
    obstacles: Mapping[str, str] | None = None,
) -> str:
    """The name of the best candidate by one metric, the first if several are equal.

    Args:
        metric: Name of the metric.
        candidates: Name -> metrics by name, all on one split; at least one.
        higher_is_better: Whether larger values of the metric are better.
        obstacles: Name -> why a candidate has no value although the split has truth, as a clause.

    Raises:
        DataError: No candidate has a value, because of the obstacles or because the split has no truth for the metric.
    """
    measured = {name: metrics[metric] for name, metrics in candidates.items() if metric in metrics}
    if not measured and obstacles:
        name, obstacle = next(iter(obstacles.items()))
        raise DataError(
            f"cannot select a model by {metric}: {name} has no value of it, because {obstacle}; correct it, or change "
            "evaluate.select_by"
        )
    if not measured:
        raise DataError(
            f"cannot select a model by {metric}: the split has no ground truth for it; "
            "label more images, give the split a larger fraction (data.splits), or change evaluate.select_by"
        )
    best = max if higher_is_better else min
    return best(measured, key=lambda candidate: measured[candidate])


def choose(
    metric: str,
    name: str,
    value: float,
    champion: Champion | None,
    min_improvement: float = 0.0,
    *,
    minimum: float = 0.0,
    replace_unmeasurable: bool = False,
    gate: GateReport | None = None,
    higher_is_better: bool = True,
) -> Choice:
    """Decide whether the best candidate replaces the champion.

    The candidate must pass the gate; without a gate it must be better than the
    champion by more than ``min_improvement``.  Without a champion it also needs at least ``minimum``.  A champion that
    cannot be measured is kept unless ``replace_unmeasurable`` is set.

    Args:
        metric: Name of the metric.
        name: Name of the best candidate.
        value: Its value on the whole split.
        champion: The current champion; None if there is none.
        min_improvement: Required difference, 0 or more.
        minimum: Required value of a first champion, 0 to 1; not used for a metric of which smaller values are better.
        replace_unmeasurable: Whether to replace a champion that cannot be measured.
        gate: What the gate says about the best candidate; None: only values are compared.
        higher_is_better: Whether larger values of the metric are better.

    Example:
        >>> choose("EIR", "best", 0.98, Champion("plates_train_v1", 0.95)).reason
        'best beats the champion of plates_train_v1: EIR 0.98 against 0.95'
        >>> choose("EIR", "best", 0.98, Champion("plates_train_v1", 0.98)).reason
        'the champion of plates_train_v1 stays: EIR 0.98, the same as the best candidate (best)'
        >>> choose("EIR", "best", 0.01, None, minimum=0.05).reason
        'no champion: EIR 0.01 of the best candidate (best) is below evaluate.minimum 0.05'
    """
    minimum = minimum if higher_is_better else float("-inf")
    if champion is None or champion.value is None:
        promoted, reason = _uncontested(metric, name, value, champion, (minimum, replace_unmeasurable))
        if promoted and gate is not None and not gate.passed:
            promoted, reason = False, f"{name} is not promoted, {metric} {value:.4g}: {'; '.join(gate.failures)}"
        return Choice(promoted, reason)
    if champion.candidate == name:
        return Choice(False, f"{name} is already the champion: {metric} {champion.value:.4g}")
    if gate is None or gate.low is None or gate.difference == 0:
        sign = 1 if higher_is_better else -1
        promoted, reason = _contested(metric, name, value, champion, (min_improvement, sign))
        if promoted and gate is not None and not gate.passed:
            promoted, reason = _gated(metric, name, value, champion, gate)
    else:
        promoted, reason = _gated(metric, name, value, champion, gate)
    if champion.difference:
        reason += f"; compared on the classes that both have ({champion.difference})"
    return Choice(promoted, reason)


def _uncontested(
    metric: str, name: str, value: float, champion: Champion | None, rule: tuple[float, bool]
) -> tuple[bool, str]:
    """Whether to promote a candidate if there is no champion or it cannot be measured, and the reason.

    ``rule`` is the minimum, and whether to replace a champion that cannot be measured.
    """
    minimum, replaces = rule
    if champion is not None and not replaces:
        return False, (
            f"{name} is not promoted, because the champion cannot be measured: {champion.obstacle}; {metric} "
            f"{value:.4g}; set evaluate.replace_unreadable=true to replace such a champion"
        )
    if value < minimum:
        before = "no champion" if champion is None else f"not promoted, although {champion.obstacle}"
        one, other = _shown(value, minimum)
        return False, f"{before}: {metric} {one} of the best candidate ({name}) is below evaluate.minimum {other}"
    if champion is None:
        return True, f"{name} is the first champion: {metric} {value:.4g}"
    return True, (
        f"{name} is promoted without a comparison, because evaluate.replace_unreadable is set: {champion.obstacle}; "
        f"{metric} {value:.4g}"
    )


def _gated(metric: str, name: str, value: float, champion: Champion, gate: GateReport) -> tuple[bool, str]:
    """Whether the best candidate passes the gate against a measured champion, and the reason."""
    value = value if champion.rival_value is None else champion.rival_value
    rival = f"the champion of {champion.training_tag}"
    one, other = _shown(value, champion.value or 0.0)
    if gate.passed:
        gain = "" if gate.gain is None else f", {gate.gain.text}"
        return True, f"{name} beats {rival}: {metric} {one} against {other}{gain}"
    return False, f"{rival} stays: {metric} {other} against {one} of the best candidate ({name}): " + "; ".join(
        gate.failures
    )


def _contested(metric: str, name: str, value: float, champion: Champion, rule: tuple[float, int]) -> tuple[bool, str]:
    """Whether the best candidate beats a measured champion, and the reason.

    ``rule`` is the required improvement, and 1, or -1 if smaller values are better.
    """
    margin, sign = rule
    held = champion.value or 0.0
    value = value if champion.rival_value is None else champion.rival_value
    rival = f"the champion of {champion.training_tag}"
    one, other = _shown(value, held)
    gain = sign * (value - held)
    if gain > margin:
        return True, f"{name} beats {rival}: {metric} {one} against {other}"
    if gain == 0:
        return False, f"{rival} stays: {metric} {other}, the same as the best candidate ({name})"
    if gain > 0:
        return False, f"{rival} stays: {metric} {other}; {name} has {one}, not better by more than {margin:g}"
    return False, f"{rival} stays: {metric} {other} against {one} of the best candidate ({name})"


def _shown(one: float, other: float) -> tuple[str, str]:
    """Two values with enough digits to tell them apart, at least four."""
    for digits in (4, 6, 9, 17):
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if one == other or texts[0] != texts[1]:
            break
    return texts
