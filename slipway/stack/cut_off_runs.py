"""Runs that were cut off when Dagster was stopped or killed.

Belongs here: ending them, because nothing else does. With the launcher of one machine a run's process is a
child of the code server; when both die, Dagster shows the run as started for ever, and it keeps its slots.
Does not: starting anything again (the sensors ask for what is missing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slipway import graphql
from slipway.stack.errors import StackError

_TIMEOUT_S = 3.0
_RUNS = """
{ runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING]}) {
    __typename ... on Runs { results { runId startTime updateTime } } } }
"""
_END = """
mutation ($ids: [String!]!) {
  terminateRuns(runIds: $ids, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }
"""


def end_cut_off_runs(url: str, since: float) -> None:
    """Mark as canceled each run that was under way before `since`, the start of the Dagster that is at `url`.

    `since` is in seconds since the epoch. Raises StackError when Dagster does not answer.
    """
    try:
        ids = cut_off(graphql.ask(url, _RUNS, timeout_s=_TIMEOUT_S)["runsOrError"].get("results", []), since)
        if ids:
            graphql.ask(url, _END, {"ids": ids}, timeout_s=_TIMEOUT_S)
    except (graphql.GraphqlError, KeyError, TypeError, ValueError) as error:
        raise StackError(f"dagster: cannot end the runs that were cut off: {error}") from error


def cut_off(runs: Iterable[Mapping[str, Any]], since: float) -> list[str]:
    """Ids of the runs that cannot have a process any more. Times in seconds since the epoch."""
    return [run["runId"] for run in runs if (run["startTime"] or run["updateTime"] or 0.0) < since]
