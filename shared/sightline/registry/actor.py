"""The person who runs a command, for the record."""

from __future__ import annotations

import getpass
import os
import socket


def person() -> str:
    """``user@host`` of this process; the number of the user if the system knows no name for it.

    Example:
        >>> person().count("@") >= 1
        True
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without an entry in /etc/passwd
        user = str(os.getuid())
    printable = "".join(character for character in user if character.isprintable())  # it is a variable, such as USER
    return f"{printable}@{socket.gethostname()}".strip()[:255]
