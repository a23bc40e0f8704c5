"""Stacks of cheap servers under the real supervisor: what is not under test here is what they serve."""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from slipway.stack import supervisor
from slipway.stack.blueprint import Blueprint
from slipway.stack.health import http_trouble
from slipway.stack.layout import Layout
from slipway.stack.ports import is_free
from slipway.stack.processes import look, owned
from slipway.stack.service import Part, Service
from slipway.stack.state import StackState, read_state

FAKE_SERVER = Path(__file__).with_name("supervised_server.py")


@dataclass
class StackUnderTest:
    """One home and one blueprint, with the questions that tests ask."""

    home: Path
    blueprint: Blueprint
    said: list[str] = field(default_factory=list)

    def up(self) -> StackState:
        return supervisor.up(
            self.home, catalog=Path("unused"), progress=self.said.append, blueprint=self.blueprint
        )

    def down(self) -> None:
        supervisor.down(self.home, self.said.append)

    def states(self) -> dict[str, str]:
        return {
            each.name: each.state.value for each in supervisor.status(self.home, blueprint=self.blueprint)
        }

    def wait_ready(self, service: str) -> None:
        deadline = time.monotonic() + 90
        while self.states()[service] != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def pids(self) -> dict[str, list[int]]:
        """Pids of all processes by service, found by their marks alone."""
        seen = owned(look(Layout.of(self.home).home), {})
        return {name: [each.pid for each in every] for name, every in seen.items()}

    def leader(self, service: str) -> int:
        return self.state.leaders[service].pid

    @property
    def state(self) -> StackState:
        return read_state(Layout.of(self.home))

    def open_ports(self) -> list[int]:
        return [port for port in self.state.ports.values() if not is_free(port)]

    def kill(self, *pids: int) -> None:
        """SIGKILL, and wait until the processes have ended."""
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended with another one
                psutil.Process(pid).kill()
        deadline = time.monotonic() + 90
        while any(self.alive(pid) for pid in pids):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @staticmethod
    def alive(pid: int) -> bool:
        """Whether it runs; one that has ended and waits for its parent to ask about it does not."""
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def fake(name: str, port: int, *arguments: str, after: Sequence[str] = ()) -> Service:
    return Service(
        name=name,
        command=(sys.executable, str(FAKE_SERVER), str(port), *arguments),
        directory=FAKE_SERVER.parent,
        environment={"FAKE_SERVER": name},
        ports={name: port},
        after=frozenset(after),
        parts=(Part("part", re.compile("# a part")),) if "--part" in arguments else (),
        trouble=lambda _since: http_trouble(f"http://127.0.0.1:{port}/"),
        start_deadline_s=120,
        patience_s=1,
    )


def fakes(arguments: Mapping[str, Sequence[str]]) -> Blueprint:
    """A blueprint of fake servers: arguments by name."""
    return Blueprint(
        port_names=tuple(arguments),
        variables=lambda layout, _ports, _existing: {
            "SLIPWAY_HOME": str(layout.home),
            "SLIPWAY_CATALOG": "unused",
        },
        services=lambda _layout, ports, _variables: [
            fake(name, ports[name], *words) for name, words in arguments.items()
        ],
        needed_bytes=0,
    )


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., StackUnderTest]]:
    """Makes stacks that are stopped at the end, whatever happened."""
    made: list[StackUnderTest] = []

    def make(blueprint: Blueprint, home: str = "home") -> StackUnderTest:
        made.append(StackUnderTest(tmp_path / home, blueprint))
        return made[-1]

    yield make
    for each in made:
        each.down()


@pytest.fixture
def make_fakes(make_stack: Callable[..., StackUnderTest]) -> Callable[..., StackUnderTest]:
    """Makes a stack of fake servers from their arguments by name; keyword `home` and `needed_bytes`."""

    def make(
        arguments: Mapping[str, Sequence[str]], home: str = "home", needed_bytes: int = 0
    ) -> StackUnderTest:
        return make_stack(replace(fakes(arguments), needed_bytes=needed_bytes), home)

    return make
