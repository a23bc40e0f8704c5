"""Rollouts on a real Ray with a real engine: what serves, what is refused, and what is left alone."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
import urllib3

from slipway.control import rollout
from slipway.dataplane.errors import ConfigRefusedError, DataPlaneUnreachableError, RolloutFailedError
from slipway.dataplane.ray.ray_serve import RayServe
from slipway.dataplane.ray.serve_api import ServeApi
from slipway.dataplane.validation import validation
from slipway.records.revisions import Applied, Revision, RevisionStore
from slipway.runtimes.ray import serve_config

from .conftest import TOKEN, RunLog, resolved

CHAT = resolved("chat", adapters=("formal",))
QUESTION: dict[str, Any] = {"prompt": "The capital of France is", "max_tokens": 12, "temperature": 0}
# Loads the model, then dies: a quantized V cache needs flash attention.
DIES_AT_START = ("--ctx-size=1024", "--cache-type-v=q4_0", "--flash-attn=off")


@pytest.fixture(scope="module")
def chat(plane: RayServe, revisions: RevisionStore) -> Revision:
    """A blue-green revision with an adapter, serving and validated."""
    revision = rollout.roll_out(plane, revisions, CHAT, RunLog())
    results = validation.validate(revision, CHAT.deployment.rollout.validation)
    return rollout.record_validation(plane, revisions, revision, results, RunLog())


@pytest.fixture
def client(chat: Revision) -> openai.OpenAI:
    return openai.OpenAI(base_url=chat.upstream, api_key="unused", max_retries=0, timeout=60)


def names(plane: RayServe, deployment: str) -> set[str]:
    return {each.name for each in plane.status(deployment)}


def test_a_served_revision_passes_every_check_with_evidence(chat: Revision) -> None:
    assert chat.state == "validated"
    evidence = {each["name"]: each for each in chat.evidence}
    assert tuple(evidence) == validation.CHECKS
    assert all(each["passed"] for each in evidence.values())
    assert "Paris" in evidence["completion"]["evidence"]["text"]
    adapters = evidence["adapters_answer"]["evidence"]
    assert adapters["base_before"] == adapters["base_after"]
    assert adapters["answers"]["formal"] != adapters["base_before"]


def test_a_first_token_later_than_the_bound_fails_validation(chat: Revision) -> None:
    settings = CHAT.deployment.rollout.validation.model_copy(update={"ttft_bound_ms": 1})
    failed = {each.name: each for each in validation.validate(chat, settings) if not each.passed}
    assert set(failed) == {"ttft_under_bound"}
    assert failed["ttft_under_bound"].evidence["bound_ms"] == 1


def test_validation_of_an_upstream_that_is_gone_fails_and_does_not_raise(
    chat: Revision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "_CONNECTED_S", 1.0)  # two minutes in use
    gone = Revision(**{**chat.__dict__, "upstream": "http://127.0.0.1:9/v1"})
    results = validation.validate(gone, CHAT.deployment.rollout.validation)
    assert [each.name for each in results if each.name != "adapters_answer" and each.passed] == []


def test_an_adapter_answers_under_its_name_and_leaves_no_trace_in_the_base(client: openai.OpenAI) -> None:
    before = client.completions.create(model="chat", **QUESTION)
    adapted = client.completions.create(model="formal", **QUESTION)
    after = client.completions.create(model="chat", **QUESTION)
    assert before.choices[0].text == after.choices[0].text != adapted.choices[0].text
    assert (before.model, adapted.model) == ("chat", "formal")


def test_a_client_cannot_apply_an_adapter_by_itself(client: openai.OpenAI) -> None:
    base = client.completions.create(model="chat", **QUESTION).choices[0].text
    stolen = {"lora": [{"id": 0, "scale": 1.0}], "cache_prompt": True}
    tried = client.completions.create(model="chat", extra_body=stolen, **QUESTION)
    assert tried.choices[0].text == base


def test_streams_name_the_model_that_was_asked_for_and_report_usage(client: openai.OpenAI) -> None:
    question: list[Any] = [{"role": "user", "content": "Count to five."}]
    chunks = list(
        client.chat.completions.create(
            model="formal",
            messages=question,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert {chunk.model for chunk in chunks} == {"formal"}
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.completion_tokens <= 8
    assert chunks[-1].usage.prompt_tokens_details is not None


def test_a_model_that_is_not_served_is_404_and_a_bad_body_400(client: openai.OpenAI, chat: Revision) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="other", **QUESTION)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="chat", messages="hello")  # type: ignore[arg-type]
    for path in ("/v1/lora-adapters", "/slots", "/props"):
        url = chat.upstream.removesuffix("/v1") + path
        assert urllib3.request("GET", url).status == 404


def test_hanging_up_frees_the_engine(client: openai.OpenAI) -> None:
    """Two slots, both at a story of 450 tokens; a third request would wait for one of them to end."""
    began = time.monotonic()
    client.completions.create(model="chat", **QUESTION)
    alone_s = time.monotonic() - began
    for _ in range(2):
        stream = client.completions.create(
            model="chat",
            prompt="Write a very long story.",
            max_tokens=450,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        next(iter(stream))
        stream.close()
    began = time.monotonic()
    client.completions.create(model="chat", **QUESTION)
    assert time.monotonic() - began < 10 * alone_s  # a story takes as long as 37 questions, and both 75


def test_rolling_out_what_serves_changes_nothing(
    chat: Revision, plane: RayServe, revisions: RevisionStore, ray: ServeApi
) -> None:
    deployed = ray.read()["applications"][chat.application]["last_deployed_time_s"]
    again = rollout.roll_out(plane, revisions, CHAT, RunLog())
    assert again == chat
    assert ray.read()["applications"][chat.application]["last_deployed_time_s"] == deployed


def test_an_engine_argument_that_is_unknown_fails_with_its_name_and_the_old_one_still_answers(
    chat: Revision, plane: RayServe, revisions: RevisionStore, client: openai.OpenAI, run_log: RunLog
) -> None:
    bad = resolved("chat", adapters=("formal",), args=("--ctx-sise=1024",))
    with pytest.raises(RolloutFailedError) as failed:
        rollout.roll_out(plane, revisions, bad, run_log)
    assert "--ctx-sise=1024: unknown" in str(failed.value)
    assert f"The last good revision {chat.spec_digest[:8]} still serves." in str(failed.value)
    assert names(plane, "chat") == {chat.application}
    record = revisions.get("chat", bad.spec_digest)
    assert record is not None and record.state == "failed" and "--ctx-sise" in (record.cause or "")
    assert client.completions.create(model="chat", **QUESTION).choices[0].text
    assert run_log.lines[0].application == bad.revision_name


def test_a_configuration_that_ray_refuses_is_reported_and_changes_nothing(
    chat: Revision, plane: RayServe, ray: ServeApi
) -> None:
    before = serve_config.declared(ray.read())
    rendered = plane.render(resolved("never")).rendered
    refused = {**rendered, "deployments": [{**rendered["deployments"][0], "num_replicas": -1}]}
    with pytest.raises(ConfigRefusedError, match="num_replicas"):
        plane.apply(Applied("never", "never", "0" * 64, refused))
    assert serve_config.declared(ray.read()) == before


def test_a_wrong_token_is_named_with_its_remedy(ray: ServeApi) -> None:
    with pytest.raises(DataPlaneUnreachableError, match="SLIPWAY_RAY_TOKEN"):
        ServeApi(ray.dashboard_url, ray.serve_url, TOKEN + "x").read()


def test_a_replica_that_finds_no_room_fails_at_the_deadline_and_is_removed(
    chat: Revision, plane: RayServe, revisions: RevisionStore
) -> None:
    greedy = resolved("greedy", resources={"requests": {"cpu": 64}}, rollout={"deadline_s": 6})
    with pytest.raises(RolloutFailedError, match="not within 6 s") as failed:
        rollout.roll_out(plane, revisions, greedy, RunLog())
    assert "nothing serves" in str(failed.value)
    assert names(plane, "greedy") == set()


def test_in_place_an_engine_that_dies_at_start_brings_the_last_good_revision_back(
    plane: RayServe, revisions: RevisionStore, run_log: RunLog
) -> None:
    good = resolved("inplace", rollout={"strategy": "in-place"})
    revision = rollout.roll_out(plane, revisions, good, run_log)
    rollout.record_validation(plane, revisions, revision, [], run_log)
    with pytest.raises(RolloutFailedError) as failed:
        rollout.roll_out(
            plane,
            revisions,
            resolved("inplace", args=DIES_AT_START, rollout={"strategy": "in-place"}),
            run_log,
        )
    assert "quantized V cache requires flash_attn" in str(failed.value)
    assert f"{revision.spec_digest[:8]} was applied again and serves" in str(failed.value)
    assert [each.spec_digest for each in plane.status("inplace")] == [good.spec_digest]
    with openai.OpenAI(base_url=revision.upstream, api_key="unused") as client:
        assert client.completions.create(model="inplace", **QUESTION).choices[0].text
    rollout.delete(plane, revisions, "inplace", run_log)
    assert names(plane, "inplace") == set()
    assert revisions.all("inplace") == []


def test_a_new_revision_comes_up_beside_the_old_one_which_is_then_retired(
    chat: Revision, plane: RayServe, revisions: RevisionStore, client: openai.OpenAI, run_log: RunLog
) -> None:
    newer = resolved("chat", adapters=("formal",), args=("--ctx-size=512",))
    revision = rollout.roll_out(plane, revisions, newer, run_log)
    assert names(plane, "chat") == {chat.application, revision.application}
    for upstream in (chat.upstream, revision.upstream):
        with openai.OpenAI(base_url=upstream, api_key="unused") as each:
            assert each.completions.create(model="chat", **QUESTION).choices[0].text
    rollout.retire(plane, revisions, "chat", frozenset({revision.spec_digest}), lambda: 0, 10, run_log)
    assert names(plane, "chat") == {revision.application}
    assert {each.spec_digest for each in revisions.all("chat")} >= {chat.spec_digest, revision.spec_digest}
    rollout.delete(plane, revisions, "chat", run_log)
    assert names(plane, "chat") == set()


def test_concurrent_writers_keep_each_others_applications(plane: RayServe, ray: ServeApi) -> None:
    """Writers with a lock of their own each; what they write need not run to be in the configuration.

    The last test: Serve goes on trying to build what cannot be imported, which takes both cores for a while.
    """
    theirs = [f"theirs-{n}" for n in range(4)]
    before = set(serve_config.declared(ray.read()))

    def write(name: str) -> None:
        rendered = {"name": name, "route_prefix": f"/{name}", "import_path": "nobodys.module:app"}
        RayServe(ServeApi(ray.dashboard_url, ray.serve_url, TOKEN)).apply(Applied(name, name, "", rendered))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, theirs))
    assert set(serve_config.declared(ray.read())) == before | set(theirs)
    plane.delete(frozenset(theirs), RunLog())
    assert set(serve_config.declared(ray.read())) == before
