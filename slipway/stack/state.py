"""What the stack remembers between commands: `<home>/stack.json` (ports, main processes) and `stack.env`.

Belongs here: reading and writing the two files, so that a reader never sees half of one.
Does not: believing them (processes.py looks at what really runs).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from slipway.stack.layout import Layout

_SCHEMA = 1


@dataclass(frozen=True)
class Leader:
    """A service's main process. A pid is used again by the system; pid and start time together are not.

    `created_at` is psutil's start time in seconds; `ready` says that it was once seen healthy.
    """

    pid: int
    created_at: float
    ready: bool = False


@dataclass(frozen=True)
class StackState:
    """The stack's addresses and main processes."""

    home: Path
    ports: Mapping[str, int] = field(default_factory=dict)
    leaders: Mapping[str, Leader] = field(default_factory=dict)

    def url(self, port: str) -> str:
        """Loopback URL of a named port."""
        return f"http://127.0.0.1:{self.ports[port]}"

    @property
    def ui_url(self) -> str:
        """Dagster's UI."""
        return self.url("dagster")

    @property
    def gateway_url(self) -> str:
        """The tenants' gateway; the OpenAI API is below `/v1`."""
        return self.url("gateway")

    @property
    def environment(self) -> dict[str, str]:
        """The `SLIPWAY_*` variables of `stack.env`, for processes beside the stack. Holds secrets."""
        return read_env(Layout(self.home).env_file)

    def with_leader(self, service: str, leader: Leader) -> StackState:
        """The same with another main process of a service."""
        return replace(self, leaders={**self.leaders, service: leader})


def read_state(layout: Layout) -> StackState:
    """Read the state; a missing or damaged file is an empty state, because nothing depends on its truth."""
    try:
        document = json.loads(layout.state_file.read_text())
        return StackState(
            home=layout.home,
            ports={str(name): int(port) for name, port in document["ports"].items()},
            leaders={str(name): Leader(**leader) for name, leader in document["leaders"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return StackState(layout.home)


def write_state(layout: Layout, state: StackState) -> None:
    """Replace the state in one step."""
    document = {
        "schema": _SCHEMA,
        "ports": dict(state.ports),
        "leaders": {name: asdict(leader) for name, leader in state.leaders.items()},
    }
    _replace(layout.state_file, json.dumps(document, indent=2) + "\n")


def read_env(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; empty when there is no file."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def write_env(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file in one step; only its owner may read it."""
    body = "".join(f"{name}={value}\n" for name, value in sorted(variables.items()))
    _replace(path, "# Written by `slipway up`; holds secrets.\n" + body)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file with mode 0600.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
