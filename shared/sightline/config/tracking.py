"""The section ``tracking`` of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from sightline.config.section import Section
from sightline.url_secrets import holds_secret

_SCHEMES = ("http://", "https://", "sqlite:///")


def _tracking_uri(uri: str) -> str:
    if holds_secret(uri):
        raise ValueError(
            "a URI without a password or token; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN, in the environment instead"
        )
    if uri and not uri.startswith(_SCHEMES):
        raise ValueError("the URI of a server, such as https://mlflow.example.com, or sqlite:///PATH")
    return uri


class Tracking(Section):
    """Servers of the trackers in ``train.trackers``."""

    mlflow_uri: Annotated[str, AfterValidator(_tracking_uri)] = Field(
        "",
        description="MLflow server (https://...) or store (sqlite:///PATH); empty: mlflow.sqlite in work.dir; "
        "MLFLOW_TRACKING_URI in the environment takes precedence",
    )
