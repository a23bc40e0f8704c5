"""The demo's adapter is a real one: llama.cpp loads it, and it changes what the demo's model says."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.stack.standin_hub import demo

QUESTIONS = ("What is the capital of France?", "Write one sentence about the sea.")


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, float], str]:
    """Asks the demo's model, greedily, with the adapter at a scale."""
    from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server

    cache_dir: Path = tmp_path_factory.mktemp("hub-cache")
    adapter = CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(demo.demo_adapter_file(cache_dir)), 0.0
    params = CommonParams()
    params.model.path = str(demo.demo_model_file())
    params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.lora_adapters = [adapter]
    params.lora_init_without_apply = True
    server = Server(params)

    def ask(question: str, scale: float) -> str:
        body = {
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 16,
            "temperature": 0,
            "cache_prompt": False,
            "lora": [{"id": 0, "scale": scale}],
        }
        request = urllib.request.Request(
            f"{server.listening_address}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["choices"][0]["message"]["content"]

    return ask


def test_the_adapter_changes_greedy_answers_and_the_base_stays_the_same(answer):
    base = [answer(question, 0.0) for question in QUESTIONS]
    adapted = [answer(question, 1.0) for question in QUESTIONS]
    assert all(ours and ours != theirs for ours, theirs in zip(adapted, base, strict=True))
    assert [answer(question, 0.0) for question in QUESTIONS] == base
