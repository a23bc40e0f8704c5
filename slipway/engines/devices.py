"""Where an engine computes: on the CPU, or on the node's CUDA device where there is one.

Belongs here: the flag that all engines share, and what it comes to. Does not: asking a library (the engines).
"""

from __future__ import annotations

from typing import Literal

from slipway.engines.errors import EngineRefusedError
from slipway.engines.flags import EngineSettings, Flag, integer, one_of

Device = Literal["cpu", "cuda"]

# One thread by default: several engines share a node, and each would take all of its cores.
COMMON: dict[str, Flag] = {
    "--device": Flag(read=one_of({"auto": "auto", "cpu": "cpu", "cuda": "cuda"}), default="auto"),
    "--threads": Flag(read=integer(1, 512), default=1),
    "--parallel": Flag(read=integer(1, 64), default=1),
}


def chosen(settings: EngineSettings, *, has_cuda: bool, engine: str) -> Device:
    """The device that the arguments and the node come to.

    Raises EngineRefusedError for CUDA where there is none: on the CPU it would serve far too slowly.
    """
    asked = settings.text("--device")
    if asked == "cuda" and not has_cuda:
        raise EngineRefusedError(
            f"engine argument --device=cuda: {engine} sees no CUDA device here. Give the deployment "
            "resources.gpu and an image with CUDA, or write --device=auto."
        )
    return "cuda" if has_cuda and asked != "cpu" else "cpu"
