"""``python -m sightline.code bring CODE_REV``: started by the bootstrap if a pod does not have the code yet.

Standard output contains only the revision.  The bucket is the one in the settings file.
"""

from __future__ import annotations

import sys

from sightline.code.bring import bring
from sightline.config.settings import embedded_or_own
from sightline.errors import CodeError, SightlineError
from sightline.pod import prepare_pod
from sightline.storage import open_storage
from sightline_bootstrap import SnapshotError, volume_of


def main(arguments: list[str]) -> int:
    """Install a snapshot; on failure, print a line that begins with ``error:`` and exit with 1."""
    prepare_pod()
    try:
        if len(arguments) != 2 or arguments[0] != "bring":
            raise CodeError("expected python -m sightline.code bring CODE_REV")
        storage = open_storage(embedded_or_own("storage", "uri"))
        revision = bring(arguments[1], storage, volume_of(arguments[1]))
    except (SightlineError, SnapshotError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{revision}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
