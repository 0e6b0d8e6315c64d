"""The built-in default addresses, and the user's settings file.

Commands that only need an address do not import the schema, which would take longer than most commands.
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
    """The user's settings file, between recipe and overrides: ``$SIGHTLINE_SETTINGS``, else in :func:`home`."""
    named = os.environ.get("SIGHTLINE_SETTINGS")
    return Path(named).expanduser().absolute() if named else home() / "settings.yaml"


def embedded_or_own(section: str, field: str) -> str:
    """A field with a value even without a recipe, such as ``data.repository``: embedded default < settings file.

    Raises:
        ConfigurationError: The settings file cannot be read.
    """
    document = embedded_defaults()
    merge(document, read_settings())
    return str(document[section][field])


def embedded_defaults() -> Document:
    """The values without a recipe or settings file: all locations are in one folder."""
    return {
        "data": {"repository": str(home() / "data")},
        "storage": {"uri": (home() / "bucket").as_uri()},
        "database": {"url": f"sqlite:///{home() / 'sightline.sqlite'}"},
        "work": {"dir": str(home() / "work")},
    }


def read_settings() -> Document:
    """The contents of the settings file; empty if there is none.

    Raises:
        ConfigurationError: It cannot be read, or the file in ``SIGHTLINE_SETTINGS`` does not exist.
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
    """Read the sections of a YAML file.

    Args:
        path: The file.
        name: Name of the file in messages; by default its path.

    Raises:
        ConfigurationError: It cannot be read, or is not YAML with sections.
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
        raise ConfigurationError(f"{where} must contain sections such as data:, but it contains {kind}")
    return document


def merge(document: Document, other: Mapping[str, Any]) -> None:
    """Override values of ``document`` by those of ``other``, section by section."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            merge(document[key], value)
        else:
            document[key] = value
