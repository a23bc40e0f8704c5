"""What a client reads of its limits: `x-ratelimit-*` headers, `retry-after`, and the 429 error.

Belongs here: names, formats and words. Does not: counting (limits.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from slipway.gateway.admission.bounds import DIMENSIONS, Dimension
from slipway.gateway.admission.limits import Denied, Standing
from slipway.gateway.api.errors import ApiError, Header

# The unit, and what makes a request that never fits smaller.
_WORDS: Mapping[Dimension, tuple[str, str]] = {
    "requests": ("requests", "at a time."),
    "tokens": ("tokens", "(prompt bound + max_tokens). Shorten the prompt or lower max_tokens."),
    "audio_seconds": ("seconds of audio", "(by its size, where its length is not known). Send it in parts."),
    "characters": ("characters", "of text. Send it in parts."),
    "documents": ("documents", "in all. Send fewer at a time."),
}
_NAMES: Mapping[Dimension, tuple[bytes, ...]] = {
    dimension: tuple(
        b"x-ratelimit-%b-%b" % (what, dimension.replace("_", "-").encode())
        for what in (b"limit", b"remaining", b"reset")
    )
    for dimension in DIMENSIONS
}
_SCOPE = {"org": "organization", "project": "project", "user": "user", "api_key": "API key"}


def headers(standings: Sequence[Standing]) -> tuple[Header, ...]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI sends them; other units alike.

    Where several scopes have a limit, the one with the least left is shown. Resets are like `12.3s`.
    """
    tightest: dict[Dimension, Standing] = {}
    for standing in standings:
        dimension = standing.bound.dimension
        other = tightest.get(dimension)
        if other is None or standing.remaining < other.remaining:
            tightest[dimension] = standing
    shown: list[Header] = []
    for dimension, (limit, remaining, reset) in _NAMES.items():
        if dimension in tightest:
            bound, left, reset_s = tightest[dimension]
            shown += ((limit, b"%d" % bound.limit), (remaining, b"%d" % left), (reset, b"%.1fs" % reset_s))
    return tuple(shown)


def rate_limited(model: str, denied: Denied) -> ApiError:
    """The 429 for a denied request; it says whose limit, how much of it, and when to come back."""
    standing = denied.standing
    bound = standing.bound
    unit, remedy = _WORDS[bound.dimension]
    whose = f"{_SCOPE[bound.scope]} limit of {bound.limit} {unit} per minute for `{model}`"
    others = [other for other in denied.standings if other.bound.dimension != bound.dimension]
    shown = (*others, standing)
    if denied.retry_after_s is None:
        return _error(
            f"Request too large for the {whose}: it may use up to {denied.needed} {unit} {remedy}",
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
