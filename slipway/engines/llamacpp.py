"""llama.cpp behind its OpenAI API, and the Ray Serve application that hosts it.

Belongs here: what a replica loads, and the builder that a Serve configuration names.
Does not: a replica's life (hosting.py, standalone.py), arguments (llamacpp_args.py), the engine
(llamacpp_engine.py), the API (llamacpp_api.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.engines import hosting, llamacpp_api, llamacpp_engine
from slipway.engines.fetch import fetched
from slipway.engines.hosting import Args, Hosted
from slipway.engines.llamacpp_args import parse

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["DEPLOYMENT", "build", "load", "parse"]

# Name of the one deployment within the application; slipway.runtimes.ray.render sets its options by it.
DEPLOYMENT = "llamacpp"


def load(wanted: Args, replica: str) -> Hosted:
    """Fetch the weights, start the engine and put its API in front; blocks while it loads.

    Raises EngineRefusedError, or what fetching raises.
    """
    settings = parse(wanted.engine_args)
    model = llamacpp_engine.gguf_file(fetched(wanted.model_prefix))
    adapters = [llamacpp_engine.gguf_file(fetched(adapter.prefix)) for adapter in wanted.adapters]
    engine = llamacpp_engine.start(
        model,
        adapters,
        settings,
        wanted.served_name,
        task=wanted.task,
        reuse_prompts=wanted.reuse_prompts,
    )
    served = llamacpp_api.ServedText(
        deployment=wanted.deployment,
        spec_digest=wanted.spec_digest,
        replica=replica,
        model=wanted.served_name,
        adapters=tuple(adapter.served_name for adapter in wanted.adapters),
        reuse_prompts=wanted.reuse_prompts,
    )
    frontend = llamacpp_api.frontend(engine.url, engine.key, served, wanted.task)
    return Hosted(frontend, settings.whole("--parallel", otherwise=1), engine)


def build(args: dict[str, Any]) -> Application:
    """The application, as Serve calls it from `import_path: slipway.engines.llamacpp:build`."""
    return hosting.application(DEPLOYMENT, args)
