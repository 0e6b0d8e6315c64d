"""The overrides that make a class of every label of a folder, as a line to paste."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

import yaml

from sightline.data.labels import IGNORED_LABEL, cleaned, respelled

LONGEST_ARGUMENT = 100_000
"""Characters; Linux takes 131,072 bytes, and some are quoted."""


def suggested_overrides(labels: Mapping[str, int], ignored: Sequence[str]) -> list[str]:
    """Overrides that make a class of every label: one for each name, however it is spelled.

    Args:
        labels: How many shapes carry each.
        ignored: ``data.ignored_labels``.

    Returns:
        ``data.classes=[...]``, and ``data.ignored_labels`` and ``data.aliases`` where they are needed; nothing where
        there is no class.
    """
    meant = respelled(labels, (IGNORED_LABEL, *ignored))
    names = sorted({meant.get(label, label) for label in labels if cleaned(label)})
    left_out = [*ignored, *([IGNORED_LABEL] if IGNORED_LABEL in names and IGNORED_LABEL not in ignored else [])]
    classes = [name for name in names if name not in left_out]
    if not classes:
        return []
    overrides = [f"data.classes={_list(classes)}"]
    if left_out != list(ignored):
        overrides.append(f"data.ignored_labels={_list(left_out)}")
    if meant:
        aliases = {_pattern(label): meant[label] for label in sorted(meant)}
        overrides.append(f"data.aliases={_mapping(aliases)}")
    return overrides


def fit_a_command_line(overrides: Sequence[str]) -> bool:
    """Whether each of ``overrides`` is short enough to be an argument of a command."""
    return all(len(shlex.quote(override)) <= LONGEST_ARGUMENT for override in overrides)


def _pattern(label: str) -> str:
    """A label as an alias of itself alone: aliases are regular expressions, too."""
    return re.escape(label) if set(label) & set(r"\.^$*+?{}[]|()") else label


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _mapping(values: Mapping[str, str]) -> str:
    # A question mark begins a key that is too long to be known as one by its colon.
    pairs = ((_scalar(key), _scalar(value)) for key, value in values.items())
    return f"{{{', '.join(f'? {key} : {value}' if len(key) > 500 else f'{key}: {value}' for key, value in pairs)}}}"


def _scalar(text: str) -> str:
    """A string of YAML that a shell, a terminal and a clipboard leave as it is: on one line, nothing invisible."""
    plain = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**9).strip()[1:-1]
    if plain.isprintable():
        return plain
    return yaml.safe_dump([text], default_style='"', default_flow_style=True, width=10**9).strip()[1:-1]
