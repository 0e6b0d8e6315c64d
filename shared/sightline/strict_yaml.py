"""Strict parsing of YAML: recipes, the settings file, overrides, ``.dvc`` files.

Only plain mappings, lists and values are accepted.  Aliases (ten lines can expand to gigabytes), tags, duplicate keys,
and texts that are too long or nested too deeply are rejected; a date is read as a string.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 50


class YamlError(ValueError):
    """A text that is not strict YAML; the message is the reason."""


def decode(text: str, *, numbers_as_keys: bool = False) -> Any:  # noqa: ANN401  (whatever YAML holds)
    """Decode one YAML document.

    Args:
        text: YAML; an empty text gives None.
        numbers_as_keys: Whether keys may be whole numbers, as in the data sets of Ultralytics.

    Raises:
        YamlError: It is not YAML, or contains something that is rejected here.
    """
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f"it has {len(text):,} characters, more than {MAX_CHARACTERS:,}")
    try:
        return yaml.load(text, Loader=_NumberedLoader if numbers_as_keys else _Loader)  # noqa: S506  (SafeLoaders)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        said = (error.problem or error.context or "").removeprefix("but ")
        raise YamlError(f"{said}{where}") from error
    except yaml.reader.ReaderError as error:
        raise YamlError(f"it contains the control character U+{error.character:04X} at {error.position}") from error
    except ValueError as error:  # for example 0x_
        reason = "thousands of digits" if "integer string" in str(error) else "no digits"
        raise YamlError(f"it contains an integer with {reason}") from error


_READ_AS_TEXT = {f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "merge", "value")}


class _Loader(yaml.SafeLoader):
    """YAML's SafeLoader without features that a configuration does not need."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (defined this way by the base class)
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _READ_AS_TEXT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    numbers_as_keys = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, f"alias *{event.anchor} is refused: write it out", mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(None, None, "a tag (!) is refused: write the plain value", mark)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) and not (self.numbers_as_keys and type(key) is int):
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not a string", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _NumberedLoader(_Loader):
    """The same with whole numbers as keys."""

    numbers_as_keys = True
