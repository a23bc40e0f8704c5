"""From the domain's errors to Dagster's: what may be tried again, what needs a person, what to materialize.

Belongs here: that one translation, with remedies that only Dagster has.
Does not: other messages (they are written where the trouble is known).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from assets import keys
from slipway.catalog.resolved import UnresolvedRevisionError
from slipway.control.held_weights import WeightsNotHeldError
from slipway.control.stages import NotRolledOutError


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
            raise dg.Failure(f"{error}{_remedy(error)}", allow_retries=False) from error
        raise


def _remedy(error: Exception) -> str:
    """What to materialize, where that helps; empty where it does not."""
    match error:
        case NotRolledOutError():
            wanted = keys.rollout(error.deployment)
        case UnresolvedRevisionError():
            wanted = keys.weights(error.artifact)
        case WeightsNotHeldError():
            wanted = keys.weights(error.artifact)
        case _:
            return ""
    return f" Materialize {wanted.to_user_string()}, then this again."
