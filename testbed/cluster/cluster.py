"""One test cluster on this machine: up, down, and whose it is.

Belongs here: the order of the parts, the lock, owner and users. Does not: the parts themselves.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from slipway.stack.ports import lasting_ports
from testbed.cluster import addons, binaries, certificates, control_plane, debian, network, node
from testbed.cluster.errors import ClusterError
from testbed.cluster.images import Stored
from testbed.cluster.layout import CHECKOUT, PORT_NAMES, Layout

Say = Callable[[str], None]


@dataclass(frozen=True)
class State:
    """What `cluster.json` says. `kept`: a person started it, so tests leave it running."""

    checkout: str
    started_at: str
    kept: bool
    made_of: str
    ports: Mapping[str, int]

    @classmethod
    def read(cls, layout: Layout) -> "State | None":
        """None when there is none, or half of one."""
        try:
            return cls(**json.loads(layout.state_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, layout: Layout) -> None:
        """So that a reader never sees half of it."""
        partial = layout.state_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1))
        partial.replace(layout.state_file)


@dataclass(frozen=True)
class Running:
    """A cluster that is up. `kept`: it stays when its tests have ended."""

    layout: Layout
    ports: Mapping[str, int]
    images: Mapping[str, Stored]
    kept: bool

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.layout.kubeconfig()


def build(layout: Layout, say: Say, components: tuple[binaries.Component, ...] = binaries.CORE) -> None:
    """Make what a cluster needs and takes minutes, once. Raises ClusterError."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    debian.node_programs(layout)
    binaries.build(layout, components, say)


def up(layout: Layout, say: Say, kept: bool) -> Running:
    """Start what does not run, wait until pods can be made; harmless when all runs. Raises ClusterError."""
    _require_root()
    build(layout, say)
    with _alone(layout):
        state = _take(layout, say, kept)
        programs = debian.node_programs(layout)
        network.make_bridge(layout)
        certificates.ensure(layout.pki, control_plane.api_url(state.ports))
        control_plane.start(layout, state.ports)
        stored = node.start(layout, state.ports, programs)
        addons.start(layout, stored)
        return Running(layout, state.ports, stored, state.kept)


def down(layout: Layout, say: Say, force: bool = False) -> None:
    """Take everything down, whatever is there; nothing is left but the caches. Harmless when nothing runs.

    Raises ClusterError when the cluster is another checkout's, unless forced.
    """
    _require_root()
    layout.cache.mkdir(parents=True, exist_ok=True)
    with _alone(layout):
        state = State.read(layout)
        if state is not None and state.checkout != str(CHECKOUT) and not force:
            raise _foreign(state)
        if layout.run.exists() or network.is_left(layout):
            say("stopping pods, node and control plane")
            _remove(layout)


@contextmanager
def use(layout: Layout, say: Say) -> Iterator[Running]:
    """A running cluster for tests: the one that runs, or one that the last of its users takes down."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    with layout.users_file.open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield up(layout, say, kept=False)
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            if _is_last(users.fileno()):
                state = State.read(layout)
                if state is not None and not state.kept:
                    down(layout, say)


def _is_last(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take(layout: Layout, say: Say, kept: bool) -> State:
    """The state to go on with: what is there, or a new one after all that does not fit is taken down."""
    state, built = State.read(layout), _made_of()
    if state is not None and state.checkout != str(CHECKOUT):
        raise _foreign(state)
    if state is not None and state.made_of != built:
        say("the cluster that runs was built from other sources: starting it anew")
        _remove(layout)
        state = None
    if state is None:
        if layout.run.exists():
            _remove(layout)
        elif network.foreign_rules(debian.node_programs(layout).environment()):
            raise ClusterError(
                "iptables has a KUBE-SERVICES chain: another Kubernetes node runs here, and kube-proxy would"
                " take its rules. Stop it, or use another machine."
            )
        layout.run.mkdir(mode=0o711)
        ports = dict(zip(PORT_NAMES, lasting_ports(len(PORT_NAMES)), strict=True))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        state = State(str(CHECKOUT), now, kept, built, ports)
    state = replace(state, kept=state.kept or kept)
    state.write(layout)
    return state


def _remove(layout: Layout) -> None:
    try:
        programs = debian.node_programs(layout)
    except ClusterError:  # then there never was a node
        programs = None
    node.stop(layout, programs)
    if programs is not None:
        network.remove_rules(programs.environment())
    network.restore_kernel_settings(layout)
    node.remove_files(layout)
    network.remove_bridge()  # last: it is the mark that something is left


def _made_of() -> str:
    """Changes when a running cluster is no longer what these sources would start."""
    return " ".join([*(each.digest for each in binaries.CORE), *PORT_NAMES])


def _foreign(state: State) -> ClusterError:
    return ClusterError(
        f"a test cluster of the checkout {state.checkout} runs since {state.started_at}; there can be one."
        " Take it down there with `make cluster-down`, or here with `make cluster-down FORCE=1`."
    )


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "the test cluster needs root: a node makes network namespaces, mounts and iptables rules. Run"
            " `sudo -E make ...` or in a virtual machine."
        )


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    try:
        with FileLock(layout.lock_file, timeout=300):
            yield
    except Timeout as error:
        raise ClusterError(f"another up or down holds {layout.lock_file} for 300 s: wait for it.") from error
