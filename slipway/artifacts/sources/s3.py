"""`s3://` sources: a bucket of Slipway's own store, or of another that Settings.s3_sources describes.

Belongs here: listing and reading objects as they were listed, the digests that a store vouches for, and S3's
errors in our words.
Does not: copying within one store or writing to it (transfer/copying.py, transfer/uploads.py).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError, SourceUnavailableError
from slipway.artifacts.source import Count, Digest, SourceFile, StoredAt, check_pin, commit_of
from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.connections import Connections
from slipway.artifacts.transfer.pace import Pace
from slipway.artifacts.transfer.ranged import Door, RangedReader, bare_etag
from slipway.artifacts.transfer.retry import CallWaits, RetryPolicy
from slipway.artifacts.transfer.secrets import secret_in
from slipway.catalog.documents import SourceBucket
from slipway.catalog.fields import SecretRef
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore, StoredObject
from slipway.store_trouble import (
    IncompleteAnswerError,
    contents,
    field,
    is_of_other_region,
    is_skewed,
    other_region,
    skew,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

SCHEME = "s3://"
_LINK_S = 3600
_HEADS = 8
_MD5 = re.compile(r"^[0-9a-f]{32}$")
_REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "401"}
_STALE = "Wait until nobody writes there, then run this again."


@dataclass(frozen=True)
class _Access:
    """A bucket, and what to do when it refuses us."""

    location: S3Location
    remedy: str


class S3Source:
    """Buckets. `own` is asked for Slipway's own store, which holds every bucket not in `buckets`."""

    def __init__(
        self,
        own: Callable[[], S3Location],
        buckets: Mapping[str, SourceBucket],
        variables: Mapping[str, str],
        *,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._retry = retry
        self._own = own
        self._buckets = buckets
        self._variables = variables

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> S3Snapshot:
        """List what lies there now. See `source.Source`."""
        bucket, _, prefix = location.removeprefix(SCHEME).partition("/")
        access = self._access(bucket)
        store = ObjectStore(access.location)
        if self._retry is not None:
            store = store.outlasting(partial(CallWaits, self._retry))
        objects = _Objects(location, access, store, Pace.of(self._variables))
        listed = objects.list(prefix.removesuffix("/"))
        commit = commit_of(
            (path, stored.size_bytes, bare_etag(stored.etag)) for path, stored in listed.items()
        )
        check_pin(location, revision, commit)
        return S3Snapshot(objects, listed, commit)

    def _access(self, bucket: str) -> _Access:
        described = self._buckets.get(bucket)
        if described is None:
            own = self._own()
            remedy = (
                f"Let SLIPWAY_S3_ACCESS_KEY read {bucket}, or give its store and keys in "
                f"Settings.s3_sources.{bucket}."
            )
            # Fields of their own: whoever opened Slipway's store may hold it to one bucket.
            return _Access(
                S3Location(own.endpoint_url, bucket, own.region, own.access_key, own.secret_key, own.ca_file),
                remedy,
            )
        keys = (described.access_key, described.secret_key)
        access_key, secret_key = (self._secret(bucket, key) for key in keys)
        location = S3Location(
            described.endpoint_url.rstrip("/"),
            bucket,
            described.region,
            access_key,
            secret_key,
            described.ca_file,
        )
        remedy = f"Check {keys[0].env} and {keys[1].env}, and that this key may read and list {bucket}."
        return _Access(location, remedy)

    def _secret(self, bucket: str, ref: SecretRef) -> str:
        value = secret_in(self._variables, ref.env or "")
        if not value:
            raise AccessError(
                f"s3://{bucket}: a key of Settings.s3_sources.{bucket} is to come from {ref.env}, which is "
                f"not set. Set {ref.env}."
            )
        return value


class S3Snapshot:
    """Objects under one prefix as they were listed; implements `source.Snapshot`."""

    licence: str | None = None

    def __init__(self, objects: _Objects, listed: Mapping[str, StoredObject], commit: str) -> None:
        self._objects = objects
        self._listed = listed
        self.commit = commit

    def files(self) -> tuple[SourceFile, ...]:
        """Every object, with the digest that the store vouches for, if any."""
        described: dict[str, SourceFile] = {}

        def describe(path: str) -> None:
            described[path] = self._objects.describe(path, self._listed[path])

        workers.each(list(self._listed), describe, workers=_HEADS, tick=lambda: None)
        return tuple(described[path] for path in self._listed)

    def read_into(self, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer from the object, on the condition that it is still the one that was listed."""
        self._objects.read_into(self._listed[file.path], file, offset, buffer, count)

    def stored_at(self, file: SourceFile) -> StoredAt:
        """The object itself."""
        listed, location = self._listed[file.path], self._objects.access.location
        return StoredAt(location.endpoint_url, location.bucket, listed.key, listed.etag)


def listed_digest(etag: str, head: Mapping[str, Any]) -> Digest | None:
    """The digest by an object's entity tag and its HeadObject answer (boto3's names).

    A sha256 counts when it is of the whole object, not of its parts' checksums. An entity tag is the MD5 of
    the content unless it was uploaded in parts (`...-N`) or encrypted with a key that is not the store's own
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
    """
    sha256 = head.get("ChecksumSHA256")
    if sha256 and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in sha256:
        try:
            content = base64.b64decode(sha256, validate=True)
        except binascii.Error:
            content = b""
        if len(content) == 32:
            return Digest("sha256", content.hex())
    encryption = head.get("ServerSideEncryption")
    if head.get("SSECustomerAlgorithm") or encryption not in {None, "AES256"}:
        return None
    tag = bare_etag(etag)
    return Digest("md5", tag) if _MD5.match(tag) else None


class _Objects:
    """The S3 calls against one bucket, with their errors explained."""

    def __init__(self, name: str, access: _Access, store: ObjectStore, pace: Pace) -> None:
        self.name = name
        self.access = access
        self._store = store
        self._reader = RangedReader(name, Connections(ca_file=access.location.ca_file), pace=pace)

    def list(self, prefix: str) -> dict[str, StoredObject]:
        """Objects by their path under the prefix, in order of key; or the one object of that very key."""
        folder = f"{prefix}/" if prefix else ""
        # Consoles keep folders as empty objects whose key ends with a slash.
        objects = {
            stored.key.removeprefix(folder): stored
            for stored in self._under(folder)
            if stored.size_bytes or not stored.key.endswith("/")
        }
        if not objects and prefix:
            # Of all keys that begin with it, the key itself comes first.
            first = next(self._under(prefix), None)
            if first is not None and first.key == prefix:
                objects[prefix.rpartition("/")[2]] = first
        if not objects:
            raise SourceError(f"{self.name}: there is no object of or under this key. Correct the prefix.")
        return objects

    def _under(self, prefix: str) -> Iterator[StoredObject]:
        with self._explained(self.name):
            pages = self._store.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.access.location.bucket, Prefix=prefix
            )
            for page in pages:
                for item in contents(page):
                    yield StoredObject(field(item, "Key"), field(item, "Size"), field(item, "ETag"))

    def describe(self, path: str, listed: StoredObject) -> SourceFile:
        """The file with its digest: one more call, which says whether the entity tag is an MD5."""
        with self._explained(f"{self.name} file {path}"):
            head: Any = self._store.client.head_object(
                Bucket=self.access.location.bucket, Key=listed.key, ChecksumMode="ENABLED"
            )
        # Not by a condition: stores that quote entity tags in one place alone would never meet it.
        if bare_etag(head.get("ETag", "")) != bare_etag(listed.etag):
            raise SourceError(f"{self.name} file {path}: changed between listing and reading. {_STALE}")
        return SourceFile(path, listed.size_bytes, listed_digest(listed.etag, head))

    def read_into(
        self, listed: StoredObject, file: SourceFile, offset: int, buffer: memoryview, count: Count
    ) -> None:
        """One ranged GET through a presigned link: signed anew for each, so it is never too old."""
        url = self._store.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.access.location.bucket, "Key": listed.key},
            ExpiresIn=_LINK_S,
        )
        door = Door(url, {}, linked=False, remedy=self.access.remedy, stale=_STALE, etag=listed.etag)
        self._reader.read_into(door, file, offset, buffer, count)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, SSLError
        from botocore.parsers import ResponseParserError

        endpoint_url, bucket = self.access.location.endpoint_url, self.access.location.bucket
        try:
            yield
        except ClientError as error:
            raise self._in_our_words(what, error) from error
        except SSLError as error:
            raise SourceError(
                f"{what}: the certificate of {endpoint_url} is not trusted. Name its authority "
                f"in Settings.s3_sources.{bucket}.ca_file."
            ) from error
        except ParamValidationError as error:
            raise SourceError(f"{what}: {bucket!r} is no name of a bucket. Correct the source.") from error
        except (ResponseParserError, IncompleteAnswerError) as error:
            raise SourceError(
                f"{what}: what {endpoint_url} answers is none of a store's. Check that it leads to the store "
                "itself, not to a proxy that answers for it."
            ) from error
        except BotoCoreError as error:
            # botocore has tried several times by now.
            raise SourceUnavailableError(
                f"{what}: {endpoint_url} did not answer: {' '.join(str(error).split())}. Run this again when "
                "it is back."
            ) from error

    def _in_our_words(self, what: str, error: ClientError) -> ArtifactError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        endpoint_url, bucket = self.access.location.endpoint_url, self.access.location.bucket
        if is_skewed(error):
            return AccessError(
                f"{what}: {endpoint_url} refused ({code}). {skew(error)} Set this machine's clock, or the "
                "store's, by NTP."
            )
        if is_of_other_region(error):
            return AccessError(
                f"{what}: {endpoint_url} has this bucket in another region than "
                f"{self.access.location.region} ({code}). Set Settings.s3_sources.{bucket}.region to "
                f"{other_region(error) or 'its own'}."
            )
        if code == "NoSuchBucket":
            return SourceError(
                f"{what}: {endpoint_url} has no bucket {bucket}. Correct its name, or "
                "say in Settings.s3_sources which store it is in."
            )
        if code in _REFUSALS:
            return AccessError(f"{what}: {endpoint_url} refused ({code}). {self.access.remedy}")
        if code in {"404", "NoSuchKey"}:
            return SourceError(f"{what}: was listed, but is gone. {_STALE}")
        if code in {"412", "PreconditionFailed"}:
            return SourceError(f"{what}: changed between listing and reading. {_STALE}")
        if re.match(r"^(5\d\d|429|SlowDown|InternalError|ServiceUnavailable)$", code):
            return SourceUnavailableError(
                f"{what}: {endpoint_url} answered {code}. Run this again when it is back."
            )
        said = str(error.response.get("Error", {}).get("Message") or "").rstrip(".")
        return SourceError(
            f"{what}: {endpoint_url} refused: {code}{f' ({said})' if said else ''}. Correct the source, or "
            f"Settings.s3_sources.{bucket}."
        )
