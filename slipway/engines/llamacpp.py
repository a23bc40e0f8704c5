"""llama.cpp behind its OpenAI API, and the Ray Serve application that hosts it.

Belongs here: what a replica loads, its life in Ray, and the builder that a Serve configuration names.
Does not: its life in a plain pod (standalone.py), arguments (llamacpp_args.py), the engine
(llamacpp_engine.py), the API (frontend.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.requests import Request
    from starlette.responses import Response

from slipway.engines import llamacpp_args, llamacpp_engine
from slipway.engines.fetch import fetched
from slipway.engines.frontend import EMBED, GENERATE, Frontend, Served

# Name of the one deployment within the application; slipway.runtimes.ray.render sets its options by it.
DEPLOYMENT = "llamacpp"


class AdapterArgs(BaseModel):
    """An adapter: the model name that it answers to, and its prefix in the object store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    served_name: str
    prefix: str


class Args(BaseModel):
    """`args` of the application in a Serve configuration (slipway.runtimes.ray.render writes them)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str
    spec_digest: str
    served_name: str
    model_prefix: str
    adapters: tuple[AdapterArgs, ...] = ()
    engine_args: tuple[str, ...] = ()
    reuse_prompts: bool = False
    task: Literal["text-generation", "embedding"] = "text-generation"


def load(wanted: Args, replica: str) -> tuple[llamacpp_engine.Engine, Frontend]:
    """Fetch the weights, start the engine and put its API in front; blocks while it loads.

    Raises EngineRefusedError, or what fetching raises. The engine lives as long as it is referenced.
    """
    settings = llamacpp_args.parse(wanted.engine_args)
    model = llamacpp_engine.gguf_file(fetched(wanted.model_prefix))
    adapters = [llamacpp_engine.gguf_file(fetched(adapter.prefix)) for adapter in wanted.adapters]
    embeds = wanted.task == "embedding"
    engine = llamacpp_engine.start(model, adapters, settings, wanted.served_name, embeds=embeds)
    served = Served(
        deployment=wanted.deployment,
        spec_digest=wanted.spec_digest,
        replica=replica,
        model=wanted.served_name,
        adapters=tuple(adapter.served_name for adapter in wanted.adapters),
        reuse_prompts=wanted.reuse_prompts,
        paths=EMBED if embeds else GENERATE,
    )
    return engine, Frontend(engine.url, engine.key, served)


class Replica:
    """One replica: fetches verified weights, loads the engine, answers HTTP."""

    def __init__(self, args: dict[str, Any]) -> None:
        from ray import serve

        wanted = Args.model_validate(args)
        self._engine, self._frontend = load(wanted, serve.get_replica_context().replica_id.unique_id)

    async def __call__(self, request: Request) -> Response:
        """Serve calls this for every HTTP request below the route prefix."""
        return await self._frontend.answer(request)

    async def check_health(self) -> None:
        """Serve calls this every few seconds, and replaces the replica when it raises."""
        if not await self._frontend.is_alive():
            raise RuntimeError("The llama.cpp engine of this replica does not answer its health check.")


def build(args: dict[str, Any]) -> Application:
    """The application, as Serve calls it from `import_path: slipway.engines.llamacpp:build`.

    Raises EngineRefusedError for engine arguments that no replica could start with, before one tries.
    """
    from ray import serve

    llamacpp_args.parse(Args.model_validate(args).engine_args)
    deployment: Any = serve.deployment(name=DEPLOYMENT)(Replica)
    application: Application = deployment.bind(args)
    return application
