"""KServe's own Python model server with a model that labels text by its length, in KServe's environment.

Belongs here: a model behind it, and the arguments that KServe's Hugging Face server adds to the server's own
(its package is in no registry). Does not: anything of Slipway, which is not installed there.
"""

from __future__ import annotations

import argparse
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server

LABELS = ("short", "long")
_SHORT = 10


class Labels(Model):  # type: ignore[misc]
    """Classifies texts, in both of the server's protocols."""

    def load(self) -> bool:
        """There is nothing to load."""
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """A label for each text."""
        if isinstance(payload, InferRequest):
            texts = [text.decode() if isinstance(text, bytes) else text for text in payload.inputs[0].data]
            output = InferOutput("output-0", [len(texts)], "BYTES", data=[_label(text) for text in texts])
            return InferResponse(payload.id or "0", self.name, [output])
        return {"predictions": [_label(text) for text in payload["instances"]]}


def _label(text: str) -> str:
    return LABELS[len(text) > _SHORT]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    for argument in ("--task", "--max-model-len", "--model_dir"):
        parser.add_argument(argument)
    given = parser.parse_args()
    model = Labels(given.model_name)
    model.load()
    ModelServer(http_port=given.http_port, enable_grpc=False).start([model])
