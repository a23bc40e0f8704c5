"""Whether the cards of a replica are divided as the deployment has them.

Belongs here: what contradicts, as (field, reason). Pure. Does not: the division itself (layout.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from slipway.catalog.deployment import Deployment
from slipway.runtimes.arguments import layout, parsing

Where = tuple[str | int, ...]


def contradictions(deployment: Deployment) -> Iterator[tuple[Where, str]]:
    """Sizes that do not multiply to the replica's cards, or that are said twice and differ."""
    said_twice = list(_said_twice(deployment))
    yield from said_twice
    if said_twice or not _has_cards(deployment):
        return
    division = layout.of(deployment)
    if division.data > 1 and deployment.nodes_per_replica > 1:
        yield (
            _place(deployment, layout.DATA),
            "divides copies over the nodes of a replica, which are one engine. Set replicas instead",
        )
    elif division.asked != division.cards:
        yield (
            _first_place(deployment),
            f"{division.arithmetic} makes {division.asked} cards, and a replica has {division.cards} "
            f"({_has(deployment)}). {_remedy(deployment, division)}",
        )


def _said_twice(deployment: Deployment) -> Iterator[tuple[Where, str]]:
    parsed = parsing.parse(deployment.args)
    for option, field in layout.FIELDS.items():
        given, said = parsed.last(option), getattr(deployment.parallelism, field)
        if given is not None and said is not None and given.value != str(said):
            yield (
                ("args", given.at),
                f"{parsing.spelled(given)} = {given.value}: contradicts parallelism.{field} = {said}. "
                "Remove it from args",
            )
        elif given is not None and layout.written(deployment, option) is None:
            yield (
                ("args", given.at),
                f"{parsing.spelled(given)} = {given.value}: is no number above 0. Write one",
            )


def _has_cards(deployment: Deployment) -> bool:
    """On CPUs tensors go over sockets, and a share of a card is one."""
    return deployment.cards is not None


def _place(deployment: Deployment, option: str) -> Where:
    given = parsing.parse(deployment.args).last(option)
    if getattr(deployment.parallelism, layout.FIELDS.get(option, ""), None) is None and given is not None:
        return ("args", given.at)
    return ("parallelism", layout.FIELDS[option]) if option in layout.FIELDS else ("args",)


def _first_place(deployment: Deployment) -> Where:
    options = (layout.TENSOR, layout.PIPELINE, layout.DATA, layout.PREFILL_CONTEXT)
    said = [each for each in options if layout.written(deployment, each) is not None]
    return _place(deployment, said[0]) if said else ("resources", "gpu", "count")


def _has(deployment: Deployment) -> str:
    nodes = deployment.nodes_per_replica
    return f"gpu.count {deployment.cards}" + (f" x nodes_per_replica {nodes}" if nodes > 1 else "")


def _remedy(deployment: Deployment, division: layout.Layout) -> str:
    nodes = deployment.nodes_per_replica
    count = f"set resources.gpu.count to {division.asked // nodes}" if division.asked % nodes == 0 else ""
    return f"Correct parallelism, or {count}" if count else "Correct parallelism"
