"""Classifies database errors: which are transient, and what to do about the others.

Codes are those of MariaDB and MySQL (below 2000 and above 3000) and of PyMySQL itself (2000 to 2999).
"""

from __future__ import annotations

import os
import socket
import ssl

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from sightline.database.engine.address import PASSWORD_VARIABLE

CANNOT_CONNECT = 2003
TRANSIENT_CODES = {
    1020,  # a row changed since this transaction began (MariaDB with innodb_snapshot_isolation, the default from 11.6)
    1040,  # too many connections
    1053,  # the server is shutting down
    1158,  # the server could not read from the network
    1159,  # the same, after a timeout
    1160,  # the server could not write to the network
    1161,  # the same, after a timeout
    1203,  # too many connections of one user
    1205,  # timeout while waiting for a lock
    1213,  # deadlock; this transaction was aborted
    1226,  # the same, for a limit of the user
    1317,  # the statement was killed
    1412,  # a table changed since this transaction began: the schema was upgraded
    1927,  # the connection was killed
    CANNOT_CONNECT,
    2006,  # the server has gone away
    2013,  # connection lost during the query
}

_RIGHTS = (
    "grant its user what it needs: GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO '{user}'@'%'; "
    "for `sightline db upgrade` also CREATE, ALTER, INDEX, DROP, REFERENCES"
)
_HINTS = {
    1044: _RIGHTS,
    1045: "check the user in the URL and the password in {variable}{unset}",
    1049: "check the name in the URL, or create it: CREATE DATABASE {database}",
    1114: "free some space on the server's disk",
    1129: "the server is blocking this host after too many broken connections: run FLUSH HOSTS there",
    1130: "the server does not let this user in from this host: grant rights to '{user}'@'%'",
    1142: _RIGHTS,
    1146: "a table is missing: run `sightline db upgrade`, then `sightline db check`",
    1153: "raise max_allowed_packet of the server to 16M or more",
    1227: _RIGHTS,
    1290: "the server is read-only: connect to the primary server",
    1698: "check the user in the URL and the password in {variable}{unset}",
    1836: "the server is read-only: connect to the primary server",
    1969: "the statement took longer than statement_timeout; raise it: add ?statement_timeout=SECONDS to the URL",
    2026: "the URL requires TLS, but the server does not offer it: enable it there, or change ssl_mode in the URL",
    3024: "the statement took longer than statement_timeout; raise it: add ?statement_timeout=SECONDS to the URL",
    3159: "the server accepts encrypted connections only: change ssl_mode in the URL to required or verify_identity",
}
_SQLITE_HINTS = {
    "disk is full": "free some space on its disk",
    "readonly database": "make the file and its folder writable for this user",
    "unable to open": "check the path, and that this user may read the file and write to its folder",
    "malformed": "the file is damaged: restore a backup",
    "disk I/O error": "check the disk; a database on a network file system (NFS) is not safe",
}


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed if it is retried."""
    original = error.orig
    if original is None:
        return False
    if code(error) == CANNOT_CONNECT:
        return not _never_connects(getattr(original, "original_exception", None))
    if code(error) in TRANSIENT_CODES or error.connection_invalidated:
        return True
    return "database is locked" in str(original) or "database table is locked" in str(original)


def code(error: DBAPIError) -> int:
    """The error number of the server or PyMySQL; 0 for SQLite."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else 0
    return first if isinstance(first, int) else 0


def hint(error: DBAPIError, url: URL) -> str:
    """What to do next."""
    if is_transient(error):
        return "several attempts failed: check that the server is running and that no other client holds its locks"
    if url.get_backend_name() == "sqlite":
        found = [advice for said, advice in _SQLITE_HINTS.items() if said in str(error.orig)]
        return found[0] if found else "check that the file is a Sightline database, and run `sightline db check`"
    if code(error) == CANNOT_CONNECT:
        cause = getattr(error.orig, "original_exception", None)
        if isinstance(cause, ssl.SSLError):
            return "check ssl_ca, ssl_cert and ssl_key in the URL against the server's certificate and its host name"
        return f"unknown host {url.host}: check the URL"
    advice = _HINTS.get(code(error), f"check the URL, the rights of its user, and the password in {PASSWORD_VARIABLE}")
    unset = "" if os.environ.get(PASSWORD_VARIABLE) else ", which is not set"
    return advice.format(database=url.database, user=url.username, variable=PASSWORD_VARIABLE, unset=unset)


def _never_connects(cause: object) -> bool:
    """Whether a connection failed for a reason that does not go away by waiting."""
    if isinstance(cause, socket.gaierror):
        return cause.errno != socket.EAI_AGAIN
    return isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
