"""The cluster's processes: started with marks, found by them, so that nothing has to be remembered.

Belongs here: start, alive, stop of named processes; what outlived its parent, by control group.
Does not: what is started with which flags (control_plane.py, node.py, operators.py).
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath

from filelock import FileLock

from slipway.stack import logs, processes
from slipway.stack.processes import Seen
from slipway.stack.service import HOME_MARKER, SERVICE_MARKER
from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import CGROUP, Layout

_CGROUPS = Path("/sys/fs/cgroup")
_GRACE_S = 4.0


def running(layout: Layout) -> dict[str, list[Seen]]:
    """The cluster's processes by name, with everything that descends from them, pods included."""
    return processes.owned(processes.look(layout.run), {})


def start(
    layout: Layout, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    """Start a process unless one of that name runs; what it prints goes to `log/<name>.log`."""
    marks = {HOME_MARKER: str(layout.run), SERVICE_MARKER: name}
    with FileLock(layout.run / "starting.lock"):  # the tests run in several processes
        if name in running(layout):
            return
        with logs.open_log(layout.log(name)) as output:
            processes.spawn(command, layout.run, {**(environment or os.environ), **marks}, output.fileno())


def stop(layout: Layout, names: Sequence[str]) -> None:
    """End processes by name and wait for it: SIGTERM, and SIGKILL for those that take too long."""

    def found() -> list[Seen]:
        live = running(layout)
        return [each for name in names for each in live.get(name, [])]

    if not processes.stop(found, _GRACE_S):
        left = ", ".join(f"{each.command[:60]} (pid {each.pid})" for each in found())
        raise ClusterError(
            f"cannot end {left}. Look at what it waits for (/proc/PID/stack), then run down again."
        )


def stop_all(layout: Layout) -> None:
    """End every process of the cluster, pods included, also those whose shim is gone."""
    stop(layout, list(running(layout)))
    deadline = time.monotonic() + 10
    while left := pod_processes():
        if time.monotonic() > deadline:
            raise ClusterError(f"processes of pods cannot be ended: {sorted(left)}. See /proc/PID/stack.")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def pod_processes(cgroup: str = CGROUP) -> set[int]:
    """Processes in the control groups of the pods below `cgroup`: found even when containerd is gone."""
    pids: set[int] = set()
    for group in cgroup_roots(cgroup):
        for members in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in members.read_text().split())
    return pids


def cgroup_roots(cgroup: str = CGROUP) -> list[Path]:
    """A control group in each hierarchy (version 1), or the one (version 2), as far as they exist."""
    candidates = [_CGROUPS / cgroup, *_CGROUPS.glob(f"*/{cgroup}")]
    return [each for each in candidates if each.is_dir()]


def make_cgroup(name: str) -> None:
    """Make the control group below which a kubelet puts its pods, and those above it."""
    for each in (*reversed(PurePath(name).parents[:-1]), PurePath(name)):
        _make_cgroup(each)


def _make_cgroup(name: PurePath) -> None:
    if (_CGROUPS / "cgroup.controllers").exists():  # version 2
        controllers = (_CGROUPS / "cgroup.controllers").read_text().split()
        wanted = " ".join(f"+{each}" for each in controllers)
        (_CGROUPS / name.parent / "cgroup.subtree_control").write_text(wanted)
        (_CGROUPS / name).mkdir(exist_ok=True)
        return
    for hierarchy in _CGROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            (hierarchy / name).mkdir(exist_ok=True)
            _inherit_cpuset(hierarchy / name)


def _inherit_cpuset(group: Path) -> None:
    """Version 1 lets no process into a cpuset group without CPUs and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group.parent / name).exists():
            (group / name).write_text((group.parent / name).read_text())


def remove_cgroups() -> None:
    """Remove the control groups, deepest first; they are empty when the processes have ended."""
    for root in cgroup_roots():
        groups = sorted((each for each in root.rglob("*") if each.is_dir()), reverse=True)
        for group in [*groups, root]:
            with contextlib.suppress(OSError):
                group.rmdir()


def wait(condition: Callable[[], object], what: str, log: Path | None = None, timeout_s: float = 60) -> None:
    """Ask until it holds; raises ClusterError with what was waited for and the last lines of the log."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            last = "" if log is None else f" Last lines of {log}:\n{logs.last_lines(log, 0)}"
            raise ClusterError(f"{what}: not within {timeout_s:g} s.{last}")
        time.sleep(0.1)
