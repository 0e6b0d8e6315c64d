"""``python -m sightline.kubeflow.doctor.inside``: run by ``doctor --in-cluster`` in a pod; one JSON object per line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sightline.config.settings import embedded_or_own, home
from sightline.errors import SightlineError
from sightline.kubeflow.doctor.findings import Finding, guarded
from sightline.kubeflow.doctor.places import examine_places, examine_pod
from sightline.pod import prepare_pod


def examine() -> Iterator[Finding]:
    """Check everything that a task requires, from the position of a task."""
    code = Path(os.environ.get("SIGHTLINE_CODE", "/code"))
    yield from guarded("pod", lambda: examine_pod(home(), code), "see the pod's log")
    yield from guarded("code", lambda: _code(code), "python pipeline.py publish-code")
    places = (("storage", "uri"), ("data", "repository"), ("database", "url"))
    yield from examine_places(*(embedded_or_own(section, field) for section, field in places))


def _code(volume: Path) -> Iterator[Finding]:
    try:
        import sightline_bootstrap as bootstrap
    except ModuleNotFoundError:  # an image that was not built from dockerfiles/
        text = "the image has no sightline_bootstrap: code on the volume cannot be run"
        yield Finding("code", "fault", text, "build the image with dockerfiles/ of this version")
        return
    try:
        revision = bootstrap.current(volume)
        if revision is None:
            publish = "python pipeline.py publish-code, or --code image"
            yield Finding("code", "warning", f"{volume} has no CURRENT: nothing was published", publish)
            return
        bootstrap.verify(volume, revision)
    except bootstrap.SnapshotError as error:
        yield Finding("code", "fault", str(error), "python pipeline.py publish-code")
    else:
        yield Finding("code", "ok", f"CURRENT is {revision[:12]}, and its files are as published")


def line_of(finding: Finding) -> str:
    """A finding in the format that clients of every release read; they add themselves where it was made."""
    document = asdict(finding)
    del document["where"]
    return json.dumps(document) + "\n"


def main() -> int:
    """Print the findings."""
    prepare_pod()
    try:
        for finding in examine():
            sys.stdout.write(line_of(finding))
            sys.stdout.flush()
    except SightlineError as error:
        sys.stdout.write(line_of(Finding("pod", "fault", str(error))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
