"""What an engine may read of a request is counted, whatever field it stands in."""

import base64
import json
import struct
import zlib

import pytest

from slipway.gateway.api.prompts import CHAT, COMPLETION, printed

LONG = "0123456789" * 500  # a token per digit in several tokenizers
MOST_PICTURE, LEAST_MEDIA = 16_384, 4_096


def chat(content="x", **more):
    return {"model": "chat", "messages": [{"role": "user", "content": content}], **more}


def of_message(**fields):
    return {"model": "chat", "messages": [{"role": "user", **fields}]}


def test_the_bound_of_an_english_prompt_is_its_bytes_and_little_more():
    text = "The quick brown fox jumps over the lazy dog. " * 100
    assert len(text) < CHAT.bound(chat(text)) < len(text) + 20


def test_bytes_count_and_not_characters():
    assert CHAT.bound(chat("\u65e5" * 100)) - CHAT.bound(chat("")) == 300


OTHER_FIELDS = (
    "tools functions documents chat_template_kwargs response_format tool_choice structured_outputs "
    "guided_json guided_grammar json_schema grammar suffix system_prompt prompt input nobody_knows_this"
)
CHATS = [
    *(
        chat(**{name: value})
        for name in OTHER_FIELDS.split()
        for value in (LONG, [LONG], {"x": {"y": [LONG]}})
    ),
    chat(chat_template_kwargs={"messages": [{"role": "user", "content": LONG}]}),
    chat(prompt=[], documents=[{"title": "", "text": LONG}]),
    chat(LONG, prompt="short"),
    chat(response_format={"type": "json_schema", "json_schema": {"schema": {"description": LONG}}}),
    chat([{"type": "text", "text": LONG}]),
    chat([{"type": "input_text", "text": LONG}]),
    chat([{"type": "refusal", "refusal": LONG}]),
    chat([{"type": "thinking", "thinking": LONG}]),
    chat([{"text": LONG}]),
    chat([{"type": [], "text": LONG}]),
    chat([{"type": {"a": 1}, "x": LONG}]),
    chat([{"type": "image_url", "image_url": None, "text": LONG}]),
    chat([{"type": "file", "file": {"file_data": LONG}}]),
    chat([LONG]),
    chat([1, LONG]),
    chat([None, [LONG]]),
    chat([1] * 5000),
    of_message(name=LONG),
    of_message(reasoning_content=LONG),
    of_message(content=None, tool_calls=[{"function": {"name": "f", "arguments": LONG}}]),
    of_message(content="x", nobody_knows_this=[1, LONG]),
    {"model": "chat", "messages": [{"role": LONG}]},
]  # fmt: skip


@pytest.mark.parametrize("body", CHATS, ids=lambda body: json.dumps(body)[:90])
def test_a_long_text_in_a_chat_counts_wherever_it_stands(body):
    assert CHAT.bound(body) >= len(LONG)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "user", "content": "short"}]},
        {"chat_template_kwargs": {}},
        {"echo": True},
    ],
)
@pytest.mark.parametrize("prompt", [LONG, [LONG], list(range(5000)), [list(range(2500))] * 2, ["x", LONG]])
def test_a_long_prompt_of_a_completion_counts_whatever_else_is_there(prompt, more):
    assert CHAT.bound(chat()) < 100 < len(LONG) <= COMPLETION.bound({"prompt": prompt, **more})


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [("abc", 8 + 3), (["abc", "de"], 8 + 3 + 8 + 2), ([1, 2, 3, 4], 8 + 4), ([[1, 2], [3]], 8 + 2 + 8 + 1)],
)
def test_every_form_of_a_completion_prompt_is_counted(prompt, tokens):
    assert COMPLETION.bound({"prompt": prompt}) == tokens


def test_what_stands_beside_several_prompts_goes_into_each():
    one, two = ({"prompt": prompts, "suffix": LONG} for prompts in (["a"], ["a", "b"]))
    assert COMPLETION.bound(two) == 2 * COMPLETION.bound(one) > 2 * len(LONG)


def test_sampling_parameters_and_names_are_in_no_prompt():
    never = {
        "user": LONG,
        "stop": [LONG],
        "logit_bias": {LONG: 1},
        "metadata": {"x": LONG},
        "temperature": 0.7,
    }
    assert CHAT.bound(chat(**never)) == CHAT.bound(chat())


def test_tools_count_as_templates_print_them():
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"a": {"type": "string"}}}}] * 3
    assert printed(tools) >= len(json.dumps(tools, indent=4))
    assert CHAT.bound(chat(tools=tools)) - CHAT.bound(chat()) == printed(tools)


@pytest.mark.parametrize(
    "value", [{}, [], [[]], {"a": []}, [{"a": {"b": [1, None, "\u00e9\n"]}}], 'x"y', 5, None, 1.5]
)
def test_no_indented_json_is_longer_than_what_is_counted(value):
    for indent in (None, 2, 4):
        assert printed(value) >= len(json.dumps(value, indent=indent, ensure_ascii=False).encode())


def data_url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = zlib.crc32(b"IHDR" + header)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", crc)


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    return b"\xff\xd8" + before + b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + bytes(16)


def picture(url):
    return {"type": "image_url", "image_url": {"url": url, "detail": "high"}}


APP1 = b"\xff\xe1" + struct.pack(">H", 20_000) + bytes(19_998)


@pytest.mark.parametrize(
    ("url", "tokens"),
    [
        (data_url(png(100, 100)), LEAST_MEDIA),
        (data_url(png(1400, 1400)), 100 * 100),
        (data_url(png(1401, 1400)), 101 * 100),
        (data_url(png(8000, 8000)), MOST_PICTURE),
        (data_url(jpeg(1400, 1400)), 100 * 100),
        (data_url(jpeg(1400, 1400, APP1)), 100 * 100),
        (data_url(jpeg(140, 140, b"\xff\xff")), MOST_PICTURE),  # padding, which decoders pass over
        (data_url(b"\xff\xd8\xff\xe1\xff\xff"), MOST_PICTURE),
        (data_url(b"GIF89a"), MOST_PICTURE),
        (data_url(b""), MOST_PICTURE),
        ("data:image/png;base64," + "!" * 100, MOST_PICTURE),
        ("data:image/png;base64", MOST_PICTURE),
        ("https://example.com/a.png", MOST_PICTURE),
        ("", MOST_PICTURE),
    ],
)  # fmt: skip
def test_a_picture_costs_by_its_pixels_and_as_much_as_any_where_they_are_not_known(url, tokens):
    bound = CHAT.bound(chat([picture(url)])) - CHAT.bound(chat([]))
    assert tokens <= bound <= tokens + 60


def test_a_picture_does_not_cost_by_its_bytes():
    assert CHAT.bound(chat([picture(data_url(png(100, 100) + bytes(10**6)))])) < 4_300


@pytest.mark.parametrize(
    "part", [{"image_url": {}}, {"image_url": 5}, {"image_url": [LONG]}, {"input_image": {"x": LONG}}]
)
def test_a_picture_that_is_none_costs_as_much_as_any(part):
    assert CHAT.bound(chat([part])) > MOST_PICTURE


def test_text_beside_a_picture_counts_too():
    part = {**picture(data_url(png(10, 10))), "text": LONG}
    assert CHAT.bound(chat([part])) > LEAST_MEDIA + len(LONG)


def wav(seconds: int, *, coding=1, rate=16_000, frame_bytes=2) -> str:
    samples = bytes(seconds * rate * 2)
    form = struct.pack("<HHIIHH", coding, 1, rate, rate * 2, frame_bytes, 16)
    head = b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return base64.b64encode(head + b"data" + struct.pack("<I", len(samples)) + samples).decode()


@pytest.mark.parametrize(
    ("data", "tokens"),
    [
        (wav(10), LEAST_MEDIA),
        (wav(300), 300 * 25),
        (wav(20, rate=1_000), LEAST_MEDIA),
        (wav(1, coding=17), 32_768),  # compressed: its seconds are not in its size
        (wav(300, frame_bytes=65_535), 32_768),
        (wav(1, rate=0), 32_768),
        (base64.b64encode(b"fLaC" + bytes(1000)).decode(), 32_768),
        ("", 32_768),
    ],
)
def test_a_sound_costs_by_its_seconds_and_as_much_as_a_long_one_where_they_are_not_known(data, tokens):
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    bound = CHAT.bound(chat([part])) - CHAT.bound(chat([]))
    assert tokens <= bound <= tokens + 80


@pytest.mark.parametrize("kind", ["video_url", "audio_url"])
def test_a_film_costs_as_much_as_any(kind):
    assert CHAT.bound(chat([{"type": kind, kind: {"url": "https://example.com/a"}}])) > 32_768


PLAIN = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "stream": True}


def test_plain_is_a_chat_of_a_few_messages_of_text():
    assert CHAT.is_plain(PLAIN)
    assert COMPLETION.is_plain({"prompt": "Hi", "seed": 1})
    for more in (
        {"tools": []},
        {"chat_template_kwargs": {}},
        {"messages": PLAIN["messages"] * 5},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"messages": [{"role": "user", "content": "x", "tool_calls": []}]},
    ):
        assert not CHAT.is_plain({**PLAIN, **more}), more
    assert not COMPLETION.is_plain({"prompt": ["a", "b"]})
