"""From the domain's errors to Dagster's: what may be tried again, and what needs a person.

Belongs here: that one translation. Does not: messages (they are written where the trouble is known).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def explained() -> Iterator[None]:
    """Turn a domain error into a Failure with its message.

    Errors of the domain that do not say `retriable` will fail again until something is corrected, so they
    are not retried. Everything else is left to the asset's retry policy.
    """
    try:
        yield
    except Exception as error:
        of_domain = type(error).__module__.startswith("slipway.")
        if of_domain and not getattr(error, "retriable", False):
            raise dg.Failure(str(error), allow_retries=False) from error
        raise
