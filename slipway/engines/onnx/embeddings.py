"""/v1/embeddings, in OpenAI's shape.

Belongs here: its fields, vectors of what the model gives, its answer. Does not: running the model (model.py).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from slipway.engines.frontend import Handler, Served, asked_of, json, refused, while_connected
from slipway.engines.onnx import inputs
from slipway.engines.onnx.model import Ids, OnnxModel
from slipway.engines.slots import Slots, Stop

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Vectors:
    """How a text's vector is made of what the model gives for its tokens."""

    pooling: str
    normalize: bool
    may_be_cut: bool

    def of(self, hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """A vector for each text of a batch."""
        import numpy as np

        if hidden.ndim == 2:  # the model pools itself
            pooled = hidden
        elif self.pooling == "mean":
            weights = mask[:, :, None].astype(np.float32)
            pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        elif self.pooling == "last":
            pooled = hidden[np.arange(len(mask)), mask.sum(axis=1) - 1]
        else:
            pooled = hidden[:, 0]
        return self._normalized(pooled)

    def cut(self, vectors: np.ndarray, dimensions: int | None) -> np.ndarray:
        """Vectors of fewer dimensions; raises RefusedError where the model was not trained for it."""
        own = vectors.shape[1]
        if dimensions is None or dimensions == own:
            return vectors
        if not self.may_be_cut or dimensions > own:
            raise refused("dimensions", f"is {dimensions}: this model's vectors have {own}. Leave it out.")
        return self._normalized(vectors[:, :dimensions])

    def _normalized(self, vectors: np.ndarray) -> np.ndarray:
        import numpy as np

        if not self.normalize:
            return vectors
        norms: np.ndarray = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        normalized: np.ndarray = vectors / norms
        return normalized


def handlers(model: OnnxModel, vectors: Vectors, slots: Slots, served: Served) -> Mapping[str, Handler]:
    """What answers each path."""

    async def embeddings(request: Request, _path: str) -> Response:
        asked = await asked_of(request, served)
        answer = await while_connected(request, slots.run(lambda stop: answered(model, vectors, asked, stop)))
        return json(200, answer)

    return {"/v1/embeddings": embeddings}


def answered(model: OnnxModel, vectors: Vectors, asked: Mapping[str, Any], stop: Stop) -> dict[str, Any]:
    """The answer to a request; blocks. Raises RefusedError."""
    import numpy as np

    written = _written_as(asked)
    dimensions = asked.get("dimensions")
    if dimensions is not None and (
        isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1
    ):
        raise refused("dimensions", "is no number of dimensions. Send a whole number, or leave it out.")
    cut = inputs.cut_at(asked, model.longest)
    read = inputs.fitting(_ids(model, asked.get("input")), model.longest, cut, "input")
    made = [vectors.of(hidden, mask) for hidden, mask in model.run(read, stop)]
    # Stopped work brings nothing, and nobody reads what it brings.
    found = vectors.cut(np.concatenate(made), dimensions).astype(np.float32) if made else np.empty((0, 0))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": written(vector)}
            for index, vector in enumerate(found)
        ],
        "model": asked["model"],
        "usage": inputs.counted(read),
    }


def _written_as(asked: Mapping[str, Any]) -> Any:
    form = asked.get("encoding_format") or "float"
    if form == "float":
        return lambda vector: vector
    if form == "base64":
        return lambda vector: base64.b64encode(vector.astype("<f4").tobytes()).decode()
    raise refused("encoding_format", f"is {form!r}. Send float or base64.")


def _ids(model: OnnxModel, given: object) -> list[Ids]:
    """The input in tokens: texts, or tokens as they are (one list of them, or several)."""
    if isinstance(given, list) and given and not isinstance(given[0], str):
        several = given if isinstance(given[0], list) else [given]
        return [_tokens(model, each) for each in inputs.require_number(several, "input")]
    texts = inputs.texts(given, "input")
    if not all(texts):
        raise refused("input", "holds an empty text. Leave it out.")
    return model.read(texts)


def _tokens(model: OnnxModel, given: object) -> Ids:
    known = isinstance(given, list) and all(type(n) is int and 0 <= n < model.vocabulary for n in given)
    if not known or not given:
        raise refused("input", f"holds what is neither a text nor tokens from 0 to {model.vocabulary - 1}.")
    assert isinstance(given, list)
    return Ids(given, [0] * len(given))
