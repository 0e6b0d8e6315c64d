"""``python forked_dvc_client.py SOCKET ARGUMENTS``: run a DVC command in a process forked by ``forked_dvc_server``."""

import json
import os
import socket
import sys

umask = os.umask(0)
asked = {
    "arguments": sys.argv[2:],
    "environment": dict(os.environ),
    "folder": os.getcwd(),  # noqa: PTH109  (pathlib takes longer to import than the rest)
    "umask": umask,
}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    socket.send_fds(connection, [json.dumps(asked).encode()], [0, 1, 2])
    status = int(connection.recv(16) or 1)
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
