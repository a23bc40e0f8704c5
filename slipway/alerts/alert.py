"""An alert as a value: what is wrong with what, how bad it is, and who answers for it.

Belongs here: the value, each name's severity and patience. Does not: when one is told (ledger.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from slipway.catalog.alerts import SEVERITIES, AlertName, Severity

_LONGEST_SUMMARY = 700

SEVERITY: Mapping[AlertName, Severity] = MappingProxyType(
    {
        "catalog_broken": "error",
        "certificate_expires": "error",
        "check_failed": "error",
        "gpu_idle": "warning",
        "no_price_in_force": "warning",
        "observation_failed": "warning",
        "repair_given_up": "critical",
        "rollout_failed": "error",
        "rollup_stale": "error",
        "run_failed": "error",
        "sensor_failed": "error",
        "unpriced_usage": "warning",
    }
)

# How long something must be so before anybody is told, where it may well be over in a moment.
PATIENCE_S: Mapping[AlertName, int] = MappingProxyType({"observation_failed": 300, "sensor_failed": 120})


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong. `subject` is what it is wrong with, such as `rollout/chat`."""

    name: AlertName
    subject: str
    summary: str
    owner: str | None = None

    @property
    def key(self) -> str:
        """The same for as long as it lasts, and whenever it comes again."""
        return f"{self.name}/{self.subject}"

    @property
    def severity(self) -> Severity:
        """That of its name."""
        return SEVERITY[self.name]

    @property
    def rank(self) -> int:
        """Greater for what is worse."""
        return SEVERITIES.index(self.severity)


def shortened(summary: str) -> str:
    """A summary of bounded length, in one line."""
    line = " ".join(summary.split())
    return line if len(line) <= _LONGEST_SUMMARY else f"{line[: _LONGEST_SUMMARY - 3]}..."
