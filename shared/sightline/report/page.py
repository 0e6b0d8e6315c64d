"""One HTML page, made from a template and complete in itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from sightline.version import __version__


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template of this room and put the page in place as a whole."""
    text = render(template, **values)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def render(template: str, **values: Any) -> str:
    """The text of a page; every value is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sightline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **values)
