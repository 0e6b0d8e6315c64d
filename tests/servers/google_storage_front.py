"""The process of the Google Storage for tests: serves HTTP, and breaks what the rules of a test name."""

from __future__ import annotations

import collections
import http.server
import io
import json
import logging
import re
import socket
import struct
import sys
import threading
import time
from urllib.parse import unquote

from gcp_storage_emulator.server import _read_raw_data

from tests.servers.google_storage_service import Request, Service

REASONS = {401: "Invalid Credentials", 403: "the account does not have access to the object"}
SLICES = 50


class Faults:
    """Rules in order; the first that fits a request and has some of its times left breaks it."""

    def __init__(self):
        self.rules, self.lock = [], threading.Lock()

    def of(self, method, path):
        with self.lock:
            for rule in self.rules:
                if re.fullmatch(rule["method"], method) and re.search(rule["path"], unquote(path)):
                    rule["seen"] = rule.get("seen", 0) + 1
                    if rule["skip"] < rule["seen"] <= rule["skip"] + rule["times"]:
                        return rule
        return {"fault": None}


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    service, faults, log = Service(), Faults(), collections.deque(maxlen=200_000)

    def serve(self):
        self.dropped = False
        body = _read_raw_data(self) or b""
        if len(body) < int(self.headers.get("Content-Length") or 0):
            self.reset()  # the client died while it sent this, so there was no request
            return
        if self.path.startswith("/rig/"):
            self.control(json.loads(body or b"null"))
            return
        request = Request(self.service.storage, self.server.server_address, self.command, self.path, self.headers, body)
        rule = self.faults.of(self.command, self.path)
        self.break_before(rule, request)
        if request.status == 0 and not self.dropped:
            self.service.handle(request)
            self.break_after(rule, request)
        self.log.append((self.command, unquote(self.path), request.status))
        if not self.dropped:
            self.reply(rule, request)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = serve  # noqa: N815

    def control(self, rules):
        """``POST /rig/faults`` sets the rules, ``GET /rig/requests`` gives the log and empties it."""
        request = Request(None, None, self.command, self.path, self.headers, b"")
        if self.command == "POST":
            self.faults.rules = rules
            request.answer(200, {})
        else:
            request.answer(200, [self.log.popleft() for _ in range(len(self.log))])
        self.reply({"fault": None}, request)

    def break_before(self, rule, request):
        fault = rule["fault"]
        if fault == "status":
            request.refuse(
                rule["status"], rule.get("message") or REASONS.get(rule["status"], "a fault of the test rig")
            )
        elif fault == "token":
            request.answer(200, {"access_token": rule["token"], "expires_in": 3600, "token_type": "Bearer"})
        elif fault == "reset":
            self.reset()
        elif fault == "stall":
            time.sleep(rule["seconds"])
        elif fault == "flip upload":
            at = rule.get("at", len(request.body) // 2)
            request.set_body(request.body[:at] + bytes([request.body[at] ^ 1]) + request.body[at + 1 :])
        elif fault == "partial":
            first = int(re.match(r"bytes (\d+)", self.headers["Content-Range"])[1])
            del self.headers["Content-Range"]
            self.headers["Content-Range"] = f"bytes {first}-{first + rule['bytes'] - 1}/*"
            request.set_body(request.body[: rule["bytes"]])
            del self.headers["X-Goog-Hash"]

    def break_after(self, rule, request):
        fault, body = rule["fault"], request.wfile.getvalue()
        if fault in {"status after", "partial"} and "status" in rule:
            request.refuse(rule["status"], "a fault of the test rig, after the request was carried out")
        elif fault in {"reset after", "partial"}:
            self.reset()
        elif fault == "flip" and body:
            at = rule.get("at", len(body) // 2)
            request.wfile = io.BytesIO(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])

    def reset(self):
        """Drop the connection as a dying machine does."""
        self.dropped = self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def reply(self, rule, request):
        body = request.wfile.getvalue()
        self.send_response(request.status)
        for name, value in request.answer_headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if rule["fault"] in {"truncate", "stall body"}:
            self.wfile.write(body[: rule.get("bytes", len(body) // 2)])
            self.wfile.flush()
            time.sleep(rule.get("seconds", 0))
            self.close_connection = True
        elif rule["fault"] == "drip":
            step = max(1, len(body) // SLICES)
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                time.sleep(rule["seconds"] / SLICES)
        else:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def shutdown_request(self, request):
        """Without a polite farewell first, so that a reset is one."""
        self.close_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    logging.disable()
    with Server((sys.argv[1], 0), Front) as server:
        print(server.server_port, flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
