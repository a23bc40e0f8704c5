"""What a client reads of its limits: `x-ratelimit-*` headers, `retry-after`, and the 429 error.

Belongs here: names, formats and words. Does not: counting (limits.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from slipway.gateway.admission.limits import Denied, Standing
from slipway.gateway.api.errors import ApiError, Header

_SCOPE = {"org": "organization", "project": "project", "user": "user", "api_key": "API key"}


def headers(standings: Sequence[Standing]) -> tuple[Header, ...]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI sends them.

    Where several scopes have a limit, the one with the least left is shown. Resets are like `12.3s`.
    """
    shown: list[Header] = []
    for dimension in ("requests", "tokens"):
        tightest = _tightest(standing for standing in standings if standing.bound.dimension == dimension)
        if tightest is not None:
            name = dimension.encode()
            shown += [
                (b"x-ratelimit-limit-" + name, b"%d" % tightest.bound.limit),
                (b"x-ratelimit-remaining-" + name, b"%d" % tightest.remaining),
                (b"x-ratelimit-reset-" + name, b"%.1fs" % tightest.reset_s),
            ]
    return tuple(shown)


def rate_limited(model: str, denied: Denied) -> ApiError:
    """The 429 for a denied request; it says whose limit, how much of it, and when to come back."""
    standing = denied.standing
    bound = standing.bound
    whose = f"{_SCOPE[bound.scope]} limit of {bound.limit} {bound.dimension} per minute for `{model}`"
    others = [other for other in denied.standings if other.bound.dimension != bound.dimension]
    shown = (*others, standing)
    if denied.retry_after_s is None:
        return _error(
            f"Request too large for the {whose}: it may use up to {denied.needed} {bound.dimension} "
            "(prompt bound + max_tokens). Shorten the prompt or lower max_tokens.",
            # No wait makes it fit; this header keeps OpenAI's SDKs from trying again.
            (*headers(shown), (b"x-should-retry", b"false")),
        )
    wait_s = max(1, math.ceil(round(denied.retry_after_s, 3)))
    return _error(
        f"Rate limit reached: {whose}. Left: {standing.remaining}, needed: {denied.needed}. "
        f"Try again in {wait_s} s.",
        (*headers(shown), (b"retry-after", b"%d" % wait_s)),
    )


def _error(message: str, own_headers: tuple[Header, ...]) -> ApiError:
    return ApiError(429, "rate_limit_exceeded", "rate_limit_exceeded", message, headers=own_headers)


def _tightest(standings: Iterable[Standing]) -> Standing | None:
    return min(standings, key=lambda standing: standing.remaining, default=None)
