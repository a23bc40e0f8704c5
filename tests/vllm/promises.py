"""What must hold for each way of asking an engine, directly and through the gateway.

Belongs here: judgements over a row, an engine and a gateway.
Does not: rows (table.py), which engine (the tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.dataplane.validation import validation
from slipway.gateway.api.operations import OPERATIONS
from slipway.records import revisions
from slipway.records.revisions import Applied

from .conftest import ORGS, Gateway, Reply, ask
from .table import Row, Used, alike


def answers(row: Row, url: str) -> Reply:
    """vLLM takes the row as it is, and says something."""
    reply = ask(url + (row.at_engine or row.path), row.to(row.model))
    assert reply.status == 200, reply.body
    assert row.said(reply), reply.body
    return reply


def passes(row: Row, url: str, gateway: Gateway, name: str) -> None:
    """The gateway's answer is the engine's under the public name, its one event has the engine's counts."""
    operation = OPERATIONS.get(row.path)
    if operation is None:
        pytest.skip(f"the gateway does not pass on {row.path} yet")
    direct = answers(row, url)
    gateway.new_events()
    reply = gateway.ask(row.path, row.to(name))
    assert reply.status == 200, reply.body
    assert alike(row.said(reply), row.said(direct)), f"{reply.body!r}\n{direct.body!r}"
    assert f'"model":"{row.model}"'.encode() not in reply.body.replace(b": ", b":")
    (event,) = gateway.new_events()
    assert (event["status"], event["model"], event["org"]) == ("success", name, ORGS[0]), event
    if operation.unit == "nothing":
        return
    used = row.used(reply)
    assert used.input, reply.body
    assert event["counted_by"] == "engine", event
    assert Used(event["input_tokens"], event["cached_tokens"], event["output_tokens"]) == used
    bound = operation.reads.bound(row.to(name)) + operation.reads.template_tokens
    assert used.input <= bound, f"{used.input} tokens, and limits reserve {bound}"


def is_valid(spec: ResolvedDeployment, upstream: str, engine_names: Mapping[str, str] | None = None) -> None:
    """Every check that a rollout makes of a new revision before it gets traffic passes."""
    rendered = {"engine_names": dict(engine_names or {})}
    applied = Applied(spec.revision_name, spec.name, spec.spec_digest, rendered)
    revision = revisions.of(spec, applied, upstream, datetime.now(UTC))
    results = validation.validate(revision, spec.deployment.rollout.validation)
    assert [each.message for each in results if not each.passed] == []
    assert {each.name for each in results} == set(validation.checks_of(spec.task))
