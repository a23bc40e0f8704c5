"""Which of an engine's reports counts: each token once, whatever the engine says how often."""

import json

import pytest

from slipway.gateway.api.answers import Wants
from slipway.gateway.api.events import AnswerError
from slipway.gateway.api.stream import StreamEditor, edit_whole
from slipway.gateway.api.usage_count import UsageCount

USAGE_WANTED, ALL_WANTED = Wants(usage=True, timings=False), Wants(usage=True, timings=False, running=True)
NOTHING = Wants(usage=False, timings=False)
DONE = b"data: [DONE]\n\n"


def event(**chunk) -> bytes:
    return b"data: " + json.dumps({"model": "asked", **chunk}).encode() + b"\n\n"


def text(content="x", index=0, finish=None, **more) -> bytes:
    return event(choices=[{"index": index, "delta": {"content": content}, "finish_reason": finish}], **more)


def counted(prompt=None, output=None, cached=None, choices=(), **more) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": output}
    usage = {name: value for name, value in usage.items() if value is not None}
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return event(choices=list(choices), usage=usage, **more)


def passed_on(data: bytes, wants: Wants = NOTHING, **more) -> tuple[StreamEditor, list[dict]]:
    editor = StreamEditor("asked", wants, UsageCount(**more))
    out = editor.feed(data) + editor.end()
    return editor, [json.loads(each.removeprefix(b"data: ")) for each in out.split(b"\n\n") if each]


TEN = 10
RUNNING = b"".join(text() + counted(100, number + 1) for number in range(TEN))
STOP = text("", finish="stop")

STREAMS = {
    "running, without choices": (RUNNING + STOP + counted(100, TEN) + DONE, (100, 0, TEN)),
    "running, none at the end": (RUNNING + STOP + DONE, (100, 0, TEN)),
    "running, cut": (RUNNING, (100, 0, TEN)),
    "running, cut before the last was counted": (RUNNING + text(), (100, 0, TEN + 1)),
    "running, in chunks without the word choices": (
        b"".join(text() + event(usage={"prompt_tokens": 100, "completion_tokens": n + 1}) for n in range(TEN))
        + STOP
        + DONE,
        (100, 0, TEN),
    ),
    "running, behind the end of one of two answers": (
        text()
        + text(index=1)
        + text("", 0, "stop")
        + counted(9, 2)
        + text(index=1)
        + counted(9, 3)
        + text("", 1, "stop")
        + counted(9, 3)
        + DONE,
        (9, 0, 3),
    ),
    "the last twice": (text() + STOP + counted(100, 1) + counted(100, 1) + DONE, (100, 0, 1)),
    "the last twice, the end twice": (text() + (STOP + counted(100, 1)) * 2 + DONE, (100, 0, 1)),
    "the last in a chunk with choices, and again": (
        text("x", finish="stop", usage={"prompt_tokens": 100, "completion_tokens": 1})
        + counted(100, 1)
        + DONE,
        (100, 0, 1),
    ),
    "the last with details only": (
        b"".join(text(usage={"prompt_tokens": 1000, "completion_tokens": n + 1}) for n in range(TEN))
        + STOP
        + counted(cached=5)
        + DONE,
        (1000, 5, TEN),
    ),
    "the last with zeros": (RUNNING + STOP + counted(0, 0) + DONE, (100, 0, TEN)),
    "the last empty": (RUNNING + STOP + event(choices=[], usage={}) + DONE, (100, 0, TEN)),
    "the last null": (RUNNING + STOP + event(choices=[], usage=None) + DONE, (100, 0, TEN)),
    "the prompt first, the answer last": (
        counted(prompt=100) + text() + text() + STOP + counted(output=2) + DONE,
        (100, 0, 2),
    ),
    "more than one token in a chunk": (text("a b c") + STOP + counted(100, 3) + DONE, (100, 0, 3)),
    "more chunks than tokens": (text() * 5 + STOP + counted(100, 3) + DONE, (100, 0, 3)),
    "two answers, one report": (
        text() + text(index=1) + text("", 0, "stop") + text("", 1, "stop") + counted(9, 2) + DONE,
        (9, 0, 2),
    ),
}


@pytest.mark.parametrize(("stream", "totals"), STREAMS.values(), ids=STREAMS.keys())
def test_a_token_is_counted_once(stream, totals):
    editor, _ = passed_on(stream)
    assert editor.usage.totals() == totals


@pytest.mark.parametrize("name", [name for name in STREAMS if "cut" not in name])
def test_a_stream_that_was_counted_by_its_engine_says_so(name):
    assert passed_on(STREAMS[name][0])[0].usage.counted_by == "engine"


@pytest.mark.parametrize(
    "value", [True, False, "10", "1_0", 10.5, 10.0, -1, [10], {"n": 10}, 2**31, 2**63, 2**70, None]
)
@pytest.mark.parametrize("field", ["prompt", "output", "cached"])
def test_what_is_no_count_is_not_counted(value, field):
    good = {"prompt": 100, "output": 4, "cached": 3}
    editor, _ = passed_on(text() + STOP + counted(**{**good, field: value}) + DONE)
    without = {"prompt": (0, 0, 4), "output": (100, 3, 1), "cached": (100, 0, 4)}
    assert editor.usage.totals() == without[field]
    assert editor.usage.counted_by == ("engine" if field == "cached" else "bound")


@pytest.mark.parametrize("usage", [[], "5", 5, True, {"prompt_tokens_details": [1]}, {"prompt_tokens": {}}])
def test_usage_of_another_shape_is_none(usage):
    editor, _ = passed_on(text() + STOP + event(choices=[], usage=usage) + DONE)
    assert (editor.usage.totals(), editor.usage.counted_by) == ((0, 0, 1), "bound")


def test_an_answer_without_usage_is_counted_by_a_bound_and_says_so():
    streamed = passed_on(text() + text() + STOP + DONE)[0].usage
    streamed.bound(78, 0)
    assert (streamed.totals(), streamed.counted_by) == ((78, 0, 2), "bound")
    whole = edit_whole(
        b'{"choices": [{"message": {"role": "assistant", "content": "h\xc3\xa9"}}]}', "asked"
    ).usage
    assert whole.text_bytes == 3
    whole.bound(78, 3)
    assert (whole.totals(), whole.counted_by) == ((78, 0, 3), "bound")


@pytest.mark.parametrize(
    "body", [b'{"error": {"message": "m"}}', b'{"error": "m", "choices": []}', b'{"object": "error"}']
)
def test_an_error_in_one_piece_is_no_answer(body):
    with pytest.raises(AnswerError, match="an error with status 200"):
        edit_whole(body, "asked")


def test_zeros_beside_a_text_are_no_count():
    editor, _ = passed_on(text() + text() + STOP + counted(0, 0) + DONE)
    editor.usage.bound(78, 0)
    assert (editor.usage.totals(), editor.usage.counted_by) == ((78, 0, 2), "bound")


def test_nothing_done_is_counted_by_nothing():
    assert (UsageCount().totals(), UsageCount().counted_by) == ((0, 0, 0), "none")


def test_several_answers_to_several_prompts_share_their_prompts():
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    stream = b"".join(text("x", index, usage=usage) for index in range(4))
    editor, _ = passed_on(stream, several_prompts=True, per_prompt=2)
    assert editor.usage.totals() == (6, 0, 8)


def test_a_client_sees_running_counts_only_if_it_asked_for_them():
    stream = RUNNING + STOP + counted(100, TEN) + DONE
    seen = {
        wants: [
            chunk["usage"]["completion_tokens"] for chunk in passed_on(stream, wants)[1] if "usage" in chunk
        ]
        for wants in (NOTHING, USAGE_WANTED, ALL_WANTED)
    }
    assert seen == {NOTHING: [], USAGE_WANTED: [TEN], ALL_WANTED: [*range(1, TEN + 1), TEN]}
    in_choices = text(usage={"prompt_tokens": 9, "completion_tokens": 1}) + STOP + counted(9, 1) + DONE
    shown = [["usage" in chunk for chunk in passed_on(in_choices, w)[1]] for w in seen]
    assert shown == [[False, False], [False, False, True], [True, False, True]]


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        (None, NOTHING),
        ({"include_usage": True}, USAGE_WANTED),
        ({"include_usage": True, "continuous_usage_stats": True}, ALL_WANTED),
        ({"include_usage": True, "continuous_usage_stats": False}, USAGE_WANTED),
        ({"continuous_usage_stats": True}, NOTHING),
        ({"include_usage": 1}, NOTHING),
        ([], NOTHING),
    ],
)
def test_what_a_client_wants_is_read_from_its_body(options, wants):
    assert Wants.of({"stream_options": options}) == wants
