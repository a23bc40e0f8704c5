"""vLLM with models that say no words: embeddings, reranking and scores, classification."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from testbed.vllm import serving

from .conftest import Gateway, resolved, route
from .promises import answers, is_valid, passes
from .table import CLASSIFIER, EMBEDDER, RERANKER, Row

MODELS = {"embedder": EMBEDDER, "reranker": RERANKER, "classifier": CLASSIFIER}


def name_of(model: str) -> str:
    return f"tiny/{model}"


@pytest.fixture(scope="module")
def engine_of(serve: Callable[..., serving.Serving], gateway: Gateway) -> Iterator[Callable[[str], str]]:
    """The address of the engine with a model: the one that runs, or another in its place."""
    running: dict[str, str] = {}

    def address(model: str) -> str:
        if model not in running:
            running.clear()
            running[model] = serve(model).url
            gateway.route(route(name_of(model), running[model], model))
        return running[model]

    yield address


# What is asked of one model comes together, so that each engine is started once.
ASKED = [(model, row) for model, rows in MODELS.items() for row in (*rows, None)]


@pytest.mark.parametrize(
    ("model", "row"), ASKED, ids=[f"{model}, {row.name if row else 'validated'}" for model, row in ASKED]
)
def test_vllm_answers_and_the_gateway_passes_it_on(
    model: str, row: Row | None, engine_of: Callable[[str], str], gateway: Gateway
) -> None:
    url = engine_of(model)
    if row is None:
        is_valid(resolved(model), f"{url}/v1")
        return
    answers(row, url)
    passes(row, url, gateway, name_of(model))
