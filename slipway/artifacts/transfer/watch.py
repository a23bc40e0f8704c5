"""How a transfer behaves, and what it tells while it runs.

Belongs here: these values. Does not: carrying anything (transfer.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slipway.artifacts.source import SourceFile
from slipway.artifacts.transfer.parts import TransferLimits
from slipway.artifacts.transfer.progress import Meter, Report
from slipway.artifacts.transfer.retry import RetryPolicy


@dataclass(frozen=True)
class TransferSettings:
    """How a transfer behaves; the defaults suit a fast network and 256 MiB of memory."""

    limits: TransferLimits = field(default_factory=TransferLimits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> TransferSettings:
        """As the environment says. Raises ArtifactError for a value that is none."""
        return cls(retry=RetryPolicy.of(variables))


@dataclass(frozen=True)
class Watch:
    """What a transfer tells while it runs.

    `began`: the first bytes of a file, when they are at hand. `overtaken` raises when another run published.
    """

    meter: Meter
    report: Report
    began: Callable[[SourceFile, memoryview], None]
    overtaken: Callable[[], None]
