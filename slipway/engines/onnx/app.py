"""The ONNX Runtime engine as an application: what a replica loads, and the builder for Serve.

Belongs here: joining model, API and life. Does not: any of the three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.engines import hosting
from slipway.engines.fetch import fetched
from slipway.engines.frontend import Frontend, Served
from slipway.engines.hosting import Args, Hosted
from slipway.engines.onnx import embeddings, reranking
from slipway.engines.onnx.args import parse
from slipway.engines.onnx.model import OnnxModel, pooling
from slipway.engines.slots import Slots

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["DEPLOYMENT", "build", "load", "parse"]

DEPLOYMENT = "onnxruntime"


def load(wanted: Args, replica: str) -> Hosted:
    """Fetch the weights and load the model; blocks. Raises EngineRefusedError, or what fetching raises."""
    settings = parse(wanted.engine_args)
    directory = fetched(wanted.model_prefix)
    model = OnnxModel(directory, settings)
    served = Served(wanted.deployment, wanted.spec_digest, replica, wanted.served_name)
    slots = Slots(settings.whole("--parallel"), DEPLOYMENT)
    if wanted.task == "rerank":
        handlers = reranking.handlers(model, slots, served)
    else:
        vectors = embeddings.Vectors(
            pooling(directory, settings), settings.on("--normalize"), settings.on("--matryoshka")
        )
        handlers = embeddings.handlers(model, vectors, slots, served)
    return Hosted(Frontend(served, handlers, slots.is_alive), slots.count)


def build(args: dict[str, Any]) -> Application:
    """The application, as Serve calls it from `import_path: slipway.engines.onnx.app:build`."""
    return hosting.application(DEPLOYMENT, args)
