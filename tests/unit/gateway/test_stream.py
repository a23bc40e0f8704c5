import orjson
import pytest

from slipway.gateway.api.answers import Wants
from slipway.gateway.api.events import EventSplitter
from slipway.gateway.api.stream import StreamEditor, edit_whole
from slipway.gateway.api.usage_count import UsageCount

USAGE = {"prompt_tokens": 32, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 31}}
NOTHING, USAGE_WANTED = Wants(usage=False, timings=False), Wants(usage=True, timings=False)


def event(**chunk) -> bytes:
    return b"data: " + orjson.dumps({"model": "engine's", **chunk}) + b"\n\n"


def delta(content, index=0, finish=None, **more) -> bytes:
    return event(choices=[{"index": index, "delta": {"content": content}, "finish_reason": finish}], **more)


def text(content, finish=None, **more) -> bytes:
    return event(choices=[{"index": 0, "text": content, "finish_reason": finish}], **more)


DONE = b"data: [DONE]\n\n"
LAST = event(choices=[], usage=USAGE) + DONE
# As llama.cpp sends them.
CHAT = delta(None) + delta("I") + delta("'m") + delta("", finish="length") + LAST
COMPLETION = text(" city") + text(" of") + text("", finish="length", usage=USAGE) + DONE
# As vLLM sends them with continuous_usage_stats.
CONTINUOUS = (
    delta("I", usage={"prompt_tokens": 32, "completion_tokens": 1})
    + delta("'m", finish="length", usage={"prompt_tokens": 32, "completion_tokens": 2})
    + LAST
)


def passed_on(data: bytes, wants: Wants = NOTHING, piece: int = 10**9, **more) -> tuple[StreamEditor, bytes]:
    """What an engine's bytes become for the client, when they come in pieces of that size."""
    editor = StreamEditor("asked", wants, UsageCount(**more))
    out = b"".join(editor.feed(data[start : start + piece]) for start in range(0, len(data), piece))
    return editor, out + editor.end()


def run(data: bytes, wants: Wants = NOTHING, piece: int = 10**9, **more) -> tuple[StreamEditor, list[dict]]:
    editor, out = passed_on(data, wants, piece, **more)
    return editor, [orjson.loads(each.removeprefix(b"data: ")) for each in out.split(b"\n\n") if each]


@pytest.mark.parametrize("piece", [1, 2, 7, 100, 10**9])
@pytest.mark.parametrize("stream", [CHAT, COMPLETION, CONTINUOUS], ids=["chat", "completion", "continuous"])
def test_usage_is_counted_and_hidden_from_a_client_that_did_not_ask_however_bytes_are_cut(stream, piece):
    editor, chunks = run(stream, piece=piece)
    assert editor.usage.totals() == (32, 31, 2)
    assert editor.done
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)
    assert {chunk["model"] for chunk in chunks} == {"asked"}


@pytest.mark.parametrize("stream", [CHAT, COMPLETION, CONTINUOUS], ids=["chat", "completion", "continuous"])
def test_a_client_that_asked_sees_the_usage_last(stream):
    _, chunks = run(stream, USAGE_WANTED)
    assert chunks[-1]["usage"] == USAGE
    assert not any("usage" in chunk for chunk in chunks[:-2])


def test_what_is_not_about_model_and_usage_passes_as_it_is():
    odd = {
        "choices": [{"index": 0, "delta": {"content": "ü\u2028", "x": 1.5}, "finish_reason": None}],
        "new": [None],
    }
    _, chunks = run(b"data: " + orjson.dumps(odd) + b"\n\n")
    assert chunks == [odd]


def test_an_engine_that_calls_the_model_as_the_client_does_is_passed_on_byte_by_byte():
    """Spaces and the order of fields are the engine's: nothing is written anew."""
    said = b'data:  {"model": "asked", "choices": [{"index":0,  "delta": {"content": "I"}}], "x" : 1.50}\n\n'
    assert StreamEditor("asked", NOTHING).feed(said) == said
    counted = (
        b'data: {"model": "asked",  "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n\n'
    )
    assert StreamEditor("asked", USAGE_WANTED).feed(counted + DONE) == counted
    whole = b'{ "model": "asked", "choices": [] }'
    assert edit_whole(whole, "asked").body is whole
    assert edit_whole(b'{ "choices": [] }', "asked").body == b'{ "choices": [] }'


def test_comments_named_events_and_lines_that_are_no_json_pass_through():
    for odd in (b": ping\n\n", b"event: x\ndata: {}\n\n", b"data: not json\n\n", b"data: [1]\n\n"):
        assert StreamEditor("asked", NOTHING).feed(odd) == odd


def test_carriage_returns_are_understood_even_when_cut_in_two():
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\r\n\r") == [b"data: 1"]
    assert splitter.feed(b"\ndata: 2\r\n\r\n") == [b"data: 2"]


@pytest.mark.parametrize(
    ("chunk", "carries_text"),
    [
        (delta(None), False),
        (delta(""), False),
        (delta("x"), True),
        (event(choices=[{"index": 0, "delta": {"role": "assistant"}}]), False),
        (event(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}]), True),
        (event(choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}]), True),
        (text(""), False),
        (text("x"), True),
        (event(choices=[], usage=USAGE), False),
    ],
)
def test_only_text_makes_a_first_token(chunk, carries_text):
    editor = StreamEditor("asked", NOTHING)
    editor.feed(chunk)
    assert editor.tokens is carries_text


def test_a_stream_cut_short_counts_what_was_streamed():
    editor, _ = run(delta("a") + delta("b") + delta("c"))
    assert editor.usage.totals() == (0, 0, 3)


def test_a_stream_cut_short_has_the_engines_own_count_where_it_sends_one():
    editor, _ = run(delta("a", usage={"prompt_tokens": 9, "completion_tokens": 4}))
    assert editor.usage.totals() == (9, 0, 4)
    timings = {"cache_n": 31, "prompt_n": 1, "predicted_n": 3}
    editor, chunks = run(delta("a", timings=timings))
    assert editor.usage.totals() == (32, 31, 3)
    assert "timings" not in chunks[0]


def test_several_answers_share_their_prompt_and_add_up():
    one = {"prompt_tokens": 32, "completion_tokens": 2}
    counted = event(choices=[], usage=one)
    llama = delta("a", 0, "stop") + counted + delta("b", 1) + delta("", 1, "stop") + counted + DONE
    assert run(llama)[0].usage.totals() == (32, 0, 4)


def test_several_prompts_add_up():
    stream = b"".join(
        event(choices=[{"index": index, "text": "", "finish_reason": "stop"}], usage=usage)
        for index, usage in enumerate([{"prompt_tokens": 3, "completion_tokens": 2}] * 2)
    )
    assert run(stream, several_prompts=True)[0].usage.totals() == (6, 0, 4)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}},
        {"prompt_tokens": 3, "completion_tokens": -1},
    ],
)
def test_counts_that_cannot_be_are_brought_to_what_can(usage):
    prompt, cached, output = run(event(choices=[], usage=usage))[0].usage.totals()
    assert 0 <= cached <= prompt
    assert output >= 0


def test_an_error_of_the_engine_within_the_stream_is_noticed_and_passed_on():
    editor, chunks = run(event(error={"type": "oops", "message": "m"}))
    assert editor.error == "oops"
    assert chunks[0]["error"]["message"] == "m"


def test_an_answer_in_one_piece_keeps_its_usage_and_gets_the_name_that_was_asked_for():
    whole = edit_whole(orjson.dumps({"model": "engine's", "usage": USAGE, "choices": [1]}), "asked")
    body, usage = whole.body, whole.usage
    assert orjson.loads(body) == {"model": "asked", "usage": USAGE, "choices": [1]}
    assert usage.totals() == (32, 31, 2)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"a":'])
def test_an_answer_that_is_no_object_is_none(body):
    assert edit_whole(body, "asked") is None
