"""What a server asks its callers to wait: Retry-After, and the RateLimit fields that hubs send instead.

Belongs here: reading these headers. Does not: waiting (retry.py).
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

# Whole seconds, rounded by the server in a way that it does not say.
_ROUNDING_S = 1.0
_PARAMETER = re.compile(r"(?P<name>[a-z]+)\s*=\s*\"?(?P<value>\d+(\.\d+)?)")


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until a refused caller may ask again, by the longer of what is said; None when nothing is."""
    named = {name.lower(): value for name, value in headers.items()}
    said = [
        retry_after_s(named.get("retry-after"), now),
        rate_limit_s(named.get("ratelimit"), named.get("ratelimit-reset")),
    ]
    return max((each for each in said if each is not None), default=None)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110); None when neither."""
    if not header:
        return None
    if header.strip().replace(".", "", 1).isdigit() and header.isascii():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def rate_limit_s(limits: str | None, reset: str | None) -> float | None:
    """Seconds until an exhausted limit is reset, by the IETF's RateLimit fields; None when none is exhausted.

    `"resolvers";r=0;t=40` (draft-ietf-httpapi-ratelimit-headers-08 and later, several of them after commas),
    `limit=10, remaining=0, reset=40` and a field RateLimit-Reset (before).
    """
    waits = list(_exhausted(limits or ""))
    if not waits and reset and reset.strip().isdigit() and reset.isascii():
        waits = [float(reset)]
    return max(waits) + _ROUNDING_S if waits else None


def _exhausted(limits: str) -> Iterator[float]:
    """Seconds to the reset of every limit that nothing is left of."""
    older = {match["name"]: float(match["value"]) for match in _PARAMETER.finditer(limits.lower())}
    if "reset" in older:
        if older.get("remaining", 0) == 0:
            yield older["reset"]
        return
    for limit in limits.lower().split(","):
        named = {match["name"]: float(match["value"]) for match in _PARAMETER.finditer(limit)}
        if "t" in named and named.get("r") == 0:
            yield named["t"]
