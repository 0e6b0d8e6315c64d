"""Runs on this machine whose process was killed before it could record the end of the run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sightline.errors import SightlineError
from sightline.runs.document import RunDocument, read_document, read_runs
from sightline.runs.journal import GONE, process_is_alive

_log = logging.getLogger(__name__)


def close_abandoned(work: Path, run_ids: Iterable[str] | None = None) -> list[str]:
    """Mark runs whose process has ended as interrupted, in their rows, their pages and the index.

    Args:
        work: The work volume.
        run_ids: The runs to check; None: all on this volume.

    Returns:
        The runs that were closed.  A run that cannot be closed causes a warning: other runs can start nevertheless.
    """
    named = None if run_ids is None else [read_document(work, run_id) for run_id in run_ids]
    documents = read_runs(work) if named is None else [document for document in named if document is not None]
    closed = []
    for document in documents:
        kept_here = document.state == "running" and document.pid
        if kept_here and not process_is_alive(document.pid, document.host):
            try:
                _close(document)
                closed.append(document.run_id)
            except SightlineError as error:
                _log.warning("run %s was interrupted, but its row or page cannot say so: %s", document.run_id, error)
    return closed


def _close(document: RunDocument) -> None:
    from sightline.config.decode import from_json
    from sightline.database import open_database
    from sightline.runs.pages import write_pages

    config = from_json(json.dumps(document.configuration))
    document.state, document.message = "interrupted", GONE
    with closing(open_database(config.database.url)) as database:
        database.finish_run(document.run_id, document.state, document.message)
    write_pages(config, document)
