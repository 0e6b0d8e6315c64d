"""The models that test measures: the run's best candidates, then the champions that were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sightline.registry.results import EvaluateResult


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to test.

    Attributes:
        name: Its name among the models measured by evaluate.
        role: ``candidate`` or ``champion``; empty if an earlier release selected it.
        uri: URI of the model file.
        sha256: SHA-256 of the model file.
        training_tag: The training set that it was trained on.
        metrics: The metrics by which it is the best candidate or the champion.
    """

    name: str
    role: Literal["", "candidate", "champion"]
    uri: str
    sha256: str
    training_tag: str
    metrics: list[str]


def subjects(evaluate: EvaluateResult) -> list[Subject]:
    """The models to test, each once, the best candidate by the first metric first."""
    tags = {model.sha256: model.training_tag for model in evaluate.models}
    found: dict[str, Subject] = {}
    for one in evaluate.selections:
        if not one.candidate:  # written by an earlier release, which tested the selected models
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
