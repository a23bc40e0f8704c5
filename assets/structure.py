"""Which assets there are, what each depends on and which checks its step makes: read off built definitions.

Belongs here: that reading, for whoever asks whether a catalog makes other assets than those that are loaded.
Does not: making assets (groups.py), or what is in them (a change of that needs no other assets).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class Node:
    """One asset: its parents, and the names of the checks that its step makes."""

    parents: frozenset[dg.AssetKey]
    checks: frozenset[str]


Structure = Mapping[dg.AssetKey, Node]


def structure_of(definitions: Iterable[dg.AssetsDefinition]) -> Structure:
    """Each asset of these definitions with its parents and checks; two are equal when nothing was added,
    taken away or wired otherwise.
    """
    nodes: dict[dg.AssetKey, Node] = {}
    for definition in definitions:
        checks: dict[dg.AssetKey, set[str]] = {}
        for check in definition.check_specs:
            checks.setdefault(check.asset_key, set()).add(check.name)
        for spec in definition.specs:
            parents = frozenset(dep.asset_key for dep in spec.deps)
            nodes[spec.key] = Node(parents, frozenset(checks.get(spec.key, ())))
    return nodes


def check_keys(structure: Structure, assets: Iterable[dg.AssetKey]) -> list[dg.AssetCheckKey]:
    """The checks that the steps of these assets make, and no others."""
    return [dg.AssetCheckKey(key, name) for key in assets for name in sorted(structure[key].checks)]
