"""The reference of all configuration keys with meaning, default and range, generated from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from sightline.config.augmentation import KINDS
from sightline.config.network import Network
from sightline.config.schema import Config
from sightline.config.task_declarations import task_declaration, task_names

_EMBEDDED = {
    "data.repository": "~/.sightline/data",
    "storage.uri": "file://~/.sightline/bucket",
    "database.url": "sqlite:///~/.sightline/sightline.sqlite",
    "work.dir": "~/.sightline/work",
}
"""Generic form of the values of :func:`sightline.config.settings.embedded_defaults` for the page."""

_AUGMENTATIONS = """
## Augmentations

The entries of `train.augmentation`, such as `[{name: rotate, degrees: 5}, {name: flip, probability: 0.5}]`. A name
`module:Class` is a class of your own; the other keys are its arguments.
[Augmentation](training.md#augmentation) explains them.
"""

Schema = Mapping[str, Any]
"""A part of pydantic's JSON schema."""

_BEGINNING = """\
# Configuration

Every key of a recipe and of `--set`, with its meaning, default and range. This page is generated from the schema by
`sightline config reference > docs/configuration.md`. `sightline config show RECIPE --describe` also shows the
values of a recipe, and `sightline config check RECIPE --set ...` reports every error. Recipes without
classes, such as `instance_segmentation`, need `--set 'data.classes=[cat, dog]'`, in both commands.

Precedence: built-in defaults < recipe < settings file (`~/.sightline/settings.yaml`, or the file that
`$SIGHTLINE_SETTINGS` points to) < `--set`.
Values of `--set` are parsed as YAML: `--set 'data.classes=[cat, dog]' --set train.iterations=2000`.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration.

    Attributes:
        path: Dotted, such as ``train.iterations``.
        meaning: Description of the key.
        values: Type and range.
        default: Default as YAML; empty if a recipe or ``--set`` must set it.
    """

    path: str
    meaning: str
    values: str
    default: str


def keys() -> list[Key]:
    """All keys, in the order of the schema; including the network settings of every task."""
    found: dict[str, Key] = {}
    for key in _keys(Config.model_json_schema(), Config.model_json_schema(), ""):
        if key.path != f"model.{next(iter(Network.model_fields))}":
            found.setdefault(key.path, key)
            continue
        for one in _network_keys():
            found[one.path] = one
    return list(found.values())


def described(document: Mapping[str, Any]) -> str:
    """A configuration as YAML, with meaning, range and default above every key.

    Args:
        document: The result of :meth:`Config.model_dump`.
    """
    known = {key.path: key for key in keys()}
    return "\n".join(_lines(document, known, "", 0)) + "\n"


def markdown() -> str:
    """The page ``docs/configuration.md``."""
    schema = Config.model_json_schema()
    sections: dict[str, list[Key]] = {}
    for key in keys():
        sections.setdefault(key.path.rpartition(".")[0], []).append(key)
    parts = [_BEGINNING]
    for section, members in sections.items():
        parts.append(f"\n## {section or 'General'}\n\n{_about(schema, section)}\n")
        parts.append("\n| key | meaning | values | default |\n| --- | --- | --- | --- |\n")
        parts += [
            f"| `{key.path}` | {_cell(key.meaning)} | {_cell(key.values)} | {_code(key.default)} |\n" for key in members
        ]
    return "".join(parts) + "".join(_augmentations())


def _augmentations() -> Iterator[str]:
    """The kinds of augmentation, each with its keys."""
    yield _AUGMENTATIONS
    yield "\n| name | key | meaning | values | default |\n| --- | --- | --- | --- | --- |\n"
    for name, kind in KINDS.items():
        schema = kind.model_json_schema()
        yield f"| `{name}` | | {_cell(_about(schema, ''))} | | |\n"
        for key in _keys(schema, schema, ""):
            if key.path != "name":
                yield f"| | `{key.path}` | {_cell(key.meaning)} | {_cell(key.values)} | {_code(key.default)} |\n"


def _keys(whole: Schema, section: Schema, path: str) -> Iterator[Key]:
    for name, given in section["properties"].items():
        field = _resolved(whole, given)
        where = f"{path}.{name}".lstrip(".")
        if given.get("derived"):
            continue
        if "properties" in field:
            yield from _keys(whole, field, where)
        else:
            default = _inline(given["default"]) if "default" in given else _EMBEDDED.get(where, "")
            yield Key(where, given.get("description", ""), _values(whole, field), default)


def _network_keys() -> Iterator[Key]:
    """The network settings of all tasks; those that not every task has list their tasks."""
    known: dict[str, list[tuple[str, Key]]] = {}
    for task in task_names():
        for network in task_declaration(task).networks:
            schema = network.model_json_schema()
            for key in _keys(schema, schema, "model"):
                known.setdefault(key.path, []).append((task, key))
    yield from map(_joined, known.values())


def _joined(found: list[tuple[str, Key]]) -> Key:
    """One key for the same setting of several networks, with all its meanings, choices and defaults."""
    owners: dict[str, dict[str, None]] = {}
    for task, key in found:
        owners.setdefault(key.meaning, {})[task] = None
    keys = [key for _, key in found]
    if len(owners) > 1:
        meaning = "; ".join(f"{text} ({', '.join(tasks)})" for text, tasks in owners.items())
    else:
        ((meaning, tasks),) = owners.items()
        meaning += "" if len(tasks) == len(task_names()) else f"; {', '.join(tasks)} only"
    values = dict.fromkeys(value for key in keys for value in key.values.split(" | "))
    defaults = dict.fromkeys(key.default for key in keys)
    default = "left out" if "left out" in defaults else " or ".join(defaults)
    return Key(keys[0].path, meaning, " | ".join(values), default)


def _resolved(whole: Schema, field: Schema) -> Schema:
    reference = field.get("$ref") or next((one["$ref"] for one in field.get("allOf", ())), "")
    return whole["$defs"][reference.rpartition("/")[2]] if reference else field


def _about(whole: Schema, section: str) -> str:
    found = whole
    for name in section.split(".") if section else ():
        found = _resolved(whole, found["properties"][name])
    text = str(found.get("description", "")).replace("``", "`")
    return " ".join(text.split())


def _values(whole: Schema, field: Schema) -> str:
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    if "anyOf" in field:
        return " or ".join(_values(whole, _resolved(whole, one)) for one in field["anyOf"])
    kind = field.get("type", "")
    if kind == "array":
        return _list_values(whole, field)
    if kind == "object":
        return _mapping_values(whole, field)
    names = {"integer": "whole number", "number": "number", "string": "string", "boolean": "true | false"}
    return f"{names.get(str(kind), str(kind))}{_range(field)}"


def _mapping_values(whole: Schema, field: Schema) -> str:
    inner = field.get("additionalProperties")
    if isinstance(inner, Mapping):
        return f"mapping to {_values(whole, _resolved(whole, inner))}"
    return f"mapping with {', '.join(field['properties'])}" if "properties" in field else "mapping"


def _list_values(whole: Schema, field: Schema) -> str:
    if "prefixItems" in field:
        return f"[{', '.join(_values(whole, _resolved(whole, item)) for item in field['prefixItems'])}]"
    least = ", at least one" if field.get("minItems") else ""
    return f"list of {_values(whole, _resolved(whole, field.get('items', {})))}{least}"


def _range(field: Schema) -> str:
    least, above = field.get("minimum"), field.get("exclusiveMinimum")
    most, below = field.get("maximum"), field.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f", {_number(least)} to {_number(most)}"
    limits = ((">=", least), (">", above), ("<=", most), ("<", below))
    return "".join(f", {sign} {_number(limit)}" for sign, limit in limits if limit is not None)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _inline(value: object) -> str:
    if value == "":
        return '""'
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9).strip()
    return text.removesuffix("...").strip()


def _lines(document: Mapping[str, Any], known: Mapping[str, Key], path: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, value in document.items():
        where = f"{path}.{name}".lstrip(".")
        key = known.get(where)
        if key is None and isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, known, where, depth + 1)
            continue
        if key is not None:
            default = f"; default {key.default}" if key.default else ""
            yield f"{indent}# {key.meaning} ({key.values}{default})"
        yield f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else "*required*"
