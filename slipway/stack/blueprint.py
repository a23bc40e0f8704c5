"""What a stack consists of, as values that do not depend on where it runs.

Belongs here: the type that the supervisor builds from. Does not: the embedded stack itself (embedded.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slipway.stack.layout import Layout
from slipway.stack.service import Service

Ports = Mapping[str, int]
Variables = Mapping[str, str]


@dataclass(frozen=True)
class Blueprint:
    """Names of the ports, and functions from ports to the environment and from both to the services."""

    port_names: tuple[str, ...]
    variables: Callable[[Layout, Ports, Variables], dict[str, str]]
    """The content of `stack.env`, given what is there already: secrets are made once and kept."""
    services: Callable[[Layout, Ports, Variables], list[Service]]
    """In the order in which they are named to a person; the dependencies are in each `after`."""
    needed_bytes: int = 2 * 2**30
    """Free disk space below home without which nothing is started."""
