"""A proxy as companies have them: for http it asks in the client's place, for https it makes a tunnel."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """A proxy that leads every name to this machine; ``asked`` has what it was asked for."""

    address: str
    asked: list[str] = field(default_factory=list)
    login: str = ""


@contextlib.contextmanager
def proxy_server(login=""):
    """A proxy on a free port.

    Args:
        login: ``user:password`` that it wants.
    """

    class Handler(BaseHTTPRequestHandler):
        def allowed(self):
            proxy.asked.append(f"{self.command} {self.path}")
            wanted = "Basic " + base64.b64encode(proxy.login.encode()).decode()
            if not proxy.login or self.headers.get("Proxy-Authorization") == wanted:
                return True
            self.send_error(407)
            return False

        def do_GET(self):
            if self.allowed():
                parts = urlsplit(self.path)
                here = f"http://127.0.0.1:{parts.port}{parts.path}?{parts.query}"
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(here) as answer:
                    content, kind = answer.read(), answer.headers["Content-Type"]
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def do_CONNECT(self):
            if not self.allowed():
                return
            with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as there:
                self.send_response(200)
                self.end_headers()
                ends = {self.connection: there, there: self.connection}
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        content = end.recv(65536)
                        if not content:
                            self.close_connection = True
                            return
                        ends[end].sendall(content)

        def log_message(self, *arguments):
            """Nothing is printed."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"127.0.0.1:{listening.server_port}", login=login)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
