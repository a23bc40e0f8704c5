"""The build of the test cluster's programs, before the first test that needs them.

Belongs here: which programs the collected tests need, and telling a person about a build that takes minutes.
Does not: how they are built (testbed/cluster).
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.cluster import binaries
from testbed.cluster import cluster as test_cluster
from testbed.cluster.layout import Layout
from testbed.cluster.operators import OPERATORS

HERE = Path(__file__).parent


def build_for(session: pytest.Session) -> None:
    """Build what this folder's tests of the session need; nothing when they are only listed."""
    items = [item for item in session.items if HERE in item.path.parents]
    if not items or session.config.option.collectonly:
        return
    asked = {name for item in items for name in getattr(item, "fixturenames", ())}
    extra = [operator.component for name, operator in OPERATORS.items() if name in asked]
    test_cluster.build(Layout.default(), said_past_capture(session.config), (*binaries.CORE, *extra))


def said_past_capture(config: pytest.Config) -> Callable[[str], None]:
    """Prints a line at once, although pytest captures output."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"test cluster: {line}", flush=True)

    return say
