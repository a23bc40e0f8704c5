"""The Whisper engine as an application: what a replica loads, and the builder for Serve.

Belongs here: joining model, API and life. Does not: any of the three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.engines import hosting
from slipway.engines.fetch import fetched
from slipway.engines.frontend import Frontend, Served
from slipway.engines.hosting import Args, Hosted
from slipway.engines.slots import Slots
from slipway.engines.whisper import api
from slipway.engines.whisper.args import parse
from slipway.engines.whisper.model import WhisperModel

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["DEPLOYMENT", "build", "load", "parse"]

DEPLOYMENT = "ctranslate2"


def load(wanted: Args, replica: str) -> Hosted:
    """Fetch the weights and load the model; blocks. Raises EngineRefusedError, or what fetching raises."""
    settings = parse(wanted.engine_args)
    model = WhisperModel(fetched(wanted.model_prefix), settings)
    served = Served(wanted.deployment, wanted.spec_digest, replica, wanted.served_name)
    slots = Slots(settings.whole("--parallel"), DEPLOYMENT)
    frontend = Frontend(served, api.handlers(model, settings, slots, served), slots.is_alive)
    return Hosted(frontend, slots.count)


def build(args: dict[str, Any]) -> Application:
    """The application, as Serve calls it from `import_path: slipway.engines.whisper.app:build`."""
    return hosting.application(DEPLOYMENT, args)
