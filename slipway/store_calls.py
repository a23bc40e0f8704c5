"""Calls to a store that is away for a while: whether to make one again.

Belongs here: the question, and asking it from within botocore.
Does not: how long to wait (who opens the store says), what an answer means in the end (store_trouble.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from slipway.environment import S3Location


class Waits(Protocol):
    """How long one call outlasts a store that does not answer."""

    def again(self, cause: str, *, passing: bool) -> bool:
        """Wait, then True: make the call again. False: it was enough.

        `passing`: a store that is starting again would explain it.
        """


class FewMore:
    """Three more times, at once."""

    def __init__(self) -> None:
        self._left = 3

    def again(self, cause: str, *, passing: bool) -> bool:
        """True three times."""
        self._left -= 1
        return self._left >= 0


class Patient:
    """botocore's question whether to make a call again, answered by a `Waits` for each call."""

    def __init__(self, location: S3Location, waits: Callable[[], Waits]) -> None:
        self._location, self._waits = location, waits

    def __call__(
        self,
        *,
        response: Any = None,
        caught_exception: Exception | None = None,
        request_dict: dict[str, Any],
        **of_no_use: Any,
    ) -> int | None:
        """0 to make it again (it has waited by then), None to leave it."""
        cause = _passing_cause(response[1] if response else {}, caught_exception)
        if cause is None:
            return None
        waits: Waits = request_dict["context"].setdefault("slipway-waits", self._waits())
        words, passing = cause
        where = f"S3 {self._location.endpoint_url} bucket {self._location.bucket}"
        return 0 if waits.again(f"{where}: {words}.", passing=passing) else None


def _passing_cause(answer: dict[str, Any], error: Exception | None) -> tuple[str, bool] | None:
    """(what failed, whether a restart would explain it) of what may be otherwise soon; None of all else."""
    from botocore.exceptions import ConnectionClosedError, ConnectionError, HTTPClientError, SSLError

    if error is not None:
        lasting = isinstance(error, SSLError)
        known = isinstance(error, ConnectionError | ConnectionClosedError | HTTPClientError)
        return ("did not answer", True) if known and not lasting else None
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(answer.get("Error", {}).get("Code", ""))
    if status in {429, 502, 503, 504} or code in {"SlowDown", "RequestTimeout"}:
        return f"answered {status} {code}".rstrip(), True
    return (f"answered {status} {code}".rstrip(), False) if status == 500 else None
