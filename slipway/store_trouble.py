"""What goes wrong between Slipway and a store, in sentences that name the store, the field and the remedy.

Belongs here: one error, what each code of S3 and each failure of its client means, and what to do.
Does not: making calls (objectstore.py), or making them again (store_calls.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from slipway.environment import S3Location

_WRONG_KEYS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "403"})
_EXPIRED_KEYS = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_OTHER_REGION = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "IllegalLocationConstraintException",
        "InvalidLocationConstraint",
        "InvalidRegion",
        "PermanentRedirect",
        "TemporaryRedirect",
        "301",
        "307",
    }
)
_REFUSALS = _WRONG_KEYS | _EXPIRED_KEYS | _SKEWED | _OTHER_REGION | {"AccessDenied", "NoSuchBucket"}
_PORTAL = "Check that SLIPWAY_S3_ENDPOINT leads to the store itself, not to a proxy that answers for it."
# S3 refuses a request whose time differs by more.
_MOST_SKEW_S = 15 * 60


class ObjectStoreError(RuntimeError):
    """The store refused or could not be reached; the message says which and what to do.

    `retriable` is False where the same call fails again until a person acts: wrong keys, no such bucket.
    `unreachable` where the store did not answer, or only that it cannot now: it may be starting again.
    """

    def __init__(self, message: str, *, retriable: bool = True, unreachable: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable
        self.unreachable = unreachable


class IncompleteAnswerError(Exception):
    """What answered with success left out what every store says: a proxy or a portal, perhaps."""


def field(answer: Mapping[str, Any], name: str) -> Any:
    """A field that every store's answer has. Raises IncompleteAnswerError."""
    if name not in answer:
        raise IncompleteAnswerError(f"the answer was a success without {name}, as no store's is")
    return answer[name]


def contents(page: Mapping[str, Any], of: str = "Contents") -> list[Any]:
    """What a page of a listing lists. A login page is no empty bucket: raises IncompleteAnswerError."""
    field(page, "IsTruncated")
    return page.get(of) or []


class Explained:
    """Turns botocore's errors into one message that names the store, the action and the remedy."""

    def __init__(self, location: S3Location, action: str) -> None:
        self._location = location
        self._action = action

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
        from botocore.parsers import ResponseParserError

        if isinstance(error, ClientError | BotoCoreError | ResponseParserError | IncompleteAnswerError):
            away = status_of(error) in {429, 502, 503, 504} or _no_answer(error)
            lasting = isinstance(error, ParamValidationError)
            raise ObjectStoreError(
                f"S3 {self._location.endpoint_url} bucket {self._location.bucket}: cannot {self._action}: "
                f"{_cause(error)}. {remedy(error, self._location)}",
                retriable=away or not (lasting or code_of(error) in _REFUSALS),
                unreachable=away,
            ) from error


@contextlib.contextmanager
def usable_settings(location: S3Location) -> Iterator[None]:
    """Turns what a client says of an address or a region that is none into our words."""
    from botocore.exceptions import BotoCoreError
    from urllib3.exceptions import LocationValueError

    try:
        _require_address(location.endpoint_url)
        yield
    except (ValueError, LocationValueError, BotoCoreError, OSError) as error:
        raise ObjectStoreError(
            f"S3 {location.endpoint_url!r} region {location.region!r}: no client can be made for it "
            f"({_cause(error)}). Correct SLIPWAY_S3_ENDPOINT (such as https://s3.example.org:9000) and "
            "SLIPWAY_S3_REGION (such as us-east-1); of a source, its endpoint_url, region and ca_file in "
            "Settings.s3_sources.",
            retriable=False,
        ) from error


def _require_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(each.isspace() for each in url):
        raise ValueError("no http or https address of a server")
    parts.port  # noqa: B018  raises ValueError where it is none


def remedy(error: Exception, location: S3Location) -> str:
    """What to do about it."""
    code = code_of(error)
    if is_skewed(error):
        return f"{skew(error)} Set this machine's clock, or the store's, by NTP."
    if code in _OTHER_REGION:
        region = other_region(error)
        named = f"to {region}" if region else "to the region of this bucket"
        return f"The bucket is in another region than {location.region}: set SLIPWAY_S3_REGION {named}."
    return _remedy_of_code(code, location.bucket) or _remedy_of_client(error)


def is_skewed(error: Exception) -> bool:
    """Whether the store refused because the clocks differ."""
    return code_of(error) in _SKEWED


def is_of_other_region(error: Exception) -> bool:
    """Whether the store refused because the bucket is in another region than was signed for."""
    return code_of(error) in _OTHER_REGION


def skew(error: Exception, now: datetime | None = None) -> str:
    """How far the clocks are apart, by the answer's Date."""
    headers = _response(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        theirs = parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return "The store's clock and this machine's are too far apart."
    ahead_s = ((now or datetime.now(UTC)) - theirs).total_seconds()
    if abs(ahead_s) < _MOST_SKEW_S / 3:
        # They agree now: the request itself was under way for too long.
        return "The request took longer on its way than the store allows."
    return (
        f"This machine's clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the store's."
    )


def other_region(error: Exception) -> str | None:
    """The region that the store names as the right one, if it does."""
    response = _response(error)
    named = response.get("Error", {}).get("Region") or response.get("ResponseMetadata", {}).get(
        "HTTPHeaders", {}
    ).get("x-amz-bucket-region")
    if named:
        return str(named)
    _, expecting, rest = str(response.get("Error", {}).get("Message", "")).partition("expecting '")
    return rest.partition("'")[0] if expecting else None


def _remedy_of_code(code: str, bucket: str) -> str | None:
    if code == "AccessDenied":
        return (
            f"Let this identity read and write bucket {bucket}, "
            "or set SLIPWAY_S3_ACCESS_KEY and SLIPWAY_S3_SECRET_KEY to one that may."
        )
    if code in _WRONG_KEYS:
        return "Check SLIPWAY_S3_ACCESS_KEY and SLIPWAY_S3_SECRET_KEY."
    if code in _EXPIRED_KEYS:
        return "These keys have expired: set SLIPWAY_S3_ACCESS_KEY and SLIPWAY_S3_SECRET_KEY to lasting ones."
    if code in {"NoSuchBucket", "InvalidBucketName"}:
        return "Create the bucket, or set SLIPWAY_S3_BUCKET."
    if code in {"InsufficientStorage", "QuotaExceeded", "507"}:
        return "Free space in the store, then run this again."
    if code == "EntityTooLarge":
        return "The store takes nothing as large: raise its limit or free space in it, then run this again."
    if code in {"InternalError", "500"}:
        # SeaweedFS without a free volume answers so, and says no more.
        return "The store may be full: see its log, free space in it, then run this again."
    return None


def _remedy_of_client(error: Exception) -> str:
    from botocore.exceptions import ParamValidationError, SSLError
    from botocore.parsers import ResponseParserError

    if isinstance(error, SSLError):
        return "Its certificate is not trusted: name its authority's PEM file in AWS_CA_BUNDLE."
    if isinstance(error, ParamValidationError):
        return "Correct SLIPWAY_S3_BUCKET."
    if isinstance(error, IncompleteAnswerError | ResponseParserError):
        return _PORTAL
    return "Check SLIPWAY_S3_ENDPOINT and that the store is up (`slipway status`)."


def _cause(error: Exception) -> str:
    from botocore.exceptions import ParamValidationError
    from botocore.parsers import ResponseParserError

    if isinstance(error, ResponseParserError):
        return "the answer is none of a store's"
    if isinstance(error, ParamValidationError):
        return "no store takes such a name"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _no_answer(error: Exception) -> bool:
    from botocore.exceptions import ConnectionError, HTTPClientError, SSLError

    return isinstance(error, ConnectionError | HTTPClientError) and not isinstance(error, SSLError)


def code_of(error: Exception) -> str:
    """S3's code of a refusal; "" where there was no answer."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def status_of(error: Exception) -> int:
    """The HTTP status of a refusal; 0 where there was no answer."""
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _response(error: Exception) -> dict[str, Any]:
    return getattr(error, "response", None) or {}
