"""Rendering of self-contained HTML pages, which open offline and load nothing from elsewhere."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import DataError
from sightline.files import written_whole
from sightline.report.wording import count_text, duration_text, metric_text, moment_text, significant_text
from sightline.version import __version__

if TYPE_CHECKING:
    import jinja2
    from PIL import Image

MAX_DRAWN_PIXELS = 150_000_000
"""Limit for drawn images; they are as large as their originals, which data.max_pixels limits."""


def write_page(path: Path, template: str, **values: object) -> None:
    """Render a template and write the page atomically; parent folders are created."""
    text = render(template, **values)
    with written_whole(path) as file:
        file.write(text.encode())


def render(template: str, **values: object) -> str:
    """Render a template; every value is escaped, and an undefined name in the template is an error."""
    from markupsafe import Markup

    script = Path(__file__).with_name("templates").joinpath("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = _environment().get_template(template)
    return page.render(
        version=__version__,
        script=Markup(script),  # noqa: S704 - our own file
        script_digest=Markup(f"'sha256-{digest}'"),  # noqa: S704 - base64
        **values,
    )


@functools.cache
def _environment() -> jinja2.Environment:
    """Cached, because compiling the templates takes longer than rendering a page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sightline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "metric": metric_text,
        "count": count_text,
        "duration": duration_text,
        "jpeg": embedded_jpeg,
        "slug": slug,
        "moment": moment_text,
        "significant": significant_text,
    }
    return environment


def alone(page: bytes) -> bytes:
    """Remove the relative links of a page that is copied to a place without the files they lead to.

    Templates put such links between ``<!--beside-->`` and ``<!--/beside-->``.  Values cannot contain these marks,
    because they are escaped.
    """
    return re.sub(rb"<!--beside-->.*?<!--/beside-->", b"", page, flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class EmbeddedJpeg:
    """An image in a page: a ``data:`` URI, and its size in pixels."""

    uri: str
    width: int
    height: int


def embedded_jpeg(image: Image.Image | Path, longest: int = 800) -> EmbeddedJpeg:
    """The image as a JPEG with at most ``longest`` pixels on its longer side.

    Raises:
        DataError: The file is missing or is not an image.
    """
    from PIL import Image  # imported here: it takes a tenth of a second, and most pages have no image

    from sightline.data.images import UnreadableImageError, read_reduced

    if isinstance(image, Path):
        try:
            return embedded_jpeg(read_reduced(image, MAX_DRAWN_PIXELS, longest)[0], longest)
        except UnreadableImageError as error:
            raise DataError(
                f"{image}: cannot show this drawn image in the report: {error.reason}; run its step again"
            ) from error
    small = image.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=78, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
    return EmbeddedJpeg(uri, *small.size)


def reason_of(error: Exception) -> str:
    """The reason of an error, without the path that an ``OSError`` repeats."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def slug(text: str) -> str:
    """An HTML id for any text: its letters and digits in lower case, plus a digest if that changes the text."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
    if plain and plain == text:
        return plain
    return f"{plain[:40] or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
