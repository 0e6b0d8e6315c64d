"""The gate: whether the best candidate may replace the champion, by the rule in ``evaluate.gate``.

Candidate and champion are compared on the same images, by a paired bootstrap over groups of images
(:mod:`sightline.evaluation.bootstrap`).  The candidate is better if the share of resamples in which it is better by
more than the minimum gain reaches the required confidence.  Because the best of several candidates was chosen on the
same images, the permitted error is divided by their number (Bonferroni).  A class or slice is not worse by more than
its margin if the share of resamples in which the loss is smaller reaches the confidence; as all of them must hold,
nothing is divided there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

from sightline.config.gate import Gate, margins_by_name, resamples_for, shown_by
from sightline.config.task_declarations import is_higher_better
from sightline.evaluation.bootstrap import Difference, Resamples, shown_by_groups
from sightline.evaluation.slices import SMALLEST, class_slice
from sightline.metrics.statistic import Bools
from sightline.registry.gate_report import Check, GateReport
from sightline.registry.model_profile import ModelProfile
from sightline.tasks.evaluators import Measurement

POWER = 0.8
"""Probability with which :attr:`GateReport.smallest_detectable` is detected."""

_SHOWN = 5

_CERTAIN = 0.999
"""Probabilities from here on are shown with more digits."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What the gate knows about a candidate and its champion.

    Attributes:
        metric: The metric that decides.
        candidate: Name of the candidate.
        whole: The candidate's measurement on the whole split, for floors.
        profile: Its speed and size; None if nothing was measured.
        measured: The candidate's measurement on the classes that both know.
        champion: The champion's measurement on the same images and classes; None: no champion was measured.
        candidates: Number of different candidates of which this is the best.
        slices: Name of a slice -> its images, in the order of the split.
        higher_is_better: Whether larger values of the metric are better.
        leak: The images of the split that the candidate was trained on, as one sentence; empty if there are none.
    """

    metric: str
    candidate: str
    whole: Measurement
    profile: ModelProfile | None
    measured: Measurement
    champion: Measurement | None = None
    candidates: int = 1
    slices: Mapping[str, Bools] = field(default_factory=dict)
    higher_is_better: bool = True
    leak: str = ""


def pass_gate(rule: Gate, min_gain: float, contest: Contest, resamples: Resamples, images: int) -> GateReport:
    """Check every condition of the rule.

    Args:
        rule: The rule.
        min_gain: ``evaluate.min_improvement``.
        contest: The candidate and the champion.
        resamples: Resamples of the images of the split.
        images: Number of images of the split.
    """
    report = GateReport(contest.metric, contest.candidate, passed=True, images=images, groups=resamples.groups)
    checks: list[Check] = []
    if contest.champion is not None:
        report, gain = _compared(rule, min_gain, contest, resamples, images)
        checks += [gain, *_not_worse(rule, contest, resamples)]
    if contest.leak:
        checks.append(Check("leak", passed=False, text=contest.leak))
    checks += [*_floors(rule, contest.whole), *_limits(rule, contest.profile)]
    return replace(report, checks=checks, passed=all(check.passed for check in checks))


def _compared(
    rule: Gate, min_gain: float, contest: Contest, resamples: Resamples, images: int
) -> tuple[GateReport, Check]:
    """The comparison by the deciding metric, as a report without checks, and its check."""
    assert contest.champion is not None  # noqa: S101
    metric, sign = contest.metric, 1 if contest.higher_is_better else -1
    ours, theirs = contest.measured.statistics.get(metric), contest.champion.statistics.get(metric)
    value = sign * (contest.measured.metrics[metric] - contest.champion.metrics[metric])
    found = None
    if ours is not None and theirs is not None:
        found = resamples.difference(ours, theirs, higher_is_better=contest.higher_is_better)
    required = 1 - (1 - rule.confidence) / contest.candidates if rule.confidence else 0.0
    if found is None:
        check = Check("gain", value > min_gain, f"{_signed(value)}; {metric} has no values per image, so no interval")
        return GateReport(
            metric,
            contest.candidate,
            check.passed,
            images=images,
            groups=resamples.groups,
            difference=value,
            min_gain=min_gain,
        ), check
    probability = min(found.probability_above(min_gain), shown_by_groups(resamples.groups))
    passed = value > min_gain and probability >= required
    needed = _images_needed(found, min_gain, required, images) if not passed else None
    report = GateReport(
        metric,
        contest.candidate,
        passed,
        images=images,
        groups=resamples.groups,
        resamples=rule.resamples,
        difference=value,
        low=found.low,
        high=found.high,
        probability=probability,
        required=required,
        min_gain=min_gain,
        smallest_detectable=min_gain + _quantiles(required) * found.error if found.error else None,
        images_needed=needed,
    )
    return report, Check("gain", passed, _gain_text(report, contest.candidates))


def _gain_text(report: GateReport, candidates: int) -> str:
    """The comparison as one sentence."""
    assert report.difference is not None and report.probability is not None  # noqa: S101, PT018
    by = f" by more than {report.min_gain:g}" if report.min_gain else ""
    text = (
        f"{_signed(report.difference)} (95 % interval {_signed(report.low)} to {_signed(report.high)}); probability of "
        f"being better{by} {report.probability:.3f}"
    )
    if report.required:
        text += f", required {report.required:.{3 if report.required < _CERTAIN else 6}g}"
        text += f" for the best of {candidates} candidates" if candidates > 1 else ""
    if report.groups == 1:
        text += "; all images are one group, which says nothing about other images"
    elif report.required > shown_by_groups(report.groups):
        text += f"; {report.groups} groups of images cannot show so much, whatever the difference"
    elif report.required > shown_by(report.resamples):
        needed = resamples_for(report.required)
        text += f"; set evaluate.gate.resamples={needed}, because {report.resamples:,} resamples cannot show so much"
    elif report.images_needed is not None:
        text += f"; about {report.images_needed:,} more images like these would settle a difference of this size"
    return text


def _images_needed(found: Difference, margin: float, required: float, images: int) -> int | None:
    """How many more images would give the difference a small enough error; None if it is not above the margin."""
    gain = found.value - margin
    if gain <= 0 or found.error <= 0:
        return None
    total = images * (_quantiles(required) * found.error / gain) ** 2
    more = max(total - images, 1.0)
    digits = 10 ** max(len(str(int(more))) - 2, 0)
    return int(-(-more // digits) * digits)


def _quantiles(required: float) -> float:
    """How many standard errors a difference must be away to be detected with :data:`POWER`."""
    normal = NormalDist()
    return normal.inv_cdf(min(max(required, 0.5), 1 - 1e-9)) + normal.inv_cdf(POWER)


def _not_worse(rule: Gate, contest: Contest, resamples: Resamples) -> Iterator[Check]:
    """Non-inferiority by class and by slice."""
    assert contest.champion is not None  # noqa: S101
    ours = contest.measured.class_statistics.get(contest.metric, {})
    theirs = contest.champion.class_statistics.get(contest.metric, {})
    classes = [name for name in ours if name in theirs]
    found: dict[str, Difference | None] = {
        name: resamples.difference(ours[name], theirs[name], higher_is_better=contest.higher_is_better)
        for name in margins_by_name(rule.class_margin, classes)
    }
    margins = margins_by_name(rule.class_margin, classes)
    if rule.class_margin is not None and not ours:
        yield Check("classes", True, f"{contest.metric} has no values by class, so class_margin does not apply")
    elif rule.class_margin is not None:
        with_truth = contest.whole.class_statistics.get(contest.metric, {})
        new = [name for name in with_truth if name not in theirs]  # what the champion does not know cannot be lost
        named = [name for name in _named(rule.class_margin) if name not in new]
        yield from _margins_kept("classes", margins, found, rule.confidence, named)
    one, other = contest.measured.statistics.get(contest.metric), contest.champion.statistics.get(contest.metric)
    named = _named(rule.slice_margin)
    large = [name for name, inside in contest.slices.items() if name in named or inside.sum() >= SMALLEST]
    margins = margins_by_name(rule.slice_margin, large)
    if rule.slice_margin is not None and (one is None or other is None):
        yield Check("slices", True, f"{contest.metric} has no values per image, so slice_margin does not apply")
    elif one is not None and other is not None:
        alone = {class_slice(name): (ours[name], theirs[name], None) for name in classes}  # as on the page
        found = {
            name: resamples.difference(
                *alone.get(name, (one, other, contest.slices[name])), higher_is_better=contest.higher_is_better
            )
            for name in margins
        }
        yield from _margins_kept("slices", margins, found, rule.confidence, named)


def _named(margin: float | Mapping[str, float] | None) -> list[str]:
    """The classes or slices that a rule names."""
    return list(margin) if isinstance(margin, Mapping) else []


def _margins_kept(
    name: str,
    margins: Mapping[str, float],
    found: Mapping[str, Difference | None],
    confidence: float,
    named: Sequence[str],
) -> Iterator[Check]:
    """The checks of all classes or slices; those without truth are left out, unless the rule names them."""
    known = {one: difference for one, difference in found.items() if difference is not None}
    if lacking := [one for one in named if one not in known]:
        yield Check(name, False, f"no value on these images, so a loss cannot be excluded: {', '.join(lacking)}")
    if not known:
        return
    lost = {
        one: difference
        for one, difference in known.items()
        if difference.probability_above(-margins[one]) < confidence or difference.value < -margins[one]
    }
    if not lost:
        subject = f"none of {len(known)} {name} is" if len(known) > 1 else f"{next(iter(known))} is not"
        yield Check(name, True, f"{subject} worse by more than its margin")
        return
    worst = sorted(lost, key=lambda one: lost[one].value)
    listed = "; ".join(
        f"{one} {_signed(lost[one].value)} (95 % interval {_signed(lost[one].low)} to {_signed(lost[one].high)}), "
        f"margin {margins[one]:g}"
        for one in worst[:_SHOWN]
    )
    more = f"; and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
    yield Check(name, False, f"a loss beyond the margin cannot be excluded in {listed}{more}")


def _floors(rule: Gate, whole: Measurement) -> Iterator[Check]:
    for metric, floor in rule.floors.items():
        value = whole.metrics.get(metric)
        found = "no value" if value is None else f"{value:.4g}"
        if is_higher_better(metric):
            passed, required = value is not None and value >= floor, f"required {floor:g}"
        else:
            passed, required = value is not None and value <= floor, f"at most {floor:g}"
        yield Check("floor", passed, f"{metric} {found}, {required}")


def _limits(rule: Gate, profile: ModelProfile | None) -> Iterator[Check]:
    limits = (
        (
            "latency",
            rule.max_latency_ms,
            None if profile is None else profile.latency_p95_ms,
            "ms at batch size 1 (p95)",
        ),
        ("memory", rule.max_memory_gb, None if profile is None else profile.memory_gb, "GiB of memory"),
        ("size", rule.max_size_mb, None if profile is None else profile.size_mb, "MB model file"),
    )
    for name, limit, value, unit in limits:
        if limit is not None:
            found = f"{name} not measured" if value is None else f"{value:.3g} {unit}"
            yield Check(name, value is not None and value <= limit, f"{found}, at most {limit:g}")


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3g}"
