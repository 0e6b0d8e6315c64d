"""The base class of all sections of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from sightline.names import is_own_code, unknown_name
from sightline.url_secrets import holds_secret

UNKNOWN_NAME = "unknown_name"
"""The type of pydantic's error for an unknown name; its message is a complete sentence."""


class Section(BaseModel):
    """A section of the configuration: immutable; unknown keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _without_secret(url: str) -> str:
    if holds_secret(url):
        raise ValueError("a URL without a password; credentials come from the environment, as Google's tools take them")
    return url


class KnownName:
    """Annotation of a string field that must be one of some names, which are listed in pages and the reference.

    Args:
        noun: What the names are, such as ``tracker``.
        names: Returns all names.
        own: How to name code of one's own instead, such as ``module:Class``; empty: that is not possible.
    """

    def __init__(self, noun: str, names: Callable[[], Collection[str]], own: str = "") -> None:
        self._noun, self._own = noun, own
        self._names = (lambda: [*names(), own]) if own else names

    def require(self, name: str) -> str:
        """The name, if it is known."""
        if self._own and is_own_code(name):
            return name
        if name not in self._names():
            text = unknown_name(self._noun, name, self._names())
            raise PydanticCustomError(UNKNOWN_NAME, "{text}", {"text": text})
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return core_schema.no_info_after_validator_function(self.require, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self._names())}


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
Address = Annotated[str, AfterValidator(_without_secret)]
