"""Multipart uploads into the store: create, send parts, complete, abort.

Belongs here: the S3 calls, and what their failures mean.
Does not: which parts there are (parts.py), or when to complete (transfer.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from slipway.artifacts.errors import SourceUnavailableError
from slipway.artifacts.retry import TransientError
from slipway.objectstore import ObjectStore

if TYPE_CHECKING:
    import urllib3
    from botocore.exceptions import ClientError

_LINK_S = 3600
_MD5 = re.compile(r"^[0-9a-f]{32}$")
_ERROR_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_ERROR_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


class UploadGoneError(SourceUnavailableError):
    """The store no longer knows an upload: another run published these weights, or cleaned up."""


class Uploads:
    """Multipart uploads of one store. Safe to share between threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._bucket = store.location.bucket
        self._lock = threading.Lock()
        self._open: dict[str, str] = {}
        self._pool: urllib3.PoolManager | None = None

    def create(self, key: str) -> str:
        """Begin an upload and return its id."""
        with self._store.explained(f"begin upload of {key}"):
            upload_id = self._store.client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ContentType="application/octet-stream"
            )["UploadId"]
        with self._lock:
            self._open[upload_id] = key
        return upload_id

    def put_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        """Send one part and return its entity tag. Raises TransientError when trying again may help.

        A presigned PUT: it spares the sha256 over the body that a signed one over http costs.
        """
        import urllib3

        what = f"S3 {self._store.location.endpoint_url}: part {number} of {key}"
        url = self._store.client.generate_presigned_url(
            "upload_part",
            Params={"Bucket": self._bucket, "Key": key, "UploadId": upload_id, "PartNumber": number},
            ExpiresIn=_LINK_S,
        )
        try:
            # urllib3 sends any buffer without a copy; its types say bytes.
            reply = self._connections().request("PUT", url, body=cast("bytes", body))
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {getattr(error, 'reason', None) or error}.") from error
        if reply.status != 200:
            self._refused(what, key, reply)
        etag = reply.headers.get("ETag", "")
        if not _same(etag, body, reply.headers):
            raise TransientError(f"{what}: arrived with another MD5 than it was sent with.")
        return etag

    def complete(self, key: str, upload_id: str, etags: list[str]) -> None:
        """Make the object out of its parts, in order."""
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        with self._store.explained(f"complete upload of {key}"):
            known = self._store.client.exceptions
            try:
                self._store.client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
            except known.NoSuchUpload as error:
                raise UploadGoneError(
                    f"{key}: the store no longer knows its upload. Run this again."
                ) from error
        with self._lock:
            self._open.pop(upload_id, None)

    def abort_open(self) -> None:
        """Abort what this run began and did not complete."""
        with self._lock:
            begun = list(self._open.items())
        for upload_id, key in begun:
            self._abort(key, upload_id)

    def abort_under(self, prefix: str) -> int:
        """Abort every upload under a prefix, whoever began it; returns how many there were.

        Only for a published prefix, where no upload can be of use any more.
        """
        found = list(self._under(prefix))
        for key, upload_id in found:
            self._abort(key, upload_id)
        return len(found)

    def _under(self, prefix: str) -> Iterator[tuple[str, str]]:
        with self._store.explained(f"list uploads under {prefix}"):
            pages = self._store.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            for page in pages:
                for upload in page.get("Uploads", []):
                    yield upload["Key"], upload["UploadId"]

    def _abort(self, key: str, upload_id: str) -> None:
        # NoSuchUpload: completed or aborted meanwhile, and gone is what we want.
        gone = self._store.client.exceptions.NoSuchUpload
        with self._store.explained(f"abort upload of {key}"), contextlib.suppress(gone):
            self._store.client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
        with self._lock:
            self._open.pop(upload_id, None)

    def _refused(self, what: str, key: str, reply: Any) -> None:
        """Raise what a refused part means: gone, worth another try, or ObjectStoreError with its remedy."""
        error = _client_error(reply)
        code = error.response["Error"]["Code"]
        if code == "NoSuchUpload":
            raise UploadGoneError(f"{key}: the store no longer knows its upload. Run this again.") from error
        if reply.status in {429, 500, 502, 503, 504} or code in {"RequestTimeout", "SlowDown"}:
            full = " It may be full: see its log." if reply.status == 500 else ""
            raise TransientError(f"{what}: the store answered {reply.status} {code}.{full}")
        with self._store.explained(f"write {key}"):
            raise error

    def _connections(self) -> urllib3.PoolManager:
        import urllib3

        with self._lock:
            if self._pool is None:
                self._pool = urllib3.PoolManager(
                    maxsize=32, timeout=urllib3.Timeout(connect=5, read=60), retries=False
                )
            return self._pool


def _client_error(reply: Any) -> ClientError:
    """The error that botocore would have raised for this answer."""
    from botocore.exceptions import ClientError

    code, message = _ERROR_CODE.search(reply.data), _ERROR_MESSAGE.search(reply.data)
    return ClientError(
        {
            "Error": {
                "Code": code[1].decode() if code else str(reply.status),
                "Message": message[1].decode() if message else str(reply.reason),
            },
            "ResponseMetadata": {"HTTPStatusCode": reply.status},  # type: ignore[typeddict-item]
        },
        "UploadPart",
    )


def _same(etag: str, body: memoryview, headers: Any) -> bool:
    """True unless the entity tag is an MD5 and another one. Encrypting stores give other tags."""
    tag = etag.strip('"')
    encrypted = any(name.lower().startswith("x-amz-server-side-encryption") for name in headers)
    if encrypted or not _MD5.match(tag):
        return True
    return hashlib.md5(body, usedforsecurity=False).hexdigest() == tag
