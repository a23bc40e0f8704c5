"""Retry policies by kind of trouble. A bad spec is never retried: it raises Failure(allow_retries=False).

Belongs here: policies. Does not: deciding which trouble it was.
"""

from __future__ import annotations

import dagster as dg

NETWORK = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
