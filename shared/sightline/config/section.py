"""The base class of all sections of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sightline.url_secrets import holds_secret


class Section(BaseModel):
    """A section of the configuration: immutable; unknown keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _without_secret(url: str) -> str:
    if holds_secret(url):
        raise ValueError("a URL without a password; credentials come from the environment, as Google's tools take them")
    return url


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
Address = Annotated[str, AfterValidator(_without_secret)]
