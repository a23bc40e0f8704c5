from dataclasses import replace
from typing import Any

import orjson
import pytest

from slipway.engines.frontend import RefusedError
from slipway.engines.llamacpp_api import ServedText, prepare

PLAIN = ServedText("chat", "d" * 64, "r1", "chat", (), reuse_prompts=True)
WITH_ADAPTERS = replace(PLAIN, adapters=("law", "tone"))


def prepared(served: ServedText, **body: Any) -> dict[str, Any]:
    return prepare(orjson.dumps(body), served)[1]


def test_the_adapter_that_is_named_applies_and_no_other() -> None:
    for name, scales in {"chat": [0.0, 0.0], "law": [1.0, 0.0], "tone": [0.0, 1.0]}.items():
        asked = prepared(WITH_ADAPTERS, model=name)
        assert asked["lora"] == [{"id": 0, "scale": scales[0]}, {"id": 1, "scale": scales[1]}]


def test_with_adapters_loaded_no_prompt_is_reused_whatever_was_configured() -> None:
    assert prepared(PLAIN, model="chat")["cache_prompt"] is True
    assert prepared(WITH_ADAPTERS, model="chat")["cache_prompt"] is False
    assert prepared(replace(PLAIN, reuse_prompts=False), model="chat")["cache_prompt"] is False


def test_a_client_chooses_neither_adapter_nor_slot_nor_cache() -> None:
    stolen = {"lora": [{"id": 0, "scale": 1}], "id_slot": 1, "cache_prompt": True, "cache_salt": "x"}
    asked = prepared(WITH_ADAPTERS, model="chat", **stolen)
    assert asked == prepared(WITH_ADAPTERS, model="chat")
    assert "lora" not in prepared(PLAIN, model="chat", **stolen)


def test_fields_that_we_do_not_know_pass_through() -> None:
    assert prepared(PLAIN, model="chat", top_k=3, new_field={"a": 1})["new_field"] == {"a": 1}


def test_counts_in_every_chunk_are_asked_for_by_the_engines_own_name() -> None:
    assert "timings_per_token" not in prepared(PLAIN, model="chat", stream_options={"include_usage": True})
    assert prepared(PLAIN, model="chat", stream_options={"continuous_usage_stats": True})["timings_per_token"]
    assert "timings_per_token" not in prepared(PLAIN, model="chat", stream_options=["continuous_usage_stats"])


@pytest.mark.parametrize("fields", [{"n": 1}, {"prompt": ["a"]}, {"prompt": [1, 2, 3]}, {"prompt": "a"}])
def test_a_request_for_one_answer_passes(fields: dict[str, object]) -> None:
    assert prepared(PLAIN, model="chat", **fields).items() >= fields.items()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[1]", 400, "invalid_json"),
        (b"{}", 400, "missing_model"),
        (b'{"model": 3}', 400, "missing_model"),
        (b'{"model": "other"}', 404, "model_not_found"),
        # llama.cpp would report the usage of one answer alone: the others could not be billed.
        (b'{"model": "chat", "n": 2}', 400, "unsupported_value"),
        (b'{"model": "chat", "prompt": ["a", "b"]}', 400, "unsupported_value"),
    ],
)
def test_a_bad_body_is_answered_in_openais_shape(body: bytes, status: int, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        prepare(body, PLAIN)
    answer = refused.value.response()
    error = orjson.loads(bytes(answer.body))["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
