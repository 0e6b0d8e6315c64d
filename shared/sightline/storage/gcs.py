"""A bucket of Google Storage, or a folder in one.

Every write has a generation as precondition, so that it can be repeated: if its response is lost, the repetition is
rejected, and the existing object is compared with the intended one.  Every read is verified against the checksum of
the complete object, even if the stream was interrupted and resumed, in which case Google's library does not verify it.
"""

from __future__ import annotations

import http.client
import io
import logging
import mimetypes
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

import google_crc32c
import requests
from google.api_core.exceptions import NotFound, PreconditionFailed, RetryError
from google.cloud.storage import Blob, Client
from google.cloud.storage.retry import DEFAULT_RETRY

from sightline.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from sightline.logs import Progress
from sightline.storage.base import FRESH_SECONDS, Storage, moved_error
from sightline.storage.files import explained
from sightline.storage.gcs_faults import FAULTS, UNREACHABLE, explained_by_google, said_by_service, status_of
from sightline.storage.gcs_settings import Settings
from sightline.storage.gcs_streams import DownloadedBytes, UploadedFile, encoded, measured
from sightline.storage.keys import validate_key, validate_prefix
from sightline.storage.object_info import ObjectInfo
from sightline.storage.transfer import Sink

PAGE = 1000
CHUNK_BYTES = 32 << 20
"""Chunk size of a resumable upload, which is sent again if the connection breaks."""

ATTEMPTS = 3
"""Maximum number of attempts for bytes that were damaged in transit."""

OVERWRITES = 50
"""Maximum number of retries of an unconditional write that conflicts with other writers."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_INFO = "items(name,size,crc32c,generation,updated),nextPageToken"
_CONNECT_SECONDS = 10.0

_log = logging.getLogger(__name__)


class GoogleStorage(Storage):
    """Objects in a bucket, below a prefix; the bucket must exist.

    Args:
        bucket: Name of the bucket.
        prefix: Common prefix of all keys in the bucket, without a trailing slash; empty for the whole bucket.
        settings: Settings of this machine.

    Raises:
        StorageError: There are no credentials.
    """

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self.uri = f"gs://{bucket}/{prefix}" if prefix else f"gs://{bucket}"
        self.jobs = settings.jobs
        self._prefix = f"{prefix}/" if prefix else ""
        self._kms_key = settings.kms_key
        seconds = settings.timeout_seconds
        retry = DEFAULT_RETRY.with_timeout(2 * seconds).with_delay(initial=0.25, maximum=30.0)
        self._patience: dict[str, Any] = {"timeout": (min(_CONNECT_SECONDS, seconds), seconds), "retry": retry}
        # For tracing, the library requests the bucket's metadata in a separate thread, which needs an extra permission.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        with explained_by_google("open", self.uri):
            # Objects belong to no project: the name is a formality that avoids a lookup.
            self._client = Client(project="sightline")
        # The library has no public access to its HTTP session; a test checks that it sends requests with this one.
        session = self._client._http
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=settings.jobs))
        session.hooks["response"].append(_read_refusal)
        _read_environment_once(session, self._client.api_endpoint)
        self._bucket = self._client.bucket(bucket, user_project=settings.user_project)
        self._bucket_seen = False

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """The bucket, or the folder in one, at ``gs://bucket`` or ``gs://bucket/prefix``.

        Raises:
            StorageError: The URI contains no bucket name, or there are no credentials.
            ConfigurationError: A setting in the environment is invalid.
        """
        bucket, _, prefix = uri.split("://", 1)[1].partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise StorageError(
                f"storage URI {uri!r} has no valid bucket name; expected gs://bucket/prefix with a bucket name of "
                "lowercase letters, digits, - _ and ."
            )
        prefix = prefix.rstrip("/")
        return cls(bucket, validate_key(prefix) if prefix else "", Settings.from_environment())

    def stat(self, key: str) -> ObjectInfo | None:
        """See :meth:`Storage.stat`."""
        name = self._name(key)
        with explained_by_google("read", self.uri_of(key)):
            blob = self._bucket.get_blob(name, **self._patience)
            if blob is None:
                self._require_bucket()
                return None
        return _info(key, blob)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See :meth:`Storage.list`."""
        for key, blob in self._blobs(prefix, _INFO):
            yield _info(key, blob)

    def names(self, prefix: str = "") -> Iterator[str]:
        """See :meth:`Storage.names`."""
        for key, _ in self._blobs(prefix, "items(name),nextPageToken"):
            yield key

    def read(self, key: str, sink: Sink, progress: Progress | None = None) -> ObjectInfo:
        """See :meth:`Storage.read`."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._read_once(key, sink, progress)
            except _DamagedError as damage:
                if attempt == ATTEMPTS:
                    raise
                _log.warning("%s; reading it again", damage)
        raise AssertionError

    def write_bytes(self, key: str, data: bytes, *, if_generation: int | None = None) -> ObjectInfo:
        """See :meth:`Storage.write_bytes`."""
        self._name(key)
        checksum = encoded(google_crc32c.value(data))
        return self._write(key, len(data), checksum, lambda: io.BytesIO(data), if_generation)

    def upload(
        self, path: Path, key: str, *, if_generation: int | None = None, progress: Progress | None = None
    ) -> ObjectInfo:
        """See :meth:`Storage.upload`; a large file is sent in chunks, which are retried separately."""
        self._name(key)
        with explained("read", path):
            size, checksum = measured(path)
            return self._write(key, size, checksum, lambda: UploadedFile(path, progress), if_generation)

    def delete(self, key: str, *, if_generation: int | None = None) -> None:
        """See :meth:`Storage.delete`."""
        name = self._name(key)
        for _ in range(OVERWRITES):
            present = self.stat(key)
            if present is None:
                return
            if if_generation not in {None, present.generation}:
                raise moved_error(self.uri_of(key), if_generation, present.generation)
            with explained_by_google("delete", self.uri_of(key)):
                try:
                    self._bucket.blob(name).delete(if_generation_match=present.generation, **self._patience)
                except PreconditionFailed:
                    continue
                except NotFound:
                    pass
                return
        raise self._restless(key)

    def _read_once(self, key: str, sink: Sink, progress: Progress | None) -> ObjectInfo:
        name = self._name(key)
        with sink() as target:
            arrived = DownloadedBytes(target, progress)
            with explained_by_google("read", self.uri_of(key)):
                blob = self._receive(key, name, arrived)
            if arrived.crc32c != blob.crc32c:
                arrived.forget()
                raise _DamagedError(
                    f"{self.uri_of(key)} arrived damaged: its CRC-32C should be {blob.crc32c}, but is {arrived.crc32c} "
                    f"({arrived.size} bytes); check the network, then write the object again"
                )
        return ObjectInfo(key, arrived.size, arrived.crc32c, int(blob.generation))

    def _receive(self, key: str, name: str, arrived: DownloadedBytes) -> Blob:
        """Read an object; resume after interruptions as long as any bytes are received."""
        while True:
            blob, before = self._bucket.blob(name), arrived.size
            try:
                blob.download_to_file(arrived, start=before or None, raw_download=True, checksum=None, **self._patience)
                if blob.crc32c is None:
                    blob.reload(if_generation_match=int(blob.generation), **self._patience)
            except (NotFound, PreconditionFailed):
                if arrived.size:
                    raise self._replaced(key, arrived) from None
                self._require_bucket()
                raise ObjectNotFoundError(
                    f"there is no object {self.uri_of(key)}; check the URI, or run the step that writes it"
                ) from None
            except (RetryError, *UNREACHABLE) as error:
                if arrived.size == before:
                    raise
                _log.warning(
                    "the download of %s was interrupted (%s); resuming it", self.uri_of(key), type(error).__name__
                )
            else:
                return blob

    def _replaced(self, key: str, arrived: DownloadedBytes) -> _DamagedError:
        arrived.forget()
        return _DamagedError(f"{self.uri_of(key)} was replaced while it was being read; read it again")

    def _write(
        self, key: str, size: int, checksum: str, source: Callable[[], BinaryIO], if_generation: int | None
    ) -> ObjectInfo:
        """Write with a precondition; if it fails, compare the existing bytes to detect an earlier success."""
        renewed: int | None = None
        for _ in range(OVERWRITES):
            expected = if_generation if renewed is None else renewed
            if expected is None:
                before = self.stat(key)
                expected = before.generation if before else 0
            try:
                with explained_by_google("write", self.uri_of(key)):
                    return self._send(key, size, checksum, source, expected)
            except _PreconditionError:
                present = self.stat(key)
                renewed = None
                if present and (present.size, present.crc32c) == (size, checksum):
                    if if_generation != 0 or _is_fresh(present):
                        return present
                    renewed = present.generation
                elif if_generation is not None and (present or if_generation):
                    raise moved_error(self.uri_of(key), if_generation, present.generation if present else 0) from None
        raise self._restless(key)

    def _send(self, key: str, size: int, checksum: str, source: Callable[[], BinaryIO], expected: int) -> ObjectInfo:
        """Send the bytes with their checksum, which the service verifies before it creates the object."""
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        for attempt in range(1, ATTEMPTS + 1):
            blob = self._bucket.blob(self._name(key), chunk_size=CHUNK_BYTES, kms_key_name=self._kms_key)
            blob.crc32c = checksum
            try:
                with source() as stream:
                    blob.upload_from_file(
                        stream,
                        size=size,
                        content_type=kind,
                        if_generation_match=expected,
                        checksum=None,
                        **self._patience,
                    )
            except PreconditionFailed:
                raise _PreconditionError from None
            except FAULTS as error:
                if attempt == ATTEMPTS or not self._sent_again(error):
                    raise
                _log.warning("the upload of %s failed (%s); sending it again", self.uri_of(key), said_by_service(error))
            except ValueError:  # after the faults above: one of Google's credential errors is a ValueError too
                raise StorageError(f"{self.uri_of(key)}: the file was truncated while it was being sent") from None
            else:
                return _info(key, blob)
        raise AssertionError

    def _sent_again(self, error: Exception) -> bool:
        """Whether a complete retry can help: the bytes were damaged in transit, or the upload session was lost."""
        if status_of(error) in {404, 410}:
            self._require_bucket()
            return True
        return status_of(error) == 400 and "crc32c" in said_by_service(error).lower()

    def _blobs(self, prefix: str, fields: str) -> Iterator[tuple[str, Blob]]:
        validate_prefix(prefix)
        with explained_by_google("list", f"{self.uri}/{prefix}"):
            blobs = self._client.list_blobs(
                self._bucket, prefix=self._prefix + prefix, fields=fields, page_size=PAGE, **self._patience
            )
            for blob in blobs:
                key = blob.name.removeprefix(self._prefix)
                if not key.endswith("/") and key:  # consoles create empty objects with such names as folders
                    yield validate_key(key), blob

    def _require_bucket(self) -> None:
        """Distinguish a missing bucket from a missing object: the service returns 404 for both."""
        if not self._bucket_seen:
            next(
                iter(self._client.list_blobs(self._bucket, max_results=1, fields="items(name)", **self._patience)), None
            )
            self._bucket_seen = True

    def _name(self, key: str) -> str:
        """The full name in the bucket, which must follow the rules, too."""
        validate_key(key)
        return validate_key(self._prefix + key)

    def _restless(self, key: str) -> PreconditionFailedError:
        return PreconditionFailedError(
            f"{self.uri_of(key)} was changed by other processes {OVERWRITES} times in the meantime; find out what "
            "writes it, then try again"
        )


def _read_environment_once(session: requests.Session, url: str) -> None:
    """Read proxies and certificates from the environment once: per request, this takes a sixth of a small download."""
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False


def _read_refusal(response: requests.Response, **_: object) -> None:
    """Read the body of an error response: Google's library does not, and would leave the connection open."""
    if response.status_code >= http.client.BAD_REQUEST:
        response.content  # noqa: B018 (accessing the attribute reads the body)


class _DamagedError(StorageError):
    """The received bytes differ from the stored ones; a retry may help."""


class _PreconditionError(Exception):
    """The service rejected a request because of its generation precondition."""


def _info(key: str, blob: Blob) -> ObjectInfo:
    return ObjectInfo(key, int(blob.size), str(blob.crc32c), int(blob.generation), blob.updated)


def _is_fresh(info: ObjectInfo) -> bool:
    """Whether it was written recently; the local clock may be wrong in both directions."""
    return info.updated is not None and abs((datetime.now(UTC) - info.updated).total_seconds()) <= FRESH_SECONDS
