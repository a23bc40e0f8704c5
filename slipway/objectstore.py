"""The object store as Slipway uses it: a thin, typed view of one bucket through botocore.

Belongs here: get, put, create-once, list and delete, with errors that name the store and the remedy.
Does not: what the keys mean (weights, revisions, routes and usage keep their own layouts).
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    import urllib3
    from botocore.session import Session
    from mypy_boto3_s3.client import S3Client

from slipway.environment import S3Location

# Making clients from one boto3 session is not safe between threads; using them is.
_connecting = threading.Lock()
_LINK_S = 3600


class ObjectStoreError(RuntimeError):
    """The store refused or could not be reached; the message says which and what to do.

    `retriable` is False where the same call fails again until a person acts: wrong keys, no such bucket.
    `unreachable` where the store did not answer, or only that it cannot now: it may be starting again.
    """

    def __init__(self, message: str, *, retriable: bool = True, unreachable: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable
        self.unreachable = unreachable


@dataclass(frozen=True)
class StoredObject:
    """One listed object: key, size in bytes and the store's entity tag."""

    key: str
    size_bytes: int
    etag: str


class ObjectStore:
    """One bucket of one store. Safe to share between threads; connects on first use."""

    def __init__(self, location: S3Location, *, pool_size: int = 32) -> None:
        self.location = location
        self._pool_size = pool_size
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._pool: urllib3.HTTPConnectionPool | None = None

    @property
    def client(self) -> S3Client:
        """The botocore client behind this view, for multipart uploads and presigning."""
        with self._lock:
            if self._client is None:
                self._client = _connect(self.location, self._pool_size)
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
                if _status(error) == 304 or _code(error) in {"NoSuchKey", "404", "NotModified"}:
                    return None
                raise
            return reply["Body"].read(), _field(reply, "ETag")

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> str:
        """Write the object, replacing what is there; returns its entity tag."""
        with self.explained(f"write {key}"):
            reply = self.client.put_object(
                Bucket=self.location.bucket, Key=key, Body=body, ContentType=content_type
            )
            return str(_field(reply, "ETag"))

    def create(self, key: str, body: bytes, *, content_type: str = "application/json") -> bool:
        """Write the object unless one is there (`If-None-Match: *`); False when another was first."""
        from botocore.exceptions import ClientError

        with self.explained(f"create {key}"):
            try:
                reply = self.client.put_object(
                    Bucket=self.location.bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"
                )
            except ClientError as error:
                if _status(error) in {409, 412}:
                    return False
                raise
            _field(reply, "ETag")
            return True

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StoredObject]:
        """Yield every object under the prefix, in key order, from the first one after `start_after` on."""
        options: dict[str, Any] = {"StartAfter": start_after} if start_after else {}
        with self.explained(f"list {prefix}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix, **options
            )
            for page in pages:
                for item in page.get("Contents", []):
                    yield StoredObject(_field(item, "Key"), _field(item, "Size"), _field(item, "ETag"))

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield what stands between the prefix and the next `/` of every key, each once, in order."""
        with self.explained(f"list {prefix}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for item in page.get("CommonPrefixes", []):
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
        headers = headers or {}
        signed = {name: value for name, value in headers.items() if name.lower().startswith("x-amz-")}
        link = urlsplit(_signed(self.location, method, key, query or {}, signed))
        return self._connections().urlopen(
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
                self._pool = manager.connection_from_url(self.location.endpoint_url)
            return self._pool

    def explained(self, action: str) -> AbstractContextManager[None]:
        """Context that turns the client's errors into ObjectStoreError: store, action, cause, remedy."""
        return _Explained(self.location, action)


class _IncompleteAnswerError(Exception):
    """What answered with success left out what every store says: a proxy or a portal, perhaps."""


def _field(answer: Mapping[str, Any], name: str) -> Any:
    if name not in answer:
        raise _IncompleteAnswerError(f"the answer was a success without {name}, as no store's is")
    return answer[name]


class _Explained:
    """Turns botocore's errors into one message that names the store, the action and the remedy."""

    def __init__(self, location: S3Location, action: str) -> None:
        self._location = location
        self._action = action

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError | BotoCoreError | _IncompleteAnswerError):
            raise ObjectStoreError(
                f"S3 {self._location.endpoint_url} bucket {self._location.bucket}: cannot {self._action}: "
                f"{str(error).rstrip('.')}. {_remedy(error, self._location.bucket)}",
                retriable=_code(error) not in _REFUSALS | {"NoSuchBucket"},
                unreachable=isinstance(error, BotoCoreError) or _status(error) in {502, 503, 504},
            ) from error


_REFUSALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "403"}


def _remedy(error: Exception, bucket: str) -> str:
    code = _code(error)
    if isinstance(error, _IncompleteAnswerError):
        return "Check that SLIPWAY_S3_ENDPOINT leads to the store itself, not to a proxy that answers for it."
    if code == "AccessDenied":
        return (
            f"Let this identity read and write bucket {bucket}, "
            "or set SLIPWAY_S3_ACCESS_KEY and SLIPWAY_S3_SECRET_KEY to one that may."
        )
    if code in _REFUSALS:
        return "Check SLIPWAY_S3_ACCESS_KEY and SLIPWAY_S3_SECRET_KEY."
    if code == "NoSuchBucket":
        return "Create the bucket, or set SLIPWAY_S3_BUCKET."
    if code in {"InsufficientStorage", "QuotaExceeded", "EntityTooLarge", "507"}:
        return "Free space in the store, then run this again."
    if code in {"InternalError", "500"}:
        # SeaweedFS without a free volume answers so, and says no more.
        return "The store may be full: see its log, free space in it, then run this again."
    return "Check SLIPWAY_S3_ENDPOINT and that the store is up (`slipway status`)."


def _code(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _status(error: Exception) -> int:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


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


def _connect(location: S3Location, pool_size: int) -> S3Client:
    from botocore.config import Config

    with _connecting:
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
                retries={"max_attempts": 4, "mode": "standard"},
                connect_timeout=5,
                read_timeout=60,
                # Stores other than AWS differ in trailing checksums; Slipway verifies sha256 itself.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    return cast("S3Client", client)
