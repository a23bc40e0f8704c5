"""What the store answers to presigned requests, in the words of the rest.

Belongs here: errors out of a status and an XML body. Does not: making requests (uploads.py, stored.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from slipway.artifacts.errors import SourceUnavailableError
from slipway.artifacts.transfer.connections import cause
from slipway.artifacts.transfer.retry import TransientError
from slipway.objectstore import ObjectStore

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_ERROR_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_ERROR_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


class UploadGoneError(SourceUnavailableError):
    """The store no longer knows an upload: another run completed it, or it was aborted as too old."""


def error_code(reply: Any) -> str:
    """S3's error code of an answer whose body was read, or its status."""
    code = _ERROR_CODE.search(reply.data)
    return code[1].decode() if code else str(reply.status)


def refuse(store: ObjectStore, action: str, reply: Any) -> None:
    """Raise what an answer other than success means.

    UploadGoneError, TransientError where another try may help, else ObjectStoreError with its remedy.
    """
    code = error_code(reply)
    what = f"S3 {store.location.endpoint_url} bucket {store.location.bucket}: cannot {action}"
    if code == "NoSuchUpload":
        raise UploadGoneError(f"{what}: the store no longer knows this upload. Run this again.")
    if reply.status in {429, 500, 502, 503, 504} or code in {"RequestTimeout", "SlowDown"}:
        full = " It may be full: see its log." if reply.status == 500 else ""
        raise TransientError.answered(
            f"{what}: the store answered {reply.status} {code}.{full}",
            reply.headers,
            passing=reply.status != 500,
        )
    with store.explained(action):
        raise _client_error(code, reply)


def broken(store: ObjectStore, action: str, error: Exception) -> TransientError:
    """A connection that failed: worth another try."""
    where = f"S3 {store.location.endpoint_url} bucket {store.location.bucket}"
    return TransientError(f"{where}: cannot {action}: {cause(error)}.")


def _client_error(code: str, reply: Any) -> ClientError:
    """The error that botocore would have raised for this answer."""
    from botocore.exceptions import ClientError

    message = _ERROR_MESSAGE.search(reply.data)
    return ClientError(
        {
            "Error": {"Code": code, "Message": message[1].decode() if message else str(reply.reason)},
            "ResponseMetadata": {"HTTPStatusCode": reply.status},  # type: ignore[typeddict-item]
        },
        "presigned request",
    )
