"""Names in the result bucket that differ from run to run, because what they are made from tells times."""

import re

_PUBLICATION = re.compile(r"(results/\w+/[^/]+/[0-9a-f]{16})/[0-9a-f]{16}(?![0-9a-f])")
_SUMMARY = re.compile(r"/summary-[0-9a-f]{16}\.json")


def nameless(text: str) -> str:
    """A path, a URI or a JSON text with one name for all publications and one for all summaries."""
    return _SUMMARY.sub("/summary.json", _PUBLICATION.sub(r"\1/publication", text))
