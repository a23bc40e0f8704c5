"""Writing into the store: whole objects and multipart uploads, with proof that they arrived as sent.

Belongs here: the S3 calls. Does not: which parts there are (parts.py), which upload to go on with
(resume.py), or when to complete one (transfer.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from slipway.artifacts.source import StoredAt
from slipway.artifacts.transfer import integrity, resume
from slipway.artifacts.transfer.pace import Pace, Paced
from slipway.artifacts.transfer.resume import StoredPart, Unfinished
from slipway.artifacts.transfer.retry import TransientError
from slipway.artifacts.transfer.store_answers import UploadGoneError, broken, error_code, refuse
from slipway.objectstore import ObjectStore, ObjectStoreError

# Of the upload that is begun for a trial of what the store checks, and dropped.
_TRIAL_SUFFIX = ".trial"
_SLICE_BYTES = 2**18
_CRC_HEADER = "x-amz-checksum-crc32"


@dataclass(frozen=True)
class Sent:
    """What the store has now: its entity tag, and whether it is proven to be what was sent.

    `fingerprint`: of what was sent, where that was computed (integrity.py).
    """

    etag: str
    proven: bool
    fingerprint: str = ""


class Uploads:
    """Writes into one store. Safe to share between threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._bucket = store.location.bucket
        self._trying = threading.Lock()
        self._checks_crc: bool | None = None

    def put(self, key: str, body: memoryview) -> Sent:
        """Write a whole object. Raises TransientError when trying again may help, else ObjectStoreError."""
        reply = self._put(key, {}, body, f"write {key}")
        return self._judged(reply, hashlib.md5(body, usedforsecurity=False).hexdigest(), f"write {key}")

    def create(self, key: str) -> str:
        """Begin an upload and return its id."""
        with self._calling(f"begin upload of {key}"):
            return self._store.client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ContentType="application/octet-stream"
            )["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, body: memoryview) -> Sent:
        """Send one part.

        Raises UploadGoneError, TransientError when trying again may help, else ObjectStoreError.
        """
        action = f"write part {number} of {key}"
        query = {"uploadId": upload_id, "partNumber": str(number)}
        if self._store_checks_crc(key):
            crc32 = integrity.crc32(body)
            reply = self._put(key, query, body, action, {_CRC_HEADER: crc32})
            return Sent(reply.headers.get("ETag", ""), True, f"crc32:{crc32}")
        reply = self._put(key, query, body, action)
        return self._judged(reply, hashlib.md5(body, usedforsecurity=False).hexdigest(), action)

    def stream_part(
        self, key: str, upload_id: str, number: int, size_bytes: int, slices: Iterator[memoryview]
    ) -> Sent:
        """Send one part that is never in memory as a whole. Raises as `put_part`."""
        action, md5 = f"write part {number} of {key}", hashlib.md5(usedforsecurity=False)

        def digested() -> Iterator[memoryview]:
            for piece in slices:
                md5.update(piece)
                yield piece

        query = {"uploadId": upload_id, "partNumber": str(number)}
        reply = self._put(key, query, digested(), action, {"Content-Length": str(size_bytes)})
        return self._judged(reply, md5.hexdigest(), action)

    def complete(self, key: str, upload_id: str, etags: list[str]) -> bool:
        """Make the object out of its parts, in order; True when its entity tag proves that it is these parts.

        Raises UploadGoneError, also where a part was replaced or lost, or ObjectStoreError.
        """
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        try:
            with self._calling(f"complete upload of {key}"):
                reply = self._store.client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
        except ObjectStoreError as error:
            if _code_of(error) in {"InvalidPart", "InvalidPartOrder"}:
                self._judge_parts(key, upload_id, etags, error)
            raise
        return integrity.proves_whole(reply.get("ETag") or self._etag(key), etags)

    def _etag(self, key: str) -> str:
        """Of a complete object: Ceph leaves it out of its answer."""
        with self._store.explained(f"look at {key}"):
            return self._store.client.head_object(Bucket=self._bucket, Key=key).get("ETag", "")

    def _judge_parts(self, key: str, upload_id: str, etags: list[str], refused: ObjectStoreError) -> None:
        """Raise what it means that the store completes no upload of these parts.

        UploadGoneError where it has other parts than we know: the next run goes by its list, or begins anew.
        """
        found = {part.number: part.etag.strip('"') for part in self._parts(key, upload_id)}
        ours = {number: etag.strip('"') for number, etag in enumerate(etags, start=1)}
        if found != ours:
            if found.keys() - ours.keys():
                self.abort(key, upload_id)  # it would never complete with what is no part of the file
            wrong = sorted(number for number, _ in found.items() ^ ours.items())
            raise UploadGoneError(
                f"{refused} The store holds {len(found)} parts of it, of {len(ours)} that were sent; "
                f"part {wrong[0]} is lost, or another. Run this again."
            ) from refused
        self.abort(key, upload_id)
        raise ObjectStoreError(
            f"{refused} It lists exactly the {len(ours)} parts that it was sent, so this is the store's own "
            "fault: the upload was dropped. Run this again; if it stays, see the store's log.",
        ) from refused

    def copy(self, key: str, source: StoredAt) -> Sent:
        """Let the store copy a whole object, on the condition that it is still the listed one.

        Raises ClientError: copying.py knows what each means.
        """
        reply = self._store.client.copy_object(
            Bucket=self._bucket,
            Key=key,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=source.etag,
        )
        return Sent(reply["CopyObjectResult"]["ETag"], proven=False)

    def is_still(self, source: StoredAt) -> bool:
        """Whether the object that was copied is still the listed one. Raises ClientError."""
        head = self._store.client.head_object(Bucket=source.bucket, Key=source.key)
        return head["ETag"].strip('"') == source.etag.strip('"')

    def copy_part(
        self, key: str, upload_id: str, number: int, source: StoredAt, offset: int, length: int
    ) -> Sent:
        """Let the store copy a range of an object into a part. Raises ClientError."""
        reply = self._store.client.upload_part_copy(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=source.etag,
            CopySourceRange=f"bytes={offset}-{offset + length - 1}",
        )
        return Sent(reply["CopyPartResult"]["ETag"], proven=False)

    def unfinished(self, prefix: str) -> list[Unfinished]:
        """Every upload under a prefix that was begun and is not over, without its parts."""
        with self._calling(f"list uploads under {prefix}"):
            # Not by `Prefix`: MinIO answers that with nothing unless it is a whole key. Nobody but Slipway
            # writes here, so what is filtered out is little.
            pages = self._store.client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket)
            return [
                Unfinished(upload["Key"], upload["UploadId"], upload["Initiated"])
                for page in pages
                for upload in page.get("Uploads", [])
                if upload["Key"].startswith(prefix)
            ]

    def with_parts(self, upload: Unfinished) -> Unfinished:
        """The same upload with the parts that the store has; none when it is over meanwhile."""
        return replace(upload, parts=self._parts(upload.key, upload.upload_id))

    def _parts(self, key: str, upload_id: str) -> tuple[StoredPart, ...]:
        with contextlib.suppress(UploadGoneError), self._calling(f"list parts of {key}"):
            pages = self._store.client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=key, UploadId=upload_id
            )
            return tuple(
                StoredPart(part["PartNumber"], part["Size"], part["ETag"])
                for page in pages
                for part in page.get("Parts", [])
            )
        return ()

    def abort(self, key: str, upload_id: str) -> None:
        """Drop an upload with its parts; harmless when it is over."""
        with contextlib.suppress(UploadGoneError), self._calling(f"abort upload of {key}"):
            self._store.client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def abort_under(self, prefix: str) -> int:
        """Abort every upload under a prefix, whoever began it; returns how many there were.

        Only for a published prefix, where no upload can be of use any more.
        """
        return self._abort_all(self.unfinished(prefix))

    def abort_older_than(self, prefix: str, instant: datetime) -> int:
        """Abort uploads under a prefix that were begun before the instant; returns how many there were."""
        return self._abort_all(resume.older_than(self.unfinished(prefix), instant))

    def _abort_all(self, uploads: list[Unfinished]) -> int:
        for upload in uploads:
            self.abort(upload.key, upload.upload_id)
        return len(uploads)

    def _put(
        self,
        key: str,
        query: dict[str, str],
        body: memoryview | Iterator[memoryview],
        action: str,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """One presigned PUT: it spares the sha256 over the body that a signed one over http costs."""
        reply = self._asked(key, query, body, action, headers)
        if reply.status != 200:
            if error_code(reply) in integrity.MISMATCH_CODES:
                raise TransientError(f"{action}: other bytes arrived than were sent.")
            refuse(self._store, action, reply)
        return reply

    def _asked(self, key: str, query: dict[str, str], body: Any, action: str, headers: Any) -> Any:
        import urllib3

        if isinstance(body, memoryview | bytes):
            # Sent as one, it would have to be gone within one time-out.
            headers = {**(headers or {}), "Content-Length": str(len(body))}
            body = _slices(memoryview(body), action)
        try:
            return self._store.presigned("PUT", key, query, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise broken(self._store, action, error) from error

    def _judged(self, reply: Any, md5_hex: str, action: str) -> Sent:
        etag = reply.headers.get("ETag", "")
        proven = integrity.proves(etag, md5_hex, reply.headers)
        if proven is False:
            raise TransientError(f"{action}: arrived with another MD5 than it was sent with.")
        return Sent(etag, proven is True, f"md5:{md5_hex}")

    def _store_checks_crc(self, key: str) -> bool:
        """Whether this store refuses a part whose CRC32 does not match; tried once, beside a key of ours."""
        with self._trying:
            if self._checks_crc is None:
                self._checks_crc = self._tried(f"{key}{_TRIAL_SUFFIX}")
            return bool(self._checks_crc)

    def _tried(self, key: str) -> bool | None:
        """Send a part under a wrong checksum to an upload that is dropped at once; None: no answer to that.

        A store that takes the part keeps it, and Ceph would then complete nothing without it.
        """
        with contextlib.suppress(ObjectStoreError, UploadGoneError, TransientError):
            upload_id = self.create(key)
            try:
                trial = {"uploadId": upload_id, "partNumber": "1"}
                wrong = {_CRC_HEADER: integrity.crc32(memoryview(b"what was meant"))}
                reply = self._asked(key, trial, b"what is sent", "try a checksum", wrong)
            finally:
                self.abort(key, upload_id)
            if reply.status < 500 and error_code(reply) != "NoSuchUpload":
                return reply.status == 400 and error_code(reply) in integrity.MISMATCH_CODES
        return None

    @contextlib.contextmanager
    def _calling(self, action: str) -> Iterator[None]:
        """boto3's errors in our words: UploadGoneError or ObjectStoreError."""
        try:
            with self._store.explained(action):
                yield
        except ObjectStoreError as error:
            # Ceph says of an upload that was dropped just now that it has no such key.
            if _code_of(error) in {"NoSuchUpload", "NoSuchKey"}:
                raise UploadGoneError(f"{error} Run this again.") from error
            raise


def _slices(body: memoryview, action: str) -> Iterator[memoryview]:
    """The body piece by piece, as the store takes them. Raises TransientError when that is too slow."""
    paced = Paced(Pace())
    for at in range(0, len(body), _SLICE_BYTES):
        piece = body[at : at + _SLICE_BYTES]
        yield piece
        paced.moved(len(piece), action)


def _code_of(error: ObjectStoreError) -> str:
    """S3's code of the answer behind an error; "" where there was none."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    return str(cause.response["Error"]["Code"]) if isinstance(cause, ClientError) else ""
