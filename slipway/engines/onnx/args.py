"""Engine arguments of the ONNX Runtime engine.

Belongs here: one table of flags, and reading them. Does not: loading anything (model.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.engines import devices, flags
from slipway.engines.flags import ON_OFF, EngineSettings, Flag, integer, one_of

FLAGS: Mapping[str, Flag] = {
    **devices.COMMON,
    "--batch-size": Flag(read=integer(1, 1024), default=16),
    "--max-tokens": Flag(read=integer(8, 2**20)),  # of one text; None: as config.json or the tokenizer says
    # Of embeddings: cls as BGE's, mean as most others'; None: as 1_Pooling/config.json says, else cls.
    "--pooling": Flag(read=one_of({"cls": "cls", "mean": "mean", "last": "last"})),
    "--normalize": Flag(read=ON_OFF, default=True),
    # Whether a vector may be cut to `dimensions`: of use only for a model that was trained for it.
    "--matryoshka": Flag(read=ON_OFF, default=False),
}


def parse(args: Iterable[str]) -> EngineSettings:
    """Read engine arguments; raises EngineRefusedError that names every one that is wrong."""
    return flags.parse(FLAGS, args)
