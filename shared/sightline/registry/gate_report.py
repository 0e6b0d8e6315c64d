"""The document of a gate's decision: what was compared, every check, and what would be needed to settle it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the gate.

    Attributes:
        name: ``gain``, ``classes``, ``slices``, ``floor``, ``latency``, ``memory``, ``size`` or
            ``leak``.
        passed: Whether the candidate fulfills it.
        text: The condition and what was found, in one sentence without a full stop.
    """

    name: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """The decision of the gate about one candidate by one metric.

    Attributes:
        metric: The metric.
        candidate: Name of the candidate.
        passed: Whether it may become champion: all checks passed.
        checks: All conditions.
        images: Number of images compared.
        groups: Number of groups of images; images of a group are not independent.
        resamples: Number of resamples of the bootstrap.
        difference: Value of the candidate minus that of the champion, positive if the candidate is better; None if
            there is no champion to compare with.
        low: Lower limit of its 95 % interval; None without an interval.
        high: Upper limit of its 95 % interval.
        probability: Probability that the candidate is better by more than ``min_gain``.
        required: Required probability.
        min_gain: Required difference.
        smallest_detectable: The smallest true difference that a comparison on these images detects four times out of
            five.
        images_needed: About how many more images of the same kind would settle a difference of this size; None if the
            decision is settled, or if the candidate is not better.
    """

    metric: str
    candidate: str
    passed: bool
    checks: list[Check] = field(default_factory=list)
    images: int = 0
    groups: int = 0
    resamples: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    probability: float | None = None
    required: float = 0.0
    min_gain: float = 0.0
    smallest_detectable: float | None = None
    images_needed: int | None = None

    @property
    def failures(self) -> list[str]:
        """The conditions that are not fulfilled."""
        return [check.text for check in self.checks if not check.passed]

    @property
    def gain(self) -> Check | None:
        """The comparison with the champion; None if there was none."""
        return next((check for check in self.checks if check.name == "gain"), None)
