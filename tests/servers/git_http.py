"""Git repositories behind HTTP with a password, as a team's git server has them: git's own CGI in a small server."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class GitServer:
    """Serves the bare repositories below ``root`` to whoever knows the token, or to all where it is empty."""

    def __init__(self, root: Path, token: str, address: str = "127.0.0.1") -> None:
        self.root, self.token = root, token
        self.users: list[str] = []
        self.read_only = False
        self.answers = threading.Event()
        """Whether it answers; requests wait while this is cleared."""
        self.answers.set()
        self._http = ThreadingHTTPServer((address, 0), _Handler)
        self._http.git = self

    def url(self, name: str) -> str:
        host, port = self._http.server_address[:2]
        return f"http://{host}:{port}/{name}"

    def add(self, name: str, source: Path) -> str:
        """Serve a bare copy of a repository."""
        subprocess.run(["git", "clone", "--quiet", "--bare", str(source), str(self.root / name)], check=True)
        subprocess.run(["git", "-C", str(self.root / name), "config", "http.receivepack", "true"], check=True)
        return self.url(name)

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        git = self.server.git
        git.answers.wait()
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(given).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if git.token and password != git.token:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="data"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        git.users.append(user)
        if git.read_only and "git-receive-pack" in self.path:
            self.send_error(403)
            return
        self._run_backend(git.root, user)

    def _run_backend(self, root: Path, user: str) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=self.rfile.read(length), env=environment, capture_output=True, check=False
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [line.partition(": ") for line in head.decode().splitlines()]
        status = next((value for name, _, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked may be gone by now
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing is printed."""
