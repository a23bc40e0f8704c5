"""Reranking and scores by a cross-encoder: /v1/rerank (Jina's), /v2/rerank (Cohere's), /v1/score (vLLM's).

Belongs here: their fields, relevance of what the model gives, their answers. Does not: running the model
(model.py).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from slipway.engines.frontend import Handler, Served, asked_of, json, refused, while_connected
from slipway.engines.onnx import inputs
from slipway.engines.onnx.model import Ids, OnnxModel
from slipway.engines.slots import Slots, Stop

_RERANK = ("/v1/rerank", "/rerank", "/v2/rerank")
_SCORE = ("/v1/score", "/score")


def handlers(model: OnnxModel, slots: Slots, served: Served) -> Mapping[str, Handler]:
    """What answers each path."""

    async def answer(request: Request, path: str) -> Response:
        asked = await asked_of(request, served)
        answered = scored if path in _SCORE else ranked
        # Jina returns documents unless told otherwise, Cohere's second version never does.
        asked.setdefault("return_documents", path != "/v2/rerank")
        work = slots.run(lambda stop: answered(model, asked, stop))
        return json(200, await while_connected(request, work))

    return dict.fromkeys((*_RERANK, *_SCORE), answer)


def ranked(model: OnnxModel, asked: Mapping[str, Any], stop: Stop) -> dict[str, Any]:
    """Documents by relevance, the best first; blocks. Raises RefusedError."""
    query = asked.get("query")
    if not isinstance(query, str) or not query:
        raise refused("query", "is missing or no text. Send the text that documents are to be relevant for.")
    documents = _documents(asked.get("documents"))
    top = _top(asked.get("top_n"), len(documents))
    scores, read = _relevance(model, [(query, text) for text in documents], asked, "documents", stop)
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[:top]
    with_text = asked.get("return_documents") is not False
    return {
        "id": f"rerank-{uuid.uuid4().hex}",
        "model": asked["model"],
        "usage": inputs.counted(read),
        "results": [
            {
                "index": index,
                **({"document": {"text": documents[index]}} if with_text else {}),
                "relevance_score": scores[index],
            }
            for index in order
        ],
    }


def scored(model: OnnxModel, asked: Mapping[str, Any], stop: Stop) -> dict[str, Any]:
    """A score for each pair of texts, in their order; blocks. Raises RefusedError."""
    first, second = (inputs.texts(asked.get(field), field) for field in ("text_1", "text_2"))
    if len(first) not in (1, len(second)):
        told = f"has {len(first)} texts, and text_2 has {len(second)}. Send one, or as many."
        raise refused("text_1", told)
    firsts = first * len(second) if len(first) == 1 else first
    scores, read = _relevance(model, list(zip(firsts, second, strict=True)), asked, "text_2", stop)
    return {
        "id": f"score-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": asked["model"],
        "data": [{"index": n, "object": "score", "score": score} for n, score in enumerate(scores)],
        "usage": inputs.counted(read),
    }


def _relevance(
    model: OnnxModel, pairs: Sequence[tuple[str, str]], asked: Mapping[str, Any], field: str, stop: Stop
) -> tuple[list[float], list[Ids]]:
    """Each pair's relevance between 0 and 1, as vLLM gives it, and what was read for it."""
    import numpy as np

    cut = inputs.cut_at(asked, model.longest)
    read = inputs.fitting(model.read_pairs(pairs), model.longest, cut, field)
    logits = [output.reshape(len(output), -1)[:, 0] for output, _ in model.run(read, stop)]
    if not logits:
        return [], read
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-np.concatenate(logits).astype(np.float64)))
    return [float(score) for score in scores], read


def _documents(given: object) -> list[str]:
    """Texts, or objects that have one."""
    if isinstance(given, list):
        given = [each.get("text") if isinstance(each, dict) else each for each in given]
    if not isinstance(given, list):
        raise refused("documents", "is no list. Send a list of texts.")
    return inputs.texts(given, "documents")


def _top(asked: object, documents: int) -> int:
    """How many results are wanted; all where nothing is said, or vLLM's 0."""
    if asked is None or asked == 0:
        return documents
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
        raise refused("top_n", "is no number of documents. Send a whole number, or leave it out.")
    return asked
