"""Which of the cluster's tests run beside which: tiers by marker, processes by group, and the order.

Belongs here: deciding it from a test's place, text and fixtures.
Does not: fixtures (conftest.py), the commands that run each tier (Makefile).
"""

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent

# A tier of their own: building them takes four minutes, and few tests need them.
_SLOW_OPERATORS = frozenset({"cert_manager", "metallb", "envoy_gateway"})
_GROUPS = {"rollouts": "serving", "disruptions": "serving", "edge": "operators", "operators": "operators"}
# Files with the longest tests begin first, so that no process ends with them while the others wait.
_LONGEST = ("test_rollouts.py", "test_killed_runs.py", "test_bad_input.py")


def arrange(items: list[pytest.Item]) -> None:
    """What must not run beside other tests, what must run in one process, and what comes first.

    Those that take clusters down come before the session's own is up; those that take parts of it away, last.
    """
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        if item.path.parent == HERE / "lifecycle" or "without" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.alone)
        if _SLOW_OPERATORS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.edge)
    items.sort(key=lambda item: _order(item) if HERE in item.path.parents else 0)


class ByGroup(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Sends all tests of a group to one process. xdist's own `loadgroup` finds no groups with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(HERE.parents[1] / nodeid.partition("::")[0])


def group_of(path: Path) -> str:
    """A file's tests run in one process; so do all that use the same operators, or the node's fake GPUs.

    And those that serve while they measure that nothing fails: they need most of the node for themselves, and
    there is one node to be lost.
    """
    if path.parent.name in _GROUPS:
        return _GROUPS[path.parent.name]
    return "gpu_node" if "gpu_node" in path.read_text() else str(path)


def _order(item: pytest.Item) -> int:
    if item.path.parent == HERE / "lifecycle":
        return -1
    if item.get_closest_marker("alone"):  # the node needs a while to find back from those of the rollouts
        return len(_LONGEST) + (2 if item.path.name in _LONGEST else 1)
    return _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST)
