"""Which of the cluster's tests run beside which: tiers by marker, processes by group, and the order.

Belongs here: deciding it from a test's place and fixtures. Does not: fixtures (conftest.py), the commands
that run each tier (Makefile).
"""

from pathlib import Path

import pytest

from testbed.cluster.operators import OPERATORS

HERE = Path(__file__).parent

# A tier of their own: building them takes four minutes, and few tests need them.
_SLOW_OPERATORS = frozenset({"cert_manager", "metallb", "envoy_gateway"})
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
    groups = {path: _group(path, ours) for path in {item.path for item in ours}}
    for item in ours:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    items.sort(key=lambda item: _order(item) if HERE in item.path.parents else 0)


def _group(path: Path, items: list[pytest.Item]) -> str:
    """A file's tests run in one process; so do all that use the same operators, or the node's fake GPUs.

    And those that serve while they measure that nothing fails: they need most of the node for themselves.
    """
    if path.parent.name in ("rollouts", "disruptions"):
        return "serving"
    asked = {name for item in items if item.path == path for name in getattr(item, "fixturenames", ())}
    if asked & OPERATORS.keys():
        return "operators"
    return "gpu_node" if "gpu_node" in asked else path.name


def _order(item: pytest.Item) -> int:
    if item.path.parent == HERE / "lifecycle":
        return -1
    if item.get_closest_marker("alone"):  # the node needs a while to find back from those of the rollouts
        return len(_LONGEST) + (2 if item.path.name in _LONGEST else 1)
    return _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST)
