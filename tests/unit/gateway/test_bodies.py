import orjson
import pytest

from slipway.gateway.api import bodies
from slipway.gateway.api.errors import ApiError

HI = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not valid JSON"),
        (b'{"model": ', "not valid JSON"),
        (b'{"model": "a", "x": NaN}', "not valid JSON"),
        (b'"\xff"', "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object, not null"),
        (b'{"x":' * 251 + b"1" + b"}" * 251, "too deep. Up to 250 levels"),
        (b'{"x":' + b"[" * 254 + b"]" * 254 + b"}", "too deep"),
        (b"[" * 1023 + b"]" * 1023, "must be a JSON object"),
        (b'{"x":' + b"[" * 1022 + b"]" * 1022 + b"}", "too deep"),
        (b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(raw, says):
    with pytest.raises(ApiError, match=says) as refused:
        bodies.parse(raw)
    assert refused.value.status == 400


def test_of_a_model_that_is_named_twice_the_engine_is_sent_the_one_that_was_checked():
    body = bodies.parse(b'{"model": "mine", "x": 1, "model": "theirs"}')
    assert bodies.model_of(body) == "theirs"
    assert orjson.dumps(body) == b'{"model":"theirs","x":1}'


def test_what_is_taken_can_be_written_again_with_something_around_it():
    deep = bodies.parse(b'{"x":' * 250 + b"1" + b"}" * 250)
    assert orjson.loads(orjson.dumps([deep])) == [deep]
    wide = bodies.parse(b'{"messages": [' + b"[{}]," * 400 + b"[]]}")
    assert len(wide["messages"]) == 401


@pytest.mark.parametrize(
    "model", [{}, {"model": None}, {"model": ""}, {"model": 5}, {"model": ["a"]}, {"model": "a" * 257}]
)
def test_a_missing_or_impossible_model_is_named(model):
    with pytest.raises(ApiError, match="`model`") as refused:
        bodies.model_of(model)
    assert (refused.value.status, refused.value.param) == (400, "model")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [HI, "hi"]}, "messages[1]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [HI], "stream": "yes"}, "stream"),
        ({"messages": [HI], "stream_options": True}, "stream_options"),
        ({"messages": [HI], "n": 0}, "n"),
        ({"messages": [HI], "max_tokens": -1}, "max_tokens"),
        ({"messages": [HI], "max_tokens": True}, "max_tokens"),
        ({"messages": [HI], "max_completion_tokens": 1.5}, "max_completion_tokens"),
    ],
)
def test_a_malformed_chat_names_its_field(body, param):
    with pytest.raises(ApiError) as refused:
        bodies.check_chat(body)
    error = orjson.loads(refused.value.body())["error"]
    assert (refused.value.status, error["param"], error["type"]) == (400, param, "invalid_request_error")
    assert param in error["message"]


@pytest.mark.parametrize("prompt", [None, "missing", 5, [], [""[:0], 5], [[]], [1.5], {"a": 1}, [[1, "a"]]])
def test_a_malformed_prompt_names_its_field(prompt):
    with pytest.raises(ApiError, match="`prompt`"):
        bodies.check_completion({} if prompt == "missing" else {"prompt": prompt})


@pytest.mark.parametrize("prompt", ["", "a", ["a", "b"], [1, 2], [[1], [2, 3]]])
def test_every_form_of_prompt_that_openai_knows_is_taken(prompt):
    bodies.check_completion({"prompt": prompt})


def test_a_chat_with_tool_calls_parts_and_fields_that_nobody_knows_is_taken():
    bodies.check_chat(
        {
            "messages": [
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "x"}]},
                {"role": "assistant"},
            ],
            "stream": None,
            "something": {"new": 1},
        }
    )
