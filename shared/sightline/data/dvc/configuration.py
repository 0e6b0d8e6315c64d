"""Reads and writes ``.dvc/config``: the remotes, quoted so that DVC reads the same values."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from configobj import ConfigObj, ConfigObjError

from sightline.data.tags import Room
from sightline.errors import RepositoryError

ROOMS: tuple[Room, ...] = ("annotations", "training")
"""The names of the two remotes."""

NEW_CONFIGURATION = """\
[core]
    analytics = false
    autostage = false
    check_update = false
[cache]
    type = "reflink,copy"
"""
"""Beginning of the ``.dvc/config`` of a repository created by Sightline."""

_TRUE = {"true", "yes", "on", "1"}
_REPLACED = re.compile(r"%\([^)]*\)s")
"""Placeholders that DVC replaces with another setting, or fails on."""


def read_remotes(text: str, where: str) -> dict[str, dict[str, str]]:
    """Read the remotes of a ``.dvc/config``: name -> option -> value.

    Args:
        text: The file's contents.
        where: Name of the file in errors.

    Raises:
        RepositoryError: The text cannot be parsed.
    """
    try:
        sections: dict[str, Any] = ConfigObj(text.splitlines()).dict()
    except (ConfigObjError, ValueError) as error:
        raise RepositoryError(f"{where} cannot be read: {error}; fix it by hand") from error
    remotes: dict[str, dict[str, str]] = {}
    for section, options in sections.items():
        name = section.strip().removeprefix("remote").strip()
        if section.strip().startswith("remote") and isinstance(options, dict):
            remotes[name.strip('"')] = {key.lower(): _as_text(value) for key, value in options.items()}
    return remotes


def is_true(value: str | None) -> bool:
    """Whether an option is enabled."""
    return (value or "").strip().lower() in _TRUE


def address_fault(address: str) -> str:
    """Why DVC cannot read an address or path back from its configuration, or cannot work with it.

    Returns:
        A clause such as ``it has a line break``; empty if there is no fault.
    """
    faults = {
        "it has a line break or a NUL character": "\0" in address or len(f"{address}.".splitlines()) > 1,
        "it has a curly bracket, which DVC does not support": set("{}") & set(address),
        "it has %(...)s, which DVC replaces": _REPLACED.search(address),
    }
    if fault := next((fault for fault, found in faults.items() if found), ""):
        return fault
    try:
        address.encode()
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    try:
        readable = ConfigObj(ConfigObj({"url": address}, interpolation=False).write())["url"] == address
    except (ConfigObjError, ValueError):
        readable = False
    return "" if readable else "its quotation marks cannot be written to DVC's configuration"


def require_path(path: Path, what: str) -> None:
    """Reject a folder that DVC cannot work in.

    Args:
        path: The folder.
        what: Name of the folder in errors.

    Raises:
        RepositoryError: Its path contains characters that DVC does not support.
    """
    if fault := address_fault(str(path)):
        raise RepositoryError(f"{what} {str(path)!r} cannot be used: {fault}; choose another folder")


def local_configuration(settings: ConfigObj) -> bytes:
    """A ``.dvc/config.local``, quoted so that DVC reads the same values.

    Raises:
        RepositoryError: A value cannot be quoted.
    """
    settings.encoding = "utf-8"
    file = io.BytesIO()
    try:
        settings.write(file)
    except (ConfigObjError, UnicodeEncodeError) as error:
        raise RepositoryError(f"DVC's configuration cannot hold a setting of this machine: {error}") from error
    return file.getvalue()


def remote_section(room: Room, base: str) -> str:
    """The section of ``.dvc/config`` for the remote of one kind of data.

    Args:
        room: The kind of data.
        base: Parent location of both remotes.

    Raises:
        RepositoryError: DVC could not read the address back.
    """
    url = f"{base}/{room}"
    if fault := address_fault(url):
        raise RepositoryError(f"DVC remote {base!r} cannot be used: {fault}; choose another address")
    (line,) = ConfigObj({"url": url}, interpolation=False).write()
    return f"['remote \"{room}\"']\n    {line}\n    verify = true\n"


def configuration_with_remotes(text: str, base: str, where: str) -> str:
    """A ``.dvc/config`` with both remotes added; its existing contents are kept.

    Raises:
        RepositoryError: It has a remote with this name at another address.
    """
    present = read_remotes(text, where)
    for room in ROOMS:
        if room in present:
            url = present[room].get("url", "")
            if url != f"{base}/{room}":
                raise RepositoryError(
                    f"{where} already has a remote {room!r} at {url}, but expected {base}/{room}; rename it "
                    f"(dvc remote rename {room} NEW_NAME), or choose a --remote that matches it"
                )
            continue
        if text and not text.endswith("\n"):
            text += "\n"
        text += remote_section(room, base)
    return text


def local_settings(dvc_dir: Path) -> tuple[Path, ConfigObj]:
    """The path of the repository's cache, and its settings for this machine only (``.dvc/config.local``).

    Paths in the settings are absolute, so that they remain valid in another folder.

    Raises:
        RepositoryError: DVC cannot read the settings.
    """
    from dvc.config import Config, ConfigError

    try:
        config = Config(str(dvc_dir))
        local = config.load_one("local")
    except ConfigError as error:
        raise RepositoryError(f"{dvc_dir}: DVC cannot read its configuration: {error}; fix it by hand") from error
    settings = ConfigObj(interpolation=False)
    for section, options in local.items():
        if section in {"remote", "machine", "db"}:
            settings.update({f'{section} "{name}"': values for name, values in options.items()})
        elif options:
            settings[section] = options
    cache = config["cache"].get("dir") or dvc_dir / "cache"
    return Path(cache).expanduser().absolute(), settings


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
