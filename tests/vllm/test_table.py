"""The table of what is asked has every path that the gateway passes on."""

from __future__ import annotations

from slipway.gateway.api.operations import OPERATIONS

from .table import CLASSIFIER, EMBEDDER, RERANKER, TEXT
from .test_speech import ASKED

# Text to speech takes vllm-omni, which is no part of vLLM for CPU.
NOT_VLLMS = frozenset({"/v1/audio/speech"})


def test_every_path_of_the_gateway_is_asked_of_vllm() -> None:
    asked = {row.path for row in (*TEXT, *EMBEDDER, *RERANKER, *CLASSIFIER)} | {path for _, path, _ in ASKED}
    assert OPERATIONS.keys() - asked - NOT_VLLMS == set()
