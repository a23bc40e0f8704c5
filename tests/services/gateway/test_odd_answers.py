"""Answers of engines that do not run here, or go wrong: what SDKs make of them, and what is counted."""

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest

from testbed.engines.canned_engine import CannedEngine

HI = [{"role": "user", "content": "Hi"}]
STREAM, JSON = "text/event-stream", "application/json"
TOOL = {"name": "weather", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[CannedEngine]:
    with CannedEngine() as engine:
        yield engine


@pytest.fixture
def canned(shared_engine, gateway, route) -> CannedEngine:
    """An engine that calls each model `org/engine's`; there is one model per task, of the task's name."""
    shared_engine.answers.clear()
    shared_engine.requests.clear()
    shared_engine.piece_bytes = 2**20
    gateway.route(
        *(
            route(task, shared_engine.url, upstream_model="org/engine's", task=task)
            for task in ("text-generation", "embedding", "rerank", "classification")
        )
    )
    return shared_engine


@pytest.fixture
def gpt(gateway) -> openai.OpenAI:
    return gateway.client("acme")


@pytest.fixture
def claude(gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=gateway.secrets["acme"], base_url=gateway.url, max_retries=0)


def events(*chunks: dict) -> bytes:
    return b"".join(f"event: {chunk['type']}\ndata: {json.dumps(chunk)}\n\n".encode() for chunk in chunks)


def message_start(**usage) -> dict:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "org/engine's",
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 0, **usage},
    }  # fmt: skip
    return {"type": "message_start", "message": message}


TOOL_USE = (
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "t_1", "name": "weather", "input": {}},
    },
    *(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": part},
        }
        for part in ("", '{"city": ', '"Köln"}')
    ),
    {"type": "content_block_stop", "index": 0},
)
MESSAGE_END = (
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
)
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("piece_bytes", [1, 2**20])
def test_tools_of_messages_survive_however_bytes_are_cut_and_cached_tokens_are_input(
    gateway, canned, claude, piece_bytes
):
    start = message_start(cache_read_input_tokens=4, cache_creation_input_tokens=2)
    raw = b": ping\n\n" + events(start, {"type": "ping"}, *TOOL_USE, *MESSAGE_END) + DONE
    canned.answers["/v1/messages"] = 200, STREAM, raw
    canned.piece_bytes = piece_bytes
    asked = {"model": "text-generation", "messages": HI, "max_tokens": 50, "tools": [TOOL]}
    with claude.messages.stream(**asked, system="Be brief.", extra_body={"unknown": [1]}) as stream:
        message = stream.get_final_message()
    assert (message.model, message.stop_reason) == ("text-generation", "tool_use")
    assert message.content[0].input == {"city": "Köln"}
    assert canned.requests[-1][1]["unknown"] == [1]
    (event,) = gateway.events()
    told = event["input_tokens"], event["cached_tokens"], event["output_tokens"], event["counted_by"]
    assert told == (15, 4, 5, "engine")
    assert event["ttft_us"] > 0


RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "org/engine's", "output": [],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "in_progress",
}  # fmt: skip
CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "c_1", "name": "weather", "status": "completed",
    "arguments": '{"city": "Köln"}',
}  # fmt: skip
USAGE = {
    "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5, "total_tokens": 14,
    "output_tokens_details": {"reasoning_tokens": 1},
}  # fmt: skip
RESPONDING = (
    {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
    *(
        {
            "type": "response.function_call_arguments.delta",
            "sequence_number": number,
            "item_id": "fc_1",
            "output_index": 0,
            "delta": part,
        }
        for number, part in enumerate(("", '{"city": ', '"Köln"}'), start=1)
    ),
)


def ended(kind: str, **more) -> dict:
    response = {**RESPONSE, "status": kind, "output": [CALL], "usage": USAGE, **more}
    return {"type": f"response.{kind}", "sequence_number": 9, "response": response}


@pytest.mark.parametrize("piece_bytes", [9, 2**20])
def test_tools_of_responses_survive_however_bytes_are_cut(gateway, canned, gpt, piece_bytes):
    canned.answers["/v1/responses"] = 200, STREAM, events(*RESPONDING, ended("completed"))
    canned.piece_bytes = piece_bytes
    asked = {"model": "text-generation", "input": "Hi", "store": True, "extra_body": {"unknown": [1]}}
    said = list(gpt.responses.create(**asked, stream=True))
    assert {event.response.model for event in said if hasattr(event, "response")} == {"text-generation"}
    assert said[-1].response.output[0].arguments == '{"city": "Köln"}'
    assert (canned.requests[-1][1]["store"], canned.requests[-1][1]["unknown"]) == (False, [1])
    (event,) = gateway.events()
    told = event["input_tokens"], event["cached_tokens"], event["output_tokens"], event["counted_by"]
    assert told == (9, 4, 5, "engine")


ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "no room"}}


@pytest.mark.parametrize(
    "end",
    [
        events(ERROR),
        b'data: {"error": {"message": "no room", "type": "overloaded_error", "code": 500}}\n\n',
        b"",  # it breaks off
    ],
    ids=["named", "unnamed", "broken-off"],
)
def test_an_error_within_a_stream_is_raised_by_both_sdks_and_recorded(gateway, canned, gpt, claude, end):
    canned.answers["/v1/messages"] = 200, STREAM, events(message_start(), *TOOL_USE) + end
    canned.answers["/v1/responses"] = 200, STREAM, events(*RESPONDING) + end
    with (
        pytest.raises(anthropic.APIError, match=r"no room|cannot be reached"),
        claude.messages.stream(model="text-generation", messages=HI, max_tokens=5) as stream,
    ):
        stream.get_final_message()
    with pytest.raises(openai.APIError, match=r"no room|cannot be reached"):
        list(gpt.responses.create(model="text-generation", input="Hi", stream=True))
    expected = "overloaded_error" if end else "upstream_unreachable"
    recorded = [
        (event["status"], event["error_type"], event["output_tokens"] > 0) for event in gateway.events()
    ]
    assert recorded == [("server_error", expected, True)] * 2


def test_a_response_that_failed_or_was_cut_short_says_so_and_is_recorded(gateway, canned, gpt):
    failed = ended("failed", error={"code": "server_error", "message": "m"})
    for last in (failed, ended("incomplete", incomplete_details={"reason": "max_output_tokens"})):
        canned.answers["/v1/responses"] = 200, STREAM, events(*RESPONDING, last)
        said = list(gpt.responses.create(model="text-generation", input="Hi", stream=True))
        assert (said[-1].type, said[-1].response.model) == (last["type"], "text-generation")
    recorded = gateway.events()
    assert [event["status"] for event in recorded] == ["server_error", "success"]
    assert recorded[1]["output_tokens"] == 5


def test_embeddings_pass_as_the_sdk_asks_for_them(gateway, canned, gpt):
    canned.answers["/v1/embeddings"] = (
        200,
        JSON,
        json.dumps(
            {
                "object": "list",
                "model": "org/engine's",
                "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            }
        ).encode(),
    )
    answer = gpt.embeddings.create(model="embedding", input=["Hi", "there"])
    assert (answer.model, answer.data[0].embedding) == ("embedding", [1.0, 2.0])
    assert canned.requests[-1][1]["encoding_format"] == "base64"
    gpt.embeddings.create(model="embedding", input=[[1, 2], [3]], encoding_format="float")
    assert [(event["input_tokens"], event["output_tokens"]) for event in gateway.events()] == [(3, 0)] * 2


def asked_of(gateway, path: str, body: dict) -> tuple[int, dict]:
    status, _, raw = gateway.raw(path, body, secret=gateway.secrets["acme"])
    return status, json.loads(raw)


RANKED = {"results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "a"}}], "more": 1}
TWO_OF_THREE = {"model": "rerank", "query": "q", "documents": ["a", {"text": "b"}, "c"], "top_n": 2}


@pytest.mark.parametrize(
    ("path", "more", "expected"),
    [
        ("/v1/rerank", {"usage": {"prompt_tokens": 7, "total_tokens": 7}}, (7, 3, 1, "engine")),
        ("/rerank", {"usage": {"total_tokens": 7}}, (7, 3, 1, "engine")),
        (
            "/v2/rerank",
            {"meta": {"billed_units": {"search_units": 2}, "tokens": {"input_tokens": 8}}},
            (8, 3, 2, "engine"),
        ),
        ("/v1/rerank", {}, (None, 3, 1, "bound")),
    ],
)
def test_reranking_is_counted_in_documents_searches_and_tokens(gateway, canned, path, more, expected):
    canned.answers["/v1/rerank"] = 200, JSON, json.dumps({"model": "org/engine's", **RANKED, **more}).encode()
    status, answer = asked_of(gateway, path, TWO_OF_THREE)
    assert (status, answer) == (200, {"model": "rerank", **RANKED, **more})
    (event,) = gateway.events()
    tokens = event["input_tokens"] if expected[0] is not None else None
    assert (tokens, event["documents"], event["searches"], event["counted_by"]) == expected


@pytest.mark.parametrize(
    ("path", "body", "at_engine", "units"),
    [
        ("/score", {"model": "rerank", "text_1": "a", "text_2": ["b", "c"]}, "/v1/score", (2, 1)),
        (
            "/v1/score",
            {"model": "rerank", "queries": ["a", "b"], "documents": ["c", "d"]},
            "/v1/score",
            (2, 2),
        ),
        ("/v1/classify", {"model": "classification", "input": ["a", "b"]}, "/classify", (0, 0)),
    ],
)
def test_scores_and_classes_are_asked_of_the_engine_at_its_own_path(
    gateway, canned, path, body, at_engine, units
):
    answer = {"data": [], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    canned.answers[at_engine] = 200, JSON, json.dumps(answer).encode()
    assert asked_of(gateway, path, body) == (200, answer)
    (event,) = gateway.events()
    assert (event["input_tokens"], event.get("documents", 0), event.get("searches", 0)) == (4, *units)


def test_a_path_that_the_engine_lacks_is_the_clients_error_and_an_unknown_model_is_not(gateway, canned):
    status, answer = asked_of(gateway, "/score", {"model": "rerank", "text_1": "a", "text_2": "b"})
    assert (status, answer["error"]["code"]) == (400, "unsupported_operation")
    canned.answers["/v1/score"] = 404, JSON, b'{"error": {"message": "The model `org/engine\'s` is unknown"}}'
    status, answer = asked_of(gateway, "/score", {"model": "rerank", "text_1": "a", "text_2": "b"})
    assert (status, answer["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("raw", [b"", b"null", b"<html>", b'{"error": {"message": "m"}}'])
def test_garbage_with_status_200_is_an_error_of_each_api(gateway, canned, raw):
    for path, body in (
        ("/v1/responses", {"model": "text-generation", "input": "Hi"}),
        ("/v1/messages", {"model": "text-generation", "messages": HI, "max_tokens": 5}),
        ("/v1/embeddings", {"model": "embedding", "input": "Hi"}),
        ("/v1/rerank", TWO_OF_THREE),
        ("/tokenize", {"model": "rerank", "prompt": "x"}),
    ):
        canned.answers[path] = 200, JSON, raw
        status, answer = asked_of(gateway, path, body)
        assert (status, answer["error"]["type"]) == (
            502,
            "api_error" if "messages" in path else "server_error",
        )
    recorded = gateway.events()
    assert [(event["status"], event["input_tokens"]) for event in recorded] == [("server_error", 0)] * 5
    assert not any("documents" in event for event in recorded)


ALL_PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens",
    "/v1/embeddings", "/v1/rerank", "/rerank", "/v2/rerank", "/v1/score", "/score", "/classify",
    "/v1/classify",
    "/tokenize", "/v1/tokenize", "/detokenize", "/v1/detokenize",
)  # fmt: skip


@pytest.mark.parametrize("path", ALL_PATHS)
def test_a_model_that_is_not_shared_looks_like_none_on_every_path(gateway, canned, route, path):
    gateway.route(route("hidden", canned.url, sharing="none"))
    body = {
        "messages": HI, "max_tokens": 5, "prompt": "x", "query": "q", "documents": ["d"], "tokens": [1],
        **({"text_1": "a", "text_2": "b", "documents": None} if "score" in path else {}),
    }  # fmt: skip
    if path in {"/v1/responses", "/v1/embeddings", "/classify", "/v1/classify"}:
        body = {"input": "x"}
    answers = []
    for name in ("hidden", "absent"):
        status, headers, raw = gateway.raw(path, {"model": name, **body}, secret=gateway.secrets["acme"])
        request_id = headers["x-request-id"]
        shown = raw.replace(name.encode(), b"NAME").replace(request_id.encode(), b"ID")
        varying = {"x-request-id", "date", "content-length"}
        kept = {key: value for key, value in headers.items() if key.lower() not in varying}
        answers.append((status, shown, kept, len(raw)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert canned.requests == []
