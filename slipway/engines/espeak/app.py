"""The eSpeak NG engine as an application: what a replica starts, and the builder for Serve.

Belongs here: joining processes, API and life. Does not: any of the three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.engines import hosting
from slipway.engines.errors import EngineRefusedError
from slipway.engines.espeak import api
from slipway.engines.espeak.args import parse
from slipway.engines.espeak.speakers import Speakers
from slipway.engines.fetch import fetched
from slipway.engines.frontend import Frontend, Served
from slipway.engines.hosting import Args, Hosted
from slipway.engines.slots import Slots

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["DEPLOYMENT", "build", "load", "parse"]

DEPLOYMENT = "espeak-ng"


def load(wanted: Args, replica: str) -> Hosted:
    """Fetch the data and start to speak; blocks. Raises EngineRefusedError, or what fetching raises."""
    settings = parse(wanted.engine_args)
    speakers = Speakers(fetched(wanted.model_prefix), settings.whole("--parallel"))
    voice = settings.text("--voice")
    language, _, variant = voice.partition("+")
    if language not in speakers.languages or (variant and variant not in speakers.variants):
        speakers.close()
        raise EngineRefusedError(
            f"engine argument --voice={voice}: not in its data. Write one of "
            f"{', '.join(sorted(speakers.languages))}."
        )
    served = Served(wanted.deployment, wanted.spec_digest, replica, wanted.served_name)
    slots = Slots(settings.whole("--parallel"), DEPLOYMENT)
    frontend = Frontend(served, api.handlers(speakers, settings, slots, served), slots.is_alive)
    return Hosted(frontend, slots.count, speakers, speakers.close)


def build(args: dict[str, Any]) -> Application:
    """The application, as Serve calls it from `import_path: slipway.engines.espeak.app:build`."""
    return hosting.application(DEPLOYMENT, args)
