"""The object store as Slipway uses it: a thin, typed view of one bucket through botocore.

Belongs here: get, put, create-once, list and delete, with errors that name the store and the remedy.
Does not: what the keys mean (weights, revisions, routes and usage keep their own layouts), what a store's
answers mean (store_trouble.py), waiting for one (store_calls.py).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    import urllib3
    from botocore.session import Session
    from mypy_boto3_s3.client import S3Client

from slipway.environment import S3Location
from slipway.store_calls import FewMore, Patient, Waits
from slipway.store_trouble import (
    Explained,
    ObjectStoreError,
    code_of,
    contents,
    field,
    status_of,
    usable_settings,
)

__all__ = ["ObjectStore", "ObjectStoreError", "StoredObject"]

# Making clients from one boto3 session is not safe between threads; using them is.
_connecting = threading.Lock()
_LINK_S = 3600
_PART_BYTES = 64 * 2**20  # of a file that is sent; ten thousand parts are the most that S3 takes
_PIECE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class StoredObject:
    """One listed object: key, size in bytes and the store's entity tag."""

    key: str
    size_bytes: int
    etag: str


class ObjectStore:
    """One bucket of one store. Safe to share between threads; connects on first use.

    A call that the store does not answer is made a few times within seconds; `outlasting` is more patient.
    """

    def __init__(self, location: S3Location, *, pool_size: int = 32) -> None:
        self.location = location
        self._waits: Callable[[], Waits] | None = None
        self._at_once: ObjectStore | None = None
        self._pool_size = pool_size
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._pool: urllib3.HTTPConnectionPool | None = None

    def outlasting(self, waits: Callable[[], Waits]) -> ObjectStore:
        """The same bucket, whose calls wait for a store that is away as `waits` says, one for each call."""
        patient = copy.copy(self)
        patient._lock, patient._client, patient._pool = threading.Lock(), None, None
        patient._waits, patient._at_once = waits, self.at_once
        return patient

    @property
    def at_once(self) -> ObjectStore:
        """The same bucket without that patience, for who has his own."""
        return self._at_once or self

    def waits(self) -> Waits:
        """For one call that is not the client's own."""
        return self._waits() if self._waits else FewMore()

    @property
    def client(self) -> S3Client:
        """The botocore client behind this view, for multipart uploads and presigning."""
        with self._lock:
            if self._client is None:
                self._client = _connect(self.location, self._pool_size, self._waits)
            return self._client

    def ensure_bucket(self) -> None:
        """Create the bucket when it is missing; harmless when it is there."""
        with self.explained("create bucket"):
            known = self.client.exceptions
            with contextlib.suppress(known.BucketAlreadyExists, known.BucketAlreadyOwnedByYou):
                self.client.create_bucket(Bucket=self.location.bucket)

    def get(self, key: str) -> bytes | None:
        """Return the whole object, or None when there is none."""
        found = self.get_if_changed(key, None)
        return None if found is None else found[0]

    def get_if_changed(self, key: str, etag: str | None) -> tuple[bytes, str] | None:
        """Return (body, etag), or None when the object is missing or still has `etag`."""
        from botocore.exceptions import ClientError

        conditions: dict[str, Any] = {"IfNoneMatch": etag} if etag else {}
        with self.explained(f"read {key}"):
            try:
                reply = self.client.get_object(Bucket=self.location.bucket, Key=key, **conditions)
            except ClientError as error:
                if status_of(error) == 304 or code_of(error) in {"NoSuchKey", "404", "NotModified"}:
                    return None
                raise
            return reply["Body"].read(), field(reply, "ETag")

    def part(self, key: str, start: int, end: int) -> bytes | None:
        """Return the bytes from `start` up to `end` of the object, or None when there is none."""
        from botocore.exceptions import ClientError

        with self.explained(f"read {key}"):
            try:
                reply = self.client.get_object(
                    Bucket=self.location.bucket, Key=key, Range=f"bytes={start}-{end - 1}"
                )
            except ClientError as error:
                if code_of(error) in {"NoSuchKey", "404"}:
                    return None
                raise
            return reply["Body"].read()[: end - start]

    def download(self, key: str, path: Path) -> int | None:
        """Bring the object to a file, a piece at a time; its size in bytes, or None when there is none."""
        from botocore.exceptions import ClientError

        with self.explained(f"read {key}"):
            try:
                reply = self.client.get_object(Bucket=self.location.bucket, Key=key)
            except ClientError as error:
                if code_of(error) in {"NoSuchKey", "404"}:
                    return None
                raise
            pieces = reply["Body"].iter_chunks(_PIECE_BYTES)
            with path.open("wb") as file:
                return sum(file.write(piece) for piece in pieces)

    def upload(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> str:
        """Write the object from a file of at most 5 GB; returns its entity tag."""
        with self.explained(f"write {key}"), path.open("rb") as file:
            reply = self.client.put_object(
                Bucket=self.location.bucket, Key=key, Body=file, ContentType=content_type
            )
            return str(field(reply, "ETag"))

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> str:
        """Write the object, replacing what is there; returns its entity tag."""
        with self.explained(f"write {key}"):
            reply = self.client.put_object(
                Bucket=self.location.bucket, Key=key, Body=body, ContentType=content_type
            )
            return str(field(reply, "ETag"))

    def put_file(self, key: str, file: BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write the object from an open file of any size, in parts where it is large; replaced as a whole."""
        at: dict[str, Any] = {"Bucket": self.location.bucket, "Key": key}
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        with self.explained(f"write {key}"):
            if size_bytes <= _PART_BYTES:
                self.client.put_object(**at, Body=file, ContentType=content_type)
                return
            upload = field(self.client.create_multipart_upload(**at, ContentType=content_type), "UploadId")
            try:
                parts = []
                for number, body in enumerate(iter(lambda: file.read(_PART_BYTES), b""), 1):
                    reply = self.client.upload_part(**at, UploadId=upload, PartNumber=number, Body=body)
                    parts.append({"PartNumber": number, "ETag": field(reply, "ETag")})
                done: Any = {"Parts": parts}
                self.client.complete_multipart_upload(**at, UploadId=upload, MultipartUpload=done)
            except BaseException:
                with contextlib.suppress(Exception):
                    self.client.abort_multipart_upload(**at, UploadId=upload)
                raise

    def create(self, key: str, body: bytes, *, content_type: str = "application/json") -> bool:
        """Write the object unless one is there (`If-None-Match: *`); False when another was first."""
        from botocore.exceptions import ClientError

        with self.explained(f"create {key}"):
            try:
                reply = self.client.put_object(
                    Bucket=self.location.bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"
                )
            except ClientError as error:
                if status_of(error) in {409, 412}:
                    return False
                raise
            field(reply, "ETag")
            return True

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
        """Yield every object under the prefix, in key order, from the first one after `start_after` on."""
        options: dict[str, Any] = {"StartAfter": start_after} if start_after else {}
        with self.explained(f"list {prefix or 'everything'}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix, **options
            )
            for page in pages:
                for item in contents(page):
                    yield StoredObject(field(item, "Key"), field(item, "Size"), field(item, "ETag"))

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield what stands between the prefix and the next `/` of every key, each once, in order."""
        with self.explained(f"list {prefix or 'everything'}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for item in contents(page, "CommonPrefixes"):
                    yield item["Prefix"].removeprefix(prefix).rstrip("/")

    def delete(self, key: str) -> None:
        """Remove the object; harmless when it is gone."""
        with self.explained(f"delete {key}"):
            self.client.delete_object(Bucket=self.location.bucket, Key=key)

    def presigned(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One request by a presigned link, for bytes in bulk: less CPU than boto3's, and no copy of the body.

        A body is sent as it is: any buffer, or an iterator of buffers with its length in the headers. Raises
        urllib3's errors; any status is an answer. With `stream`, the caller reads the body and releases the
        connection.
        """
        headers, connections = headers or {}, self._connections()
        signed = {name: value for name, value in headers.items() if name.lower().startswith("x-amz-")}
        link = urlsplit(_signed(self.location, method, key, query or {}, signed))
        return connections.urlopen(
            method,
            f"{link.path}?{link.query}",
            body=body,
            headers={"Accept-Encoding": "identity", **headers},
            retries=False,
            preload_content=not stream,
        )

    def _connections(self) -> urllib3.HTTPConnectionPool:
        import urllib3

        with self._lock:
            if self._pool is None:
                manager = urllib3.PoolManager(
                    maxsize=self._pool_size,
                    timeout=urllib3.Timeout(connect=5, read=60),
                    ca_certs=self.location.ca_file or os.environ.get("AWS_CA_BUNDLE"),  # as boto3 does
                )
                with usable_settings(self.location):
                    self._pool = manager.connection_from_url(self.location.endpoint_url)
            return self._pool

    def explained(self, action: str) -> AbstractContextManager[None]:
        """Context that turns the client's errors into ObjectStoreError: store, action, cause, remedy."""
        return Explained(self.location, action)


def _signed(
    location: S3Location, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    """A link that carries its own signature. boto3 makes the same one, at three times the CPU."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    at = f"{location.endpoint_url.rstrip('/')}/{location.bucket}/{quote(key, safe='/~')}"
    request = AWSRequest(method, f"{at}?{urlencode(query)}" if query else at, headers=dict(headers))
    keys = Credentials(location.access_key, location.secret_key)
    S3SigV4QueryAuth(keys, "s3", location.region, expires=_LINK_S).add_auth(request)
    return str(request.url)


@functools.cache
def _session() -> Session:
    """One session for all stores: reading the service's description costs ten times the rest of a client.

    botocore's own: boto3 around it adds resources and a transfer manager that nobody here uses, and 40 ms.
    """
    from botocore.session import get_session

    return get_session()


def _connect(location: S3Location, pool_size: int, waits: Callable[[], Waits] | None) -> S3Client:
    from botocore.config import Config

    with _connecting, usable_settings(location):
        client = _session().create_client(
            "s3",
            endpoint_url=location.endpoint_url,
            region_name=location.region,
            aws_access_key_id=location.access_key,
            aws_secret_access_key=location.secret_key,
            verify=location.ca_file,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                max_pool_connections=pool_size,
                retries={"total_max_attempts": 1 if waits else 5, "mode": "standard"},
                connect_timeout=5,
                read_timeout=60,
                # Stores other than AWS differ in trailing checksums; Slipway verifies sha256 itself.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    if waits is not None:
        patient: Any = Patient(location, waits)
        client.meta.events.register("needs-retry.s3", patient)
    return cast("S3Client", client)
