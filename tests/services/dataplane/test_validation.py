"""Each task is asked its own question, and engines by their own names; a fake engine over real HTTP.

Real engines: llama.cpp's text in test_ray_serve.py, its embeddings in ../engines/test_standalone.py.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.catalog.deployment import Validation
from slipway.dataplane.validation import validation
from slipway.dataplane.validation.validation import CheckResult
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision
from testbed.engines.fake_engine import FakeEngine

COMMIT = "1" * 40
SETTINGS = Validation(timeout_s=60)
PATHS = {
    "embedding": "/v1/embeddings",
    "rerank": "/v1/rerank",
    "classification": "/classify",
    "speech-to-text": "/v1/audio/transcriptions",
    "text-to-speech": "/v1/audio/speech",
}


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as running:
        running.names = {"chat"}
        yield running


def revision(
    engine: FakeEngine,
    task: Any,
    engine_names: Mapping[str, str] | None = None,
    adapters: tuple[str, ...] = (),
) -> Revision:
    """A recorded revision at the fake engine, with what a renderer says of its names."""
    deployment = Deployment(
        name="chat", model="m", engine="e", runtime="vllm", adapters=[{"adapter": each} for each in adapters]
    )
    resolved = ResolvedDeployment(
        deployment=deployment,
        engine=Engine(name="e", server="vllm"),
        model=ResolvedArtifact(name="m", source="hf://o/m", commit=COMMIT),
        adapters=tuple(ResolvedArtifact(name=a, source="hf://o/a", commit=COMMIT) for a in adapters),
        task=task,
    )
    rendered = {"engine_names": dict(engine_names or {})}
    applied = Applied("chat-1", "chat", resolved.spec_digest, rendered)
    return revisions.decode(revisions.of(resolved, applied, engine.url, datetime.now(UTC)).encode())


def checked(found: Revision) -> dict[str, CheckResult]:
    results = validation.validate(found, SETTINGS)
    assert tuple(each.name for each in results) == validation.checks_of(found.task)
    json.dumps([dict(each.evidence) for each in results], allow_nan=False)  # Dagster's metadata, S3's record
    return {each.name: each for each in results}


@pytest.mark.parametrize("task", PATHS)
def test_every_task_is_asked_at_its_path_and_the_answer_is_evidence(task: str, engine: FakeEngine) -> None:
    results = checked(revision(engine, task))
    assert [each.message for each in results.values() if not each.passed] == []
    assert [path for path, _ in engine.asked] == [PATHS[task]]
    assert results["answer"].evidence["chat"]["path"] == PATHS[task].removeprefix("/v1")
    assert ("usage_reported" in results) == (task in ("embedding", "rerank", "classification"))


def test_reranking_is_found_where_an_engine_has_it(engine: FakeEngine) -> None:
    for path in ("/rerank", "/v1/score"):  # Ray Serve LLM has the second alone
        engine.paths = {path}
        assert checked(revision(engine, "rerank"))["answer"].passed, path


@pytest.mark.parametrize(
    ("task", "wrong", "check", "cause"),
    [
        ("embedding", "infinite", "answer", "The vector's length is nan"),
        ("embedding", "zero", "answer", "The vector's length is 0.0"),
        ("embedding", "uncounted", "usage_reported", "nothing could be billed"),
        ("rerank", "unordered", "answer", "not in the order of their scores"),
        ("rerank", "alike", "answer", "orders nothing"),
        ("classification", "more than all", "answer", "probabilities are [2.0, 0.2]"),
        ("speech-to-text", "silent", "answer", "is None and no text"),
        ("text-to-speech", "silent", "answer", "is silence"),
        ("text-to-speech", "html", "answer", "no WAV file"),
    ],
)
def test_an_answer_that_is_none_fails_with_what_came_back(
    task: str, wrong: str, check: str, cause: str, engine: FakeEngine
) -> None:
    engine.wrong = wrong
    failed = [each for each in checked(revision(engine, task)).values() if not each.passed]
    assert [each.name for each in failed] == [check]
    assert cause in failed[0].message


def test_an_engine_is_asked_by_its_own_names_for_the_deployment_and_each_adapter(engine: FakeEngine) -> None:
    own = {"chat": "chat-1a2b3c4d", "tone": "chat-1a2b3c4d_tone"}
    engine.names = set(own.values())
    results = checked(revision(engine, "embedding", own, ("tone",)))
    assert all(each.passed for each in results.values()), results
    assert [name for _, name in engine.asked] == list(own.values())
    assert results["model_listed"].evidence["engine_names"] == own
    assert set(results["answer"].evidence) == set(own)
    unknown = checked(revision(engine, "embedding", {"chat": "chat-1a2b3c4d"}, ("tone",)))
    assert not unknown["model_listed"].passed and not unknown["answer"].passed
    assert "tone" in unknown["model_listed"].message


def test_an_adapter_that_is_not_listed_counts_when_it_is_found_by_its_name(engine: FakeEngine) -> None:
    """Ray Serve LLM lists folders, and an adapter's commit is a folder below."""
    own = {"tone": f"chat:tone/{COMMIT}"}
    engine.names, engine.listed = {"chat", own["tone"]}, {"chat"}
    assert checked(revision(engine, "embedding", own, ("tone",)))["model_listed"].passed
    engine.names = {"chat"}
    gone = checked(revision(engine, "embedding", own, ("tone",)))["model_listed"]
    assert not gone.passed and own["tone"] in gone.message


def test_a_slow_answer_fails_the_bound(engine: FakeEngine) -> None:
    engine.delay_s = 0.05
    hurried = Validation(ttft_bound_ms=49, timeout_s=60)
    results = validation.validate(revision(engine, "embedding"), hurried)
    assert [each.name for each in results if not each.passed] == ["answer_under_bound"]
