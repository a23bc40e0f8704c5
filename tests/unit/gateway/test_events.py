"""Events as the standard has them, however engines frame what they say, and however the bytes are cut."""

import random

import orjson
import pytest

from slipway.gateway.api.answers import Wants
from slipway.gateway.api.events import MAX_EVENT_BYTES, AnswerError, EventSplitter
from slipway.gateway.api.stream import StreamEditor

USAGE = {"prompt_tokens": 1000, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 7}}
NOTHING, USAGE_WANTED = Wants(usage=False, timings=False), Wants(usage=True, timings=False)


def said(**chunk) -> bytes:
    return orjson.dumps({"model": "engine's", **chunk})


FIRST = said(choices=[{"index": 0, "delta": {"content": "I"}}])
ENDS = said(choices=[{"index": 0, "delta": {"content": "'m"}, "finish_reason": "stop"}])
COUNT = said(choices=[], usage=USAGE)

FRAMINGS = {
    "a comment first": b": ping\ndata: %s\n\n",
    "a comment without a space": b":ping\ndata: %s\n\n",
    "a comment last": b"data: %s\n: ping\n\n",
    "a named event": b"event: message\ndata: %s\n\n",
    "a name last": b"data: %s\nevent: message\n\n",
    "an id": b"id: 5\ndata: %s\n\n",
    "retry": b"retry: 100\ndata: %s\n\n",
    "an unknown field": b"x\ndata: %s\n\n",
    "no space": b"data:%s\n\n",
    "two spaces": b"data:  %s\n\n",
    "CRLF": b"data: %s\r\n\r\n",
    "CR": b"data: %s\r\r",
    "CRLF and a comment": b": ping\r\ndata: %s\r\n\r\n",
    "line ends of all kinds": b": ping\r\nevent: a\rdata: %s\n\r\n",
    "empty lines before": b"\n\n\ndata: %s\n\n",
    "three empty lines behind": b"data: %s\n\n\n\n",
    "a comment as an event before": b": ping\n\ndata: %s\n\n",
}


def stream(framing: bytes, *, last_without_its_empty_line: bool = False) -> bytes:
    written = b"".join(framing % each for each in (FIRST, ENDS, COUNT, b"[DONE]"))
    return written.rstrip(b"\r\n") if last_without_its_empty_line else written


def passed_on(data: bytes, wants: Wants = NOTHING, piece: int = 10**9) -> tuple[StreamEditor, bytes]:
    editor = StreamEditor("asked", wants)
    out = [editor.feed(data[start : start + piece]) for start in range(0, len(data), piece)]
    return editor, b"".join(out) + editor.end()


def data_of(out: bytes) -> list[dict]:
    lines = [line for line in out.split(b"\n") if line.startswith(b"data:")]
    return [orjson.loads(line[5:]) for line in lines]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 10**9])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "last event without its empty line"])
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS.keys())
def test_an_event_is_counted_and_named_however_it_is_framed(framing, cut, piece):
    editor, out = passed_on(stream(framing, last_without_its_empty_line=cut), piece=piece)
    assert editor.usage.totals() == (1000, 7, 2)
    assert (editor.done, editor.finished, editor.error) == (True, True, None)
    chunks = data_of(out)
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["I", "'m"]
    assert b"engine's" not in out and b"usage" not in out


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS.keys())
def test_a_client_that_asked_for_usage_sees_it_once_and_last_however_it_is_framed(framing):
    _, out = passed_on(stream(framing), USAGE_WANTED)
    assert [chunk.get("usage") for chunk in data_of(out)] == [None, None, USAGE]


def test_data_of_several_lines_is_one_document():
    two = b'data: {"model": "engine\'s",\ndata:  "choices": [{"index": 0, "text": "x"}]}\n\n'
    editor, out = passed_on(two)
    assert data_of(out) == [{"model": "asked", "choices": [{"index": 0, "text": "x"}]}]
    assert editor.usage.totals() == (0, 0, 1)


def test_the_fields_of_an_event_that_is_changed_stay():
    _, out = passed_on(b": ping\nevent: chunk\nid: 7\ndata: " + FIRST + b"\n\n")
    assert out.startswith(b": ping\nevent: chunk\nid: 7\ndata: {") and out.endswith(b"}\n\n")


def test_a_byte_order_mark_at_the_beginning_is_left_out_even_if_it_is_cut():
    for piece in (1, 2, 3, 100):
        editor, out = passed_on(b"\xef\xbb\xbfdata: " + FIRST + b"\n\n", piece=piece)
        assert (out.count(b"asked"), editor.usage.totals()) == (1, (0, 0, 1))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b'event: error\ndata: {"message": "out of memory"}\n\n', "upstream_error"),
        (b'event: error\ndata: {"error": {"type": "oom", "message": "m"}}\n\n', "oom"),
        (b"event: error\ndata: out of memory\n\n", "upstream_error"),
        (b"event: error\n\n", "upstream_error"),
        (b'data: {"error": "out of memory"}\n\n', "upstream_error"),
        (b'data: {"error": {"message": "m"}}\n\n', "upstream_error"),
        (b'data: {"error": {"type": 5}}\n\n', "upstream_error"),
        (b'data: {"error": {"type": "%s"}}\n\n' % (b"x" * 999), "x" * 64),
        (b'data: {"object": "error", "type": "BadRequestError", "message": "m"}\n\n', "BadRequestError"),
        (b'data: {"type": "error", "message": "m"}\n\n', "upstream_error"),
        (b': ping\nevent: error\r\ndata: {"error": {"type": "oom"}}\r\n\r\n', "oom"),
        (b'data: {"error": {"type": "oom"}}', "oom"),
        (b'data: {"error": null}\n\n', None),
        (b'data: {"choices": [], "error": {"type": "oom"}, "usage": {"prompt_tokens": 1}}\n\n', "oom"),
    ],
)
def test_an_error_event_is_an_error_and_reaches_the_client(event, kind):
    editor, out = passed_on(b"data: " + FIRST + b"\n\n" + event)
    assert editor.error == kind
    assert len(out.strip().split(b"\n\n")) == 2


def test_what_is_cut_in_its_data_is_not_passed_on_at_the_end():
    editor, out = passed_on(b"data: " + FIRST + b"\n\ndata: " + ENDS[:-5])
    assert len(data_of(out)) == 1
    assert (editor.done, editor.finished) == (False, False)


def test_nothing_but_an_unfinished_event_is_kept_and_not_more_than_its_bound():
    splitter = EventSplitter()
    for _ in range(3):
        assert splitter.feed(b"data: 1\n\ndata: ") == [b"data: 1"]
        assert splitter.feed(b"2\n\n") == [b"data: 2"]
    megabyte = b"x" * 2**20
    for _ in range(MAX_EVENT_BYTES // 2**20):
        assert splitter.feed(megabyte) == []
    with pytest.raises(AnswerError, match="larger than"):
        splitter.feed(b"x")


def test_a_long_event_in_small_pieces_takes_no_time_that_grows_with_its_square():
    splitter = EventSplitter()
    for _ in range(200_000):
        splitter.feed(b"x")
    assert splitter.feed(b"\n") == [] and splitter.feed(b"\n") == [b"x" * 200_000]


@pytest.mark.parametrize(
    "odd",
    [
        b'{"model": "engine\'s", "p": NaN, "choices": [{"index": 0, "text": "x"}]}',
        b'{"model": "engine\'s", "p": -Infinity, "choices": [{"index": 0, "text": "x"}]}',
        b'{"model": "engine\'s", "choices": [{"index": 0, "text": "\\ud83d"}]}',
        b'{"model": "engine\'s", "x": ' + b"[" * 300 + b"]" * 300 + b', "choices": [{"text": "x"}]}',
        b'{"model": "engine\'s", "choices": [null, 5, {"index": "a", "text": "x"}]}',
        b'{"model": null, "choices": [{"index": true, "text": "x", "delta": []}]}',
        b'{"model": ["engine\'s"], "choices": [{"text": "x"}], "usage": [1], "timings": 5}',
    ],
)
def test_a_document_that_a_strict_reader_refuses_is_counted_and_named_too(odd):
    editor, out = passed_on(b"data: " + odd + b"\n\n")
    assert editor.usage.totals()[2] == 1
    assert b"engine's" not in out and out.count(b'"asked"') == 1


@pytest.mark.parametrize("choices", [b"null", b"5", b'"x"', b"{}", b"[null]", b"[[]]", b'[{"delta": 5}]'])
def test_choices_of_any_shape_are_passed_on(choices):
    data = b'data: {"choices": %s}\n\n' % choices
    assert passed_on(data)[1] == data


def test_how_the_bytes_are_cut_changes_nothing_whatever_they_are():
    """Random streams of lines that mean something and bytes that do not, cut at random."""
    chance = random.Random(5)
    words = [
        b"data: ", b"data:", b"data", b":", b"event: error", b"event: x", b"id: 1", b"\n", b"\n\n", b"\r\n",
        b"\r", b"\r\n\r\n", b"\xef\xbb\xbf", b"[DONE]", FIRST, ENDS, COUNT, COUNT[:20], b"\xff\x00", b"{}",
        b'{"choices": [{"text": "x", "index": 1}], "usage": {"completion_tokens": 3}}', b"null", b" ",
    ]  # fmt: skip
    for _ in range(2_000):
        data = b"".join(chance.choices(words, k=chance.randrange(1, 25)))
        cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(6)))
        editor = StreamEditor("asked", USAGE_WANTED)
        bounds = zip([0, *cuts], [*cuts, len(data)], strict=True)
        out = b"".join([editor.feed(data[start:end]) for start, end in bounds]) + editor.end()
        whole, expected = passed_on(data, USAGE_WANTED)
        assert out == expected, data
        assert editor.usage.totals() == whole.usage.totals(), data
        assert (editor.done, editor.finished, editor.error) == (whole.done, whole.finished, whole.error)
        assert not any(count < 0 for count in editor.usage.totals())
