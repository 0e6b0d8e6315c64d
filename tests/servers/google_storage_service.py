"""Google Storage as far as Sightline, DVC and gcsfs need it: the emulator's objects under the rules of the service.

The emulator keeps the objects and knows the API.  This adds what it leaves out: preconditions on generations (checked
and written under one lock), pages, checksums and finished sessions of resumable uploads, names such as ``../a``, and
multipart bodies framed with line feeds only.
"""

from __future__ import annotations

import base64
import email.message
import io
import json
import re
import threading
import time
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.exceptions import BadRequest
from gcp_storage_emulator.storage import Storage, _FileStore

OBJECT = re.compile(r"(?:/download|/upload)?(?:/storage/v1)?/b/([^/]+)/o(?:/(.+))?")
INTO = re.compile(r".+/(?:copyTo|rewriteTo)/b/([^/]+)/o/(.+)")


class FlatStore(_FileStore):
    """Any name is a name, as in the service; nothing is a path."""

    @staticmethod
    def _norm(path):
        return path


class Objects(Storage):
    """The emulator's memory, with generations from the moment of writing and without a dump at every write."""

    def __init__(self):
        super().__init__(use_memory_fs=True)
        self._store = FlatStore(use_memory=True)
        self.sessions, self.parts = {}, {}

    def _write_config_to_file(self):
        pass

    def _object_path(self, bucket_name, file_name):
        return f"{bucket_name}/{file_name}"

    def create_file(self, bucket_name, file_name, content, file_obj, file_id=None):
        generation = str(max(time.time_ns(), self.generation(bucket_name, file_name) + 1))
        file_obj["mediaLink"] = file_obj["mediaLink"].replace(file_obj["generation"], generation)
        file_obj["generation"] = generation
        super().create_file(bucket_name, file_name, content, file_obj, file_id)
        if file_id:
            self.sessions[file_id] = file_obj

    def get_resumable_byte_count(self, file_id):
        return len(self.parts.get(file_id, b""))

    def add_to_resumable_upload(self, file_id, content, total_size=None, expected_start=None):
        """Keep a part without copying those before it, as the emulator does."""
        held = self.parts.setdefault(file_id, bytearray())
        if expected_start not in {None, len(held)}:
            raise BadRequest(f"expected bytes from {len(held)}, got them from {expected_start}")
        held += content or b""
        return None if total_size is None or len(held) < total_size else bytes(self.parts.pop(file_id))

    def generation(self, bucket, name):
        return int(self.objects.get(bucket, {}).get(name, {}).get("generation", 0))


class Request:
    """What the emulator takes for a connection: a whole request, and room for the answer."""

    def __init__(self, storage, address, method, path, headers, body):
        self.storage, self.method, self.path, self.headers = storage, method, path, headers
        self.server = type("Address", (), {"server_address": address})
        self.rfile, self.wfile = io.BytesIO(body), io.BytesIO()
        self.body = body
        parts = urlsplit(path)
        self.route = parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.status, self.answer_headers = 0, {}

    def send_response(self, status, phrase=""):
        self.status = status

    def send_header(self, name, value):
        self.answer_headers[name] = value

    def end_headers(self):
        self.answer_headers.pop("Content-Length", None)

    def answer(self, status, document=None):
        self.status, self.answer_headers = status, {"Content-Type": "application/json"}
        self.wfile = io.BytesIO(b"" if document is None else json.dumps(document).encode())

    def refuse(self, status, message):
        self.answer(status, {"error": {"code": status, "message": message, "errors": [{"message": message}]}})

    def set_body(self, body):
        self.body, self.rfile = body, io.BytesIO(body)
        del self.headers["Content-Length"]
        self.headers["Content-Length"] = str(len(body))


def parts_of(content_type, body):
    """Headers and contents of a multipart body, framed with CRLF or with LF alone."""
    message = email.message.Message()
    message["Content-Type"] = content_type
    delimiter = b"--" + message.get_param("boundary").encode()
    end = b"\r\n" if body[body.index(delimiter) + len(delimiter) :][:2] == b"\r\n" else b"\n"
    for part in (end + body).split(end + delimiter)[1:-1]:
        head, _, content = part.removeprefix(end).partition(end * 2)
        yield email.message_from_bytes(head), content


def read_data(request, query):
    """In the place of the emulator's reader, which loses a carriage return at the end and is slow."""
    content_type = request.headers.get("Content-Type") or ""
    if not content_type.startswith("multipart/related"):
        return EMULATORS_READER(request, query)
    (_, meta), (head, content) = parts_of(content_type, request.body)
    return {"meta": json.loads(meta), "content": content, "content-type": head.get_content_type()}


EMULATORS_READER = emulator._read_data
emulator._read_data = read_data


class Service:
    """Google Storage as far as Sightline, DVC and gcsfs need it; one request at a time."""

    def __init__(self):
        self.storage, self.lock = Objects(), threading.Lock()

    def handle(self, request):
        with self.lock:
            self._handle(request)

    def _handle(self, request):
        session = request.query.get("upload_id")
        bucket, name = self._target(request)
        if request.route.startswith("/batch/"):
            self._batch(request)
        elif session in self.storage.sessions:
            request.answer(200, self.storage.sessions[session])
        elif bucket and bucket not in self.storage.buckets:
            request.refuse(404, "The specified bucket does not exist.")
        elif bucket and not name and request.method == "GET":
            self._page(request, bucket)
        elif name and (fault := self._precondition(request, bucket, name)):
            request.refuse(*fault)
        elif session and not self._chunk(request, session):
            request.refuse(400, "the checksum does not match the uploaded bytes")
        else:
            emulator.Router(request).handle(request.method)
            self._amend(request, bucket, name)

    def _target(self, request):
        """Bucket and name of the object that a request reads or writes."""
        session = self.storage.resumable.get(request.query.get("upload_id"))
        if session:
            return session["bucket"], session["name"]
        found = INTO.fullmatch(request.route) or OBJECT.fullmatch(request.route)
        if not found:
            return None, None
        bucket, name = found[1], unquote((found[2] or "").removesuffix("/compose")) or request.query.get("name")
        if request.method == "POST" and not name and request.body:
            kind = request.headers.get("Content-Type") or ""
            meta = next(parts_of(kind, request.body))[1] if kind.startswith("multipart/") else request.body
            name = json.loads(meta).get("name")
        return bucket, name

    def _precondition(self, request, bucket, name):
        present, query = self.storage.generation(bucket, name), request.query
        if not present and request.method in {"GET", "DELETE", "PATCH"}:
            return 404, f"No such object: {bucket}/{name}"
        if request.method in {"GET", "DELETE"} and query.get("generation", str(present)) != str(present):
            return 404, f"No such object: {bucket}/{name}#{query['generation']}"
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != present:
            return 412, "At least one of the pre-conditions you specified did not hold."
        if "ifGenerationNotMatch" in query and int(query["ifGenerationNotMatch"]) == present:
            return 304 if request.method == "GET" else 412, "At least one of the pre-conditions did not hold."
        return None

    def _page(self, request, bucket):
        query = request.query
        start, size = int(query.get("pageToken") or 0), min(int(query.get("maxResults") or 1000), 1000)
        items, folders = self.storage.get_file_list(
            bucket, query.get("prefix"), query.get("delimiter"), query.get("matchGlob")
        )
        items = [item for item in items if item["name"] >= query.get("startOffset", "")]
        page = {"kind": "storage#objects", "items": items[start : start + size], "prefixes": [] if start else folders}
        if start + size < len(items):
            page["nextPageToken"] = str(start + size)
        request.answer(200, page)

    def _chunk(self, request, session):
        """Drop what the session has already, as the service does; False where the checksum of the whole is wrong."""
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", request.headers.get("Content-Range") or "")
        received = self.storage.get_resumable_byte_count(session)
        if found and int(found[1]) < received:
            request.set_body(request.body[received - int(found[1]) :])
            del request.headers["Content-Range"]
            first = f"{received}-{found[2]}" if request.body else "*"
            request.headers["Content-Range"] = f"bytes {first}/{found[3]}"
        promised = re.search(r"crc32c=([^,]+)", request.headers.get("X-Goog-Hash") or "")
        if not promised:
            return True
        held = bytes(self.storage.parts.get(session, b""))
        checksum = google_crc32c.extend(google_crc32c.value(held), request.body)
        return promised[1] == base64.b64encode(checksum.to_bytes(4, "big")).decode()

    def _amend(self, request, bucket, name):
        headers = request.answer_headers
        if request.status == 308 and not self.storage.get_resumable_byte_count(request.query["upload_id"]):
            headers.pop("Range", None)
        if request.status in {200, 206} and request.query.get("alt") == "media":
            held = self.storage.get_file_obj(bucket, name)
            headers["X-Goog-Generation"] = held["generation"]
            headers["X-Goog-Stored-Content-Length"] = held["size"]
            headers["X-Goog-Hash"] = f"crc32c={held['crc32c']},md5={held['md5Hash']}"

    def _batch(self, request):
        answers = []
        for head, content in parts_of(request.headers["Content-Type"], request.body):
            line, _, rest = content.lstrip().replace(b"\r\n", b"\n").partition(b"\n")
            method, path = line.decode().split()[:2]
            fields, _, body = rest.partition(b"\n\n")
            inner = Request(
                self.storage, request.server.server_address, method, path, email.message_from_bytes(fields), body
            )
            inner.path = inner.path.removeprefix("http://" + (request.headers.get("Host") or ""))
            self._handle(inner)
            mark = (head["Content-ID"] or "<0>").replace("<", "<response-", 1)
            answers.append(
                f"--batch_rig\r\nContent-Type: application/http\r\nContent-ID: {mark}\r\n\r\n"
                f"HTTP/1.1 {inner.status or 204} {HTTPStatus(inner.status or 204).phrase}\r\n"
                f"Content-Type: application/json\r\n\r\n{inner.wfile.getvalue().decode()}\r\n"
            )
        request.status, request.answer_headers = 200, {"Content-Type": "multipart/mixed; boundary=batch_rig"}
        request.wfile = io.BytesIO("".join(answers).encode() + b"--batch_rig--\r\n")
