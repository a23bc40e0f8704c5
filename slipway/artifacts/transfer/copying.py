"""Copies that the store makes itself, where a source's files already lie in it.

Belongs here: when that is possible, and what a refusal means.
Does not: the calls (uploads.py), or believing what was copied (weights/delivery.py reads it back).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import StoredAt
from slipway.artifacts.transfer.retry import TransientError
from slipway.artifacts.transfer.store_answers import UploadGoneError
from slipway.environment import S3Location


def changed(source: StoredAt, name: str, path: str) -> SourceError:
    """The object is another than the one that was listed."""
    return SourceError(
        f"{name} file {path} (s3://{source.bucket}/{source.key}): changed between listing and copying. "
        "Nothing was published. Run this again."
    )


class CopyRefusedError(Exception):
    """The store does not copy this object for us; it can be read and sent like any other."""


def is_same_store(source: StoredAt, target: S3Location) -> bool:
    """True when both are behind one endpoint. Whether our key may read the source shows when we ask."""
    return _endpoint(source.endpoint_url) == _endpoint(target.endpoint_url)


@contextlib.contextmanager
def explained(source: StoredAt, name: str, path: str) -> Iterator[None]:
    """What boto3's errors mean for a copy.

    SourceError (not what was listed any more), UploadGoneError, TransientError, else CopyRefusedError.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    what = f"{name} file {path} (s3://{source.bucket}/{source.key})"
    try:
        yield
    except BotoCoreError as error:
        raise TransientError(f"{what}: the store did not copy it: {error}.") from error
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "NoSuchUpload":
            raise UploadGoneError(f"{what}: the store no longer knows its upload. Run this again.") from error
        if status == 412:
            raise changed(source, name, path) from error
        if code in {"NoSuchKey", "NoSuchBucket"}:
            raise SourceError(
                f"{what}: was listed, but is gone. Nothing was published. Restore it."
            ) from error
        if status in {429, 502, 503, 504} or code == "SlowDown":
            raise TransientError(f"{what}: the store answered {status} {code}.") from error
        raise CopyRefusedError(f"{what}: {error}") from error


def _endpoint(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port
