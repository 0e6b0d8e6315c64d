"""The decision of the gate, in words and as a drawn difference."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.registry.gate_report import Check, GateReport
from sightline.report.pages.interval_view import IntervalsView, intervals_view
from sightline.report.sections import Interval, IntervalsSection
from sightline.report.wording import count_text

_TITLES = {
    "gain": ("better than the champion", "not shown to be better than the champion"),
    "classes": ("no class is worse", "a class may be worse"),
    "slices": ("no slice is worse", "a slice may be worse"),
    "floor": ("reaches the required minimum", "below the required minimum"),
    "latency": ("fast enough", "too slow"),
    "memory": ("needs little enough memory", "needs too much memory"),
    "size": ("small enough", "too large"),
    "leak": ("not trained on these images", "trained on images that it is measured on"),
}
"""Name of a condition -> what is said if it is fulfilled, and if not."""


_PERCENT = "\N{NO-BREAK SPACE}%"


@dataclass(frozen=True, slots=True)
class GateView:
    """The decision about one candidate.

    Attributes:
        report: The decision.
        verdict: The decision in one sentence.
        difference: The difference to the champion with its interval; None if there was nothing to compare with.
        checks: For each condition whether it is fulfilled, a title, and what was found.
        hints: What the images could show, and what would settle the decision, in full sentences.
    """

    report: GateReport
    verdict: str
    difference: IntervalsView | None
    checks: list[tuple[bool, str, str]]
    hints: list[str]


def gate_view(report: GateReport) -> GateView:
    """Describe a decision for readers who do not know the gate."""
    return GateView(
        report,
        _verdict(report),
        _difference(report),
        [(check.passed, _title(check), _found(check, report)) for check in report.checks],
        _hints(report),
    )


def _title(check: Check) -> str:
    fulfilled, failed = _TITLES.get(check.name, (check.name, check.name))
    return fulfilled if check.passed else failed


def _found(check: Check, report: GateReport) -> str:
    """What was found; a comparison is told in plain words, because its numbers are drawn."""
    if check.name != "gain" or report.probability is None:
        return check.text
    margin = f" by more than {report.min_gain:g}" if report.min_gain else ""
    share, required = (f"{100 * value:.3g}{_PERCENT}" for value in (report.probability, report.required))
    text = f"better{margin} in {share} of {count_text(report.resamples)} resamples of the images"
    return f"{text}; required: {required}" if report.required else text


def _verdict(report: GateReport) -> str:
    failed = "; ".join(_title(check) for check in report.checks if not check.passed)
    if report.difference is None:
        if report.passed:
            return f"{report.candidate} meets every condition; there was no champion to compare it with."
        return f"{report.candidate} may not become champion: {failed}."
    if report.passed:
        return f"{report.candidate} is better than the champion, and meets every condition."
    return f"The champion stays. {report.candidate}: {failed}."


def _difference(report: GateReport) -> IntervalsView | None:
    low, high = report.low, report.high
    sure = low is not None and low > 0, high is not None and high < 0
    return intervals_view(
        IntervalsSection(
            id="difference",
            title="Difference",
            head="comparison",
            count_name="",
            value_name="difference",
            reference=0.0,
            signed=True,
            rows=[
                Interval(
                    name=report.metric,
                    value=report.difference,
                    low=low,
                    high=high,
                    tone="good" if sure[0] else "bad" if sure[1] else "",
                )
            ],
        )
    )


def _hints(report: GateReport) -> list[str]:
    hints = []
    if report.smallest_detectable is not None:
        groups = f" in {count_text(report.groups)} groups" if report.groups != report.images else ""
        hints.append(
            f"With these {count_text(report.images)} images{groups}, a true difference of "
            f"{report.smallest_detectable:.3f} would be detected four times out of five; smaller ones are often missed."
        )
    if report.images_needed is not None:
        hints.append(
            f"About {count_text(report.images_needed)} more images of the same kind would settle a difference of this "
            "size."
        )
    return hints
