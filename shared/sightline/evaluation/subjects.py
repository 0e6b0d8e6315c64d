"""What test looks at: the run's best candidates, then the champions that stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sightline.registry.results import EvaluateResult


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be tested.

    Attributes:
        name: Its name among the scored models of evaluate.
        role: ``candidate`` or ``champion``; empty for what an earlier release selected.
        uri: The model file.
        sha256: Of the model file.
        training_tag: What it was trained on.
        metrics: Those by which it is the best candidate or the champion.
    """

    name: str
    role: Literal["", "candidate", "champion"]
    uri: str
    sha256: str
    training_tag: str
    metrics: list[str]


def subjects(evaluate: EvaluateResult) -> list[Subject]:
    """The models to be tested, each once, the best candidate by the first metric in front."""
    tags = {model.sha256: model.training_tag for model in evaluate.models}
    found: dict[str, Subject] = {}
    for one in evaluate.selections:
        if not one.candidate:  # of an earlier release, which tested what was selected
            entry = Subject(one.name, "", one.uri, one.sha256, tags.get(one.sha256, ""), [])
        else:
            uri = one.uri if one.sha256 == one.candidate_sha256 else one.candidate_uri
            tag = tags.get(one.candidate_sha256, evaluate.training_tag)
            entry = Subject(one.candidate, "candidate", uri, one.candidate_sha256, tag, [])
        found.setdefault(entry.sha256, entry).metrics.append(one.metric)
    for one in evaluate.selections:
        if one.champion_stays:
            entry = Subject(one.name, "champion", one.uri, one.sha256, tags.get(one.sha256, one.champion_tag), [])
            known = found.setdefault(entry.sha256, entry)
            if known.role == "champion":
                known.metrics.append(one.metric)
    return list(found.values())
