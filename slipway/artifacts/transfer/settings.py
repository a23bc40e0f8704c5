"""What the environment says of transfers: how patient they are, and how slow a connection may be.

Belongs here: the variables' names, and reading a number. Does not: what follows from it (retry.py, pace.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from slipway.artifacts.errors import ArtifactError

PATIENCE_VARIABLE = "SLIPWAY_TRANSFER_PATIENCE_S"
LEAST_RATE_VARIABLE = "SLIPWAY_TRANSFER_LEAST_BYTES_PER_S"


def positive_number(variables: Mapping[str, str], name: str, default: float) -> float:
    """The number in a variable, zero included; the default where it is absent or empty."""
    text = variables.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ArtifactError(f"{name} = {text!r}: no number of zero or more. Write one, such as {default:g}.")
    return value
