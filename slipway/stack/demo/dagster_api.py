"""Dagster's GraphQL API, as much of it as the demo asks: runs, launches, materializations, checks.

Belongs here: queries, and what their answers say. Does not: asking them (slipway.graphql), importing Dagster
(the demo is a client like any other).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway import graphql

FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
LOCATION = {"repositoryLocationName": "pipelines.definitions", "repositoryName": "__repository__"}


@dataclass(frozen=True)
class Run:
    """One run as the UI lists it."""

    id: str
    status: str
    job: str
    tags: Mapping[str, str]
    assets: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in FINISHED


class DagsterApiError(RuntimeError):
    """The UI's server did not launch what it was asked for; the message has its words."""


class DagsterApi:
    """The GraphQL endpoint of one Dagster webserver."""

    def __init__(self, url: str) -> None:
        self.url = url

    def runs(self, *, limit: int = 50) -> list[Run]:
        """The newest runs first."""
        reply = self._query(_RUNS, {"limit": limit})["runsOrError"]
        return [_run(row) for row in reply["results"]]

    def run(self, run_id: str) -> Run:
        """One run by id."""
        return _run(self._query(_RUN, {"id": run_id})["runOrError"])

    def launch(self, job: str, assets: Iterable[tuple[str, ...]], tags: Mapping[str, str]) -> str:
        """Launch a job for a selection of assets; returns the run's id."""
        parameters = {
            "selector": {**LOCATION, "jobName": job, "assetSelection": [{"path": list(a)} for a in assets]},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        reply = self._query(_LAUNCH, {"params": parameters})["launchRun"]
        if reply["__typename"] != "LaunchRunSuccess":
            raise DagsterApiError(f"{job} was not launched: {json.dumps(reply)[:800]}")
        return str(reply["run"]["runId"])

    def backfill(self, assets: Iterable[Iterable[str]], partitions: Iterable[str]) -> str:
        """Launch a backfill of assets over partitions, as the UI does; returns its id."""
        parameters = {
            "assetSelection": [{"path": list(path)} for path in assets],
            "partitionNames": list(partitions),
        }
        reply = self._query(_BACKFILL, {"params": parameters})["launchPartitionBackfill"]
        if reply["__typename"] != "LaunchBackfillSuccess":
            raise DagsterApiError(f"the backfill was not launched: {json.dumps(reply)[:800]}")
        return str(reply["backfillId"])

    def backfill_finished(self, backfill_id: str) -> bool:
        """Whether all its runs have ended."""
        reply = self._query(_BACKFILL_STATUS, {"id": backfill_id})["partitionBackfillOrError"]
        return reply.get("status") not in {"REQUESTED", "CANCELING", "FAILING"}

    def wait(
        self, run_id: str, *, timeout_s: float = 300, on_step: Callable[[str], None] = lambda step: None
    ) -> Run:
        """Wait for a run to end, calling `on_step` with each message once; TimeoutError past the limit."""
        deadline = time.monotonic() + timeout_s
        cursor: str | None = None
        while True:
            run = self.run(run_id)
            cursor = self._report(run_id, cursor, on_step)
            if run.finished:
                return run
            if time.monotonic() > deadline:
                raise TimeoutError(f"run {run_id} is still {run.status} after {timeout_s:.0f} s")
            time.sleep(0.5)

    def asset_states(self) -> dict[str, Any]:
        """Every asset's key, its last materialization (or None) and its checks' last statuses."""
        nodes = self._query(_ASSETS, {})["assetNodes"]
        return {
            "/".join(node["assetKey"]["path"]): {
                "materialized": bool(node["assetMaterializations"]),
                "checks": {
                    check["name"]: (check["executionForLatestMaterialization"] or {}).get("status")
                    for check in node["assetChecksOrError"].get("checks", [])
                },
            }
            for node in nodes
        }

    def _report(self, run_id: str, cursor: str | None, on_step: Callable[[str], None]) -> str | None:
        reply = self._query(_EVENTS, {"id": run_id, "cursor": cursor})["logsForRun"]
        for event in reply.get("events", []):
            if event["__typename"] in {
                "LogMessageEvent",
                "ExecutionStepFailureEvent",
                "MaterializationEvent",
            }:
                on_step(_one_line(event))
        return str(reply["cursor"]) if reply.get("cursor") else cursor

    def _query(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        return graphql.ask(self.url, query, variables)


def _run(row: Mapping[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in row["tags"]}
    assets = tuple("/".join(key["path"]) for key in row.get("assetSelection") or ())
    return Run(row["runId"], row["status"], row["jobName"], tags, assets)


def _one_line(event: Mapping[str, Any]) -> str:
    if event["__typename"] == "MaterializationEvent":
        return "materialized " + "/".join(event["assetKey"]["path"])
    if event["__typename"] == "ExecutionStepFailureEvent":
        return f"{event['stepKey']} failed: {event['error']['message'] if event['error'] else ''}".strip()
    return str(event["message"])


_RUN_FIELDS = "runId status jobName tags { key value } assetSelection { path }"
_RUNS = (
    "query Runs($limit: Int!) { runsOrError(limit: $limit) { ... on Runs { results { "
    + _RUN_FIELDS
    + " } } } }"
)
_RUN = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { " + _RUN_FIELDS + " } } }"
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
    ... on PipelineNotFoundError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
_BACKFILL_STATUS = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}"""
_EVENTS = """
query Events($id: ID!, $cursor: String) {
  logsForRun(runId: $id, afterCursor: $cursor, limit: 500) {
    ... on EventConnection {
      cursor
      events {
        __typename
        ... on MessageEvent { message stepKey }
        ... on MaterializationEvent { assetKey { path } }
        ... on ExecutionStepFailureEvent { error { message } }
      }
    }
  }
}"""
_ASSETS = """
query Assets {
  assetNodes {
    assetKey { path }
    assetMaterializations(limit: 1) { runId }
    assetChecksOrError { ... on AssetChecks { checks {
      name executionForLatestMaterialization { status }
    } } }
  }
}"""
