"""Replaces what differs from run to run (folders, ids, ports, times) by names in angle brackets."""

import re
import tempfile
from pathlib import Path
from urllib.parse import quote

import sightline

ROOT = str(Path(__file__).parents[2])
_folders: list[tuple[str, str]] = []
"""Patterns of the folders that pytest makes for tests; also as part of a URL."""
PATTERNS = [
    (r"\bby [^\n<>]* <[^<>\s]+@[^<>\s]+>", "by <author>"),
    (r"(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
    (r"\b\d{8}-\d{6}(-[0-9a-f]{4})?\b", "<run>"),
    (r"\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{12}|[0-9a-f]{8})\b", "<hex>"),
    (r"(127\.0\.0\.1|localhost|\[::1\])([: ]+|', )\d{4,5}\b", r"\1\2<port>"),
    (r"\b(process|pid|PID) \d+", r"\1 <pid>"),
    (r"\bheld by process <pid> on \S+ at <time> \(.*?\);", "held by process <pid> on <host> at <time> (<command>);"),
    (r"/\.tmp\w{6}\b", "/.<random>"),
    (r"\.\d+\.part\b", ".<pid>.part"),
    (r"_ssl\.c:\d+", "_ssl.c:<n>"),
    (r"\btest_[0-9a-f]{12}\b", "<database>"),
    (r"\b\d[\w.+-]*-MariaDB[\w.+-]*", "<version>"),
    (r"\bgeneration \d+", "generation <n>"),
    (r"(\.invalid:)\d+", r"\1<port>"),
    (r"\btmp[a-z0-9_]{8}\b", "<random>"),
    (r"\b(sightline-[a-z]+)-\d+-\w{8}\b", r"\1-<random>"),
    (r"(?<![\w+/])[\w+/]{6}==", "<crc32c>"),
    (r"\b\d+(\.\d+)? (m?s)\b", r"<n> \2"),
    (r"\b[0-9a-f]{2}/[0-9a-f]{30}\b", "<hex>"),
    (r"0x[0-9a-f]{8,}", "<address>"),
    (r"[ \t]+$", ""),
]


def temporary_folders(base: Path) -> None:
    """Say in which folder pytest makes those of the tests."""
    _folders[:] = [(re.escape(str(base)) + r"/[\w-]+", "<tmp>"), (re.escape(quote(str(base), safe="")), "<tmp>")]


def normal(text: str) -> str:
    """The text as a golden file keeps it."""
    for pattern, name in _folders:
        text = re.sub(pattern, name, text)
    text = text.replace(ROOT, "<checkout>").replace(sightline.__version__, "<version>")
    text = text.replace(tempfile.gettempdir(), "/tmp").replace(f"{Path.home()}/", "<home>/")
    for pattern, name in PATTERNS:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text.strip("\n")
