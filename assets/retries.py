"""Retry policies by kind of trouble. A bad spec is never retried: it raises Failure(allow_retries=False).

Belongs here: policies, which runs have not ended, what need not be done again.
Does not: deciding which trouble it was.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.storage.tags import RESUME_RETRY_TAG

NETWORK = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


def done_by(run: dg.DagsterRun) -> set[str]:
    """The runs whose work a run goes on with: its own, where a step is tried again, and those that it was
    re-executed from where they failed. A run that is re-executed as a whole begins anew.
    """
    before = (run.parent_run_id, run.root_run_id) if run.tags.get(RESUME_RETRY_TAG) == "true" else ()
    return {each for each in (run.run_id, *before) if each is not None}
