"""The built-in default addresses, and the user's settings file.

A command that asks for no more than a place needs no schema, which takes longer to import than most commands run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from sightline.errors import ConfigurationError

Document = dict[str, Any]


def home() -> Path:
    """The folder of the embedded defaults: ``$SIGHTLINE_HOME``, else ``~/.sightline``."""
    return Path(os.environ.get("SIGHTLINE_HOME") or Path.home() / ".sightline").expanduser().absolute()


def settings_path() -> Path:
    """The user's own defaults, which lie between a recipe and the overrides: ``$SIGHTLINE_SETTINGS``, else at home."""
    named = os.environ.get("SIGHTLINE_SETTINGS")
    return Path(named).expanduser().absolute() if named else home() / "settings.yaml"


def embedded_or_own(section: str, field: str) -> str:
    """A field that has a value without any recipe, such as ``data.repository``: embedded default < settings file.

    Raises:
        ConfigurationError: The settings file cannot be read.
    """
    document = embedded_defaults()
    merge(document, read_settings())
    return str(document[section][field])


def embedded_defaults() -> Document:
    """What has a value without any recipe or settings file: everything in one folder."""
    return {
        "data": {"repository": str(home() / "data")},
        "storage": {"uri": (home() / "bucket").as_uri()},
        "database": {"url": f"sqlite:///{home() / 'sightline.sqlite'}"},
        "work": {"dir": str(home() / "work")},
    }


def read_settings() -> Document:
    """The contents of the settings file; empty if there is none.

    Raises:
        ConfigurationError: It cannot be read, or is not where ``SIGHTLINE_SETTINGS`` says.
    """
    path = settings_path()
    if path.exists():
        return read_yaml(path)
    if os.environ.get("SIGHTLINE_SETTINGS"):
        raise ConfigurationError(
            f"SIGHTLINE_SETTINGS points to the settings file {path}, which does not exist; mount the ConfigMap "
            "sightline-settings there, or unset the variable"
        )
    return {}


def read_yaml(path: Path | Traversable, name: str = "") -> Document:
    """The sections of a YAML file.

    Args:
        path: The file.
        name: How messages call it; by default its path.

    Raises:
        ConfigurationError: It cannot be read, or is no YAML with sections.
    """
    from sightline import strict_yaml

    where = name or str(path)
    try:
        document = strict_yaml.decode(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{where} cannot be read ({error.strerror}); check that it is a file, and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{where} is not UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start}); save it as UTF-8"
        ) from error
    except strict_yaml.YamlError as error:
        raise ConfigurationError(f"{where} is not valid YAML: {error}; fix or remove it") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else "a single value"
        raise ConfigurationError(f"{where} must hold sections such as data:, but it holds {kind}")
    return document


def merge(document: Document, other: Mapping[str, Any]) -> None:
    """Put the values of ``other`` over those of ``document``, section by section."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            merge(document[key], value)
        else:
            document[key] = value
