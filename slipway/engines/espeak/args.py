"""Engine arguments of the eSpeak NG engine.

Belongs here: one table of flags, and reading them. Does not: starting anything (speakers.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.engines import flags
from slipway.engines.flags import EngineSettings, Flag, integer, text

FLAGS: Mapping[str, Flag] = {
    "--parallel": Flag(read=integer(1, 64), default=1),  # a process each
    "--voice": Flag(read=text, default="en-us"),  # where a request names none
    "--max-characters": Flag(read=integer(1, 1_000_000), default=4096),  # of one request; OpenAI's bound
}


def parse(args: Iterable[str]) -> EngineSettings:
    """Read engine arguments; raises EngineRefusedError that names every one that is wrong."""
    return flags.parse(FLAGS, args)
