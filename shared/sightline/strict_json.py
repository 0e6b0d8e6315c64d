"""Strict parsing of untrusted JSON: labelme files, DVC's manifests, headers of model files, documents in the bucket.

Python's parser accepts duplicate keys and keeps the last, accepts NaN and lone surrogates, and raises RecursionError
for 100,000 brackets.  Here each of these is an error whose message is the reason; the caller adds the place and the
remedy.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter

MAX_BYTES = 1024**3
"""A longer text is rejected unread."""

MAX_DEPTH = 100
"""Maximum nesting of brackets; Sightline's own documents have fewer than ten levels."""

MAX_DIGITS = 4000
"""Maximum number of digits of an integer; Python's own limit, 4300, can be changed by an environment variable."""

CLOSED: ConfigDict = {"extra": "forbid"}
"""Makes a dataclass reject unknown fields; see :func:`decode_as`."""

Document = TypeVar("Document")

_EXACT = 2**53
"""Up to this limit every integer can be represented exactly as a float."""

_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_EXPONENT = re.compile(rb"[eE]\+?[0-9]{3}")
_NUMBER = b"-.0123456789"
_BEFORE_NUMBERS = b" \t\r\n,:[\xbf"
"""What precedes a number: the last of these is the end of a byte order mark."""

_DIGITS_AS_0 = bytes.maketrans(b"123456789E", b"000000000e")
_LONG = b"0" * 200
"""With so many digits, an exponent of two digits can be too large."""


class JsonError(ValueError):
    """A text that is not strict JSON; the message is the reason."""


class EncodingError(JsonError):
    """Bytes that are not UTF-8."""


def decode(
    content: bytes | str,
    *,
    max_bytes: int = MAX_BYTES,
    finite: bool = True,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """Decode a JSON text.

    Args:
        content: UTF-8, with or without a byte order mark; or the text itself.
        max_bytes: A longer text is rejected unread.
        finite: Whether NaN, Infinity and numbers too large for a float are rejected.
        pairs: Converts the fields of an object to another type than dict; it must handle duplicate keys itself.

    Returns:
        The result of Python's ``json``.

    Raises:
        JsonError: It is too long, not UTF-8, empty, not JSON, nested deeper than :data:`MAX_DEPTH`, or contains a
            duplicate key, an integer with thousands of digits, a lone surrogate, or a non-finite number.
    """
    if isinstance(content, str):
        content = content.encode(errors="surrogatepass")
    if len(content) > max_bytes:
        raise JsonError(f"it has {len(content):,} bytes, more than {max_bytes:,}")
    try:
        document = json.loads(
            _text(content),
            object_pairs_hook=pairs or _object,
            parse_constant=_refuse_constant if finite else float,
        )
    except json.JSONDecodeError as error:
        raise JsonError(f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise JsonError("brackets are nested too deeply") from error
    except JsonError:
        raise
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        raise JsonError("it contains an integer with thousands of digits") from error
    _refuse_depth(content, document)
    if may_overflow(content) or _HALF_CHARACTER.search(content):
        _refuse_values(document, finite=finite)
    return document


def may_overflow(content: bytes) -> bool:
    """Whether a JSON text may contain a number such as 1e999, which Python reads as infinity.

    The digits of a checksum, such as ``"3e456"``, are no number.
    """
    plain = content.translate(_DIGITS_AS_0)
    if _LONG in plain:
        return True
    if b"e000" not in plain and b"e+000" not in plain:  # far faster than the expression
        return False
    return any(_is_number(content, match.start()) for match in _EXPONENT.finditer(content))


def _is_number(content: bytes, exponent: int) -> bool:
    """Whether what precedes an exponent is a number; it may also be in a string."""
    before = content[max(exponent - len(_LONG), 0) : exponent]
    rest = before.rstrip(_NUMBER)
    return rest != before and (not rest or rest[-1] in _BEFORE_NUMBERS)


def decode_as(kind: type[Document], content: bytes | str) -> Document:
    """Decode a JSON text as a dataclass; fields of other types are rejected.

    Args:
        kind: A dataclass; unknown fields are ignored, or rejected if ``__pydantic_config__ = CLOSED``.
        content: As for :func:`decode`.

    Raises:
        JsonError: It is not strict JSON, or a field is missing, unknown, or of another type.
    """
    decode(content)
    return validate(kind, content)


def validate(kind: type[Document], content: bytes | str) -> Document:
    """:func:`decode_as` for a text that :func:`decode` accepts."""
    from pydantic import ValidationError

    if isinstance(content, bytes):
        content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        validated: Document = _adapter(kind).validate_json(content, strict=True)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise JsonError(f"{where}: {first['msg']}" if where else str(first["msg"])) from error
    return validated


@functools.cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _text(content: bytes) -> str:
    # Without a byte order mark, UTF-16 has a NUL within the first two characters.
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:4]:
        raise EncodingError(f"not UTF-8 (byte 0x{content[0]:02x} at 0)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The position in the error does not include the mark.
        start = error.start + 3 * content.startswith(b"\xef\xbb\xbf")
        raise EncodingError(f"not UTF-8 (byte 0x{content[start]:02x} at {start})") from error
    if not text.strip():
        raise JsonError("it is empty")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JsonError(f"duplicate key {shown(twice)}")
    return document


def _refuse_constant(name: str) -> None:
    raise JsonError(f"it contains {name}, which JSON does not allow")


def _refuse_depth(content: bytes, document: object) -> None:
    """Remove pairs of brackets from the inside, level by level, which is sufficient for nearly all texts."""
    brackets = content.translate(None, _BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets and any(depth > MAX_DEPTH for depth, _ in _values(document)):
        raise JsonError("brackets are nested too deeply")


def _refuse_values(document: object, *, finite: bool) -> None:
    too_large = 10**MAX_DIGITS  # once: it takes longer than all else here
    for _, value in _values(document):
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                code = ord(error.object[error.start])
                raise JsonError(f"a string contains a lone surrogate (U+{code:04X})") from error
        elif isinstance(value, int) and abs(value) >= too_large:
            raise JsonError("it contains an integer with thousands of digits")
        elif finite and isinstance(value, float) and not math.isfinite(value):
            raise JsonError("it contains a number that is too large")


def _values(document: object) -> Iterator[tuple[int, object]]:
    """Every value and every key, with its nesting depth; without recursion."""
    waiting = [(0, document)]
    while waiting:
        depth, value = waiting.pop()
        if isinstance(value, dict):
            yield depth + 1, value
            waiting.extend((depth + 1, part) for item in value.items() for part in item)
        elif isinstance(value, list):
            yield depth + 1, value
            waiting.extend((depth + 1, part) for part in value)
        else:
            yield depth, value


def without_nulls(document: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """JSON values without fields that are null; list elements are kept.

    Example:
        >>> without_nulls({"a": None, "b": [{"c": None, "d": 1}, None]})
        {'b': [{'d': 1}, None]}
    """
    if isinstance(document, dict):
        return {key: without_nulls(value) for key, value in document.items() if value is not None}
    if isinstance(document, list):
        return [without_nulls(value) for value in document]
    return document


def whole_numbers(document: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """JSON values in which every float without a fraction is an int, up to 2**53, the limit of exact floats.

    Example:
        >>> whole_numbers({"iterations": 12.0, "values": [1.0, 0.5]})
        {'iterations': 12, 'values': [1, 0.5]}
    """
    if isinstance(document, dict):
        return {key: whole_numbers(value) for key, value in document.items()}
    if isinstance(document, list):
        return [whole_numbers(value) for value in document]
    if isinstance(document, float) and document.is_integer() and abs(document) < _EXACT:
        return int(document)
    return document


def shown(text: str) -> str:
    """A text as quoted in messages: at most 40 characters."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
