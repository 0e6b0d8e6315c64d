"""Run a command with a Google Storage and a MariaDB of our own: ``python -m tests.servers make demo``.

The command finds an empty bucket in ``$BUCKET`` (a ``gs://`` URI) and an empty database in ``$DATABASE_URL``; all else
that clients need is in the environment too.  Both servers end with the command and keep nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.google_storage import google_storage
from tests.servers.mariadb import PASSWORD, PASSWORD_VARIABLE, new_database, own_server, wait_for


def main(command: list[str]) -> int:
    """Run ``command`` and return its exit code."""
    with tempfile.TemporaryDirectory() as folder, google_storage() as rig, own_server(Path(folder)) as server_url:
        os.environ[PASSWORD_VARIABLE] = PASSWORD
        wait_for(server_url)
        with new_database(server_url) as database_url:
            bucket = f"gs://{rig.new_bucket('sightline')}"
            environment = {**os.environ, **rig.environment, "BUCKET": bucket, "DATABASE_URL": database_url}
            return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
