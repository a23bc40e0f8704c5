"""The life of a replica of ours in Ray Serve, whatever its engine; and which engines there are.

Belongs here: what a Serve configuration or a pod's command line says (Args), a replica's health, its end.
Does not: a plain pod's life (standalone.py), any engine (their rooms).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import BaseModel, ConfigDict

from slipway.engines.flags import EngineSettings
from slipway.engines.frontend import Frontend

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.requests import Request
    from starlette.responses import Response

# Engine server -> module of its application; slipway.catalog.servers has the same names.
MODULES: Mapping[str, str] = {
    "llama.cpp": "slipway.engines.llamacpp",
    "onnxruntime": "slipway.engines.onnx.app",
    "ctranslate2": "slipway.engines.whisper.app",
    "espeak-ng": "slipway.engines.espeak.app",
}


class AdapterArgs(BaseModel):
    """An adapter: the model name that it answers to, and its prefix in the object store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    served_name: str
    prefix: str


class Args(BaseModel):
    """`args` of an application in a Serve configuration (slipway.runtimes.rendering.own_app writes them)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str
    spec_digest: str
    served_name: str
    model_prefix: str
    server: str = "llama.cpp"
    adapters: tuple[AdapterArgs, ...] = ()
    engine_args: tuple[str, ...] = ()
    reuse_prompts: bool = False
    task: str = "text-generation"


@dataclass(frozen=True)
class Hosted:
    """An engine that has loaded, behind its frontend; it lives as long as this is referenced.

    `slots` requests are answered at the same time. `close` ends what would outlive the process.
    """

    frontend: Frontend
    slots: int
    engine: Any = None
    close: Callable[[], None] = lambda: None


class EngineModule(Protocol):
    """What a module of MODULES has."""

    def parse(self, args: Iterable[str]) -> EngineSettings:
        """Read engine arguments; raises EngineRefusedError."""

    def load(self, wanted: Args, replica: str) -> Hosted:
        """Fetch the weights and load the engine; raises EngineRefusedError, or what fetching raises."""


def engine_module(server: str) -> EngineModule:
    """The module of an engine; raises KeyError for a server that is none of ours."""
    return cast("EngineModule", importlib.import_module(MODULES[server]))


class Replica:
    """One replica: fetches verified weights, loads the engine, answers HTTP."""

    def __init__(self, args: dict[str, Any]) -> None:
        from ray import serve

        wanted = Args.model_validate(args)
        replica = serve.get_replica_context().replica_id.unique_id
        self._server = wanted.server
        self._hosted = engine_module(wanted.server).load(wanted, replica)

    async def __call__(self, request: Request) -> Response:
        """Serve calls this for every HTTP request below the route prefix."""
        return await self._hosted.frontend.answer(request)

    async def check_health(self) -> None:
        """Serve calls this every few seconds, and replaces the replica when it raises."""
        if not await self._hosted.frontend.is_alive():
            raise RuntimeError(f"The {self._server} engine of this replica does not answer its health check.")

    def __del__(self) -> None:
        """Serve's hook at a replica's end."""
        hosted = getattr(self, "_hosted", None)
        if hosted is not None:
            hosted.close()


def application(name: str, args: dict[str, Any]) -> Application:
    """The application of an engine, as its module's `build` gives it to Serve.

    Raises EngineRefusedError for engine arguments that no replica could start with, before one tries.
    """
    from ray import serve

    wanted = Args.model_validate(args)
    engine_module(wanted.server).parse(wanted.engine_args)
    deployment: Any = serve.deployment(name=name)(Replica)
    made: Application = deployment.bind(args)
    return made
