"""A small HTTP server that answers as it is told, for what a real back end does not do on demand."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answering:
    """Answers, by ``METHOD /path``; one that is a function is called with the request."""

    url: str
    answers: dict = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def say(self, request, body="", status=200, **headers):
        """Answer a request; ``body`` is a text, or anything else as JSON."""
        self.answers[request] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@contextlib.contextmanager
def answering_server(tls=None):
    """A server on a free port; with an SSL context it speaks https, under the name ``localhost``."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, parts.path, query, dict(self.headers), body)
            server.asked.append(asked)
            answer = server.answers.get(f"{self.command} {parts.path}", (404, {"message": "no such thing"}, {}))
            status, content, headers = answer(asked) if callable(answer) else answer
            kind = "text/plain" if isinstance(content, str) else "application/json"
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            data = text.encode() if isinstance(text, str) else text
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815  (http.server's names)

        def log_message(self, *arguments):
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Answering(f"http://127.0.0.1:{listening.server_port}")
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        server.url = f"https://localhost:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
