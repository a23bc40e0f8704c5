"""Engine arguments of the Whisper engine.

Belongs here: one table of flags, and reading them. Does not: loading anything (model.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.engines import devices, flags
from slipway.engines.flags import ON_OFF, EngineSettings, Flag, integer, one_of

# CTranslate2's; without one int8 on the CPU and float16 on a GPU.
_COMPUTE_TYPES = (
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
    "int16",
    "float16",
    "bfloat16",
    "float32",
)

FLAGS: Mapping[str, Flag] = {
    **devices.COMMON,
    "--compute-type": Flag(read=one_of({name: name for name in _COMPUTE_TYPES})),
    "--beam-size": Flag(read=integer(1, 32), default=5),
    "--best-of": Flag(read=integer(1, 32), default=5),  # of texts that are tried again, by chance
    "--vad-filter": Flag(read=ON_OFF, default=False),  # leave silence out, by the Silero model beside it
    # An hour of sound takes 230 MB of memory, whatever its file takes.
    "--max-audio-s": Flag(read=integer(1, 24 * 3600), default=3600),
    "--max-upload-mib": Flag(read=integer(1, 4096), default=100),
}


def parse(args: Iterable[str]) -> EngineSettings:
    """Read engine arguments; raises EngineRefusedError that names every one that is wrong."""
    return flags.parse(FLAGS, args)
