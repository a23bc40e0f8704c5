"""Parts of a code location that take the place of others: of the same key or name, or added besides.

Belongs here: that one rule, for each kind of part. Does not: the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

Job = dg.JobDefinition | UnresolvedAssetJobDefinition
Part = TypeVar("Part")
Named = TypeVar("Named", Job, dg.ScheduleDefinition, dg.SensorDefinition)


def assets(
    parts: Iterable[dg.AssetsDefinition], given: Iterable[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """Steps of assets; one that makes a given asset's key is replaced as a whole."""
    return _replaced(parts, given, lambda part: part.keys)


def checks(
    parts: Iterable[dg.AssetChecksDefinition], given: Iterable[dg.AssetChecksDefinition]
) -> list[dg.AssetChecksDefinition]:
    """Checks that run on their own."""
    return _replaced(parts, given, lambda part: part.check_keys)


def named(parts: Iterable[Named], given: Iterable[Named]) -> list[Named]:
    """Jobs, schedules or sensors."""
    return _replaced(parts, given, lambda part: [part.name])


def _replaced(
    parts: Iterable[Part], given: Iterable[Part], names: Callable[[Part], Iterable[Hashable]]
) -> list[Part]:
    """The parts, but for those that have a name in common with a given one, and what is given."""
    given = list(given)
    taken = {name for part in given for name in names(part)}
    return [*(part for part in parts if taken.isdisjoint(names(part))), *given]
