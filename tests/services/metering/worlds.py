"""How many generated worlds a test bills: those it names, and as many more as SLIPWAY_TEST_WORLDS says.

A world is made of one number, which Hypothesis chooses, remembers where it failed, and prints.
"""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from slipway.control.connections import Connections
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from testbed import stores

MORE = int(os.environ.get("SLIPWAY_TEST_WORLDS") or 0)


def each_world(first: int, *, one_in: int = 1) -> Callable[[Any], Any]:
    """Run a test with `seed`: the first, and more of them where that is asked for, or one in so many."""
    more = MORE // one_in
    phases = [Phase.explicit, *([Phase.reuse, Phase.generate] if more else [])]

    def decorate(test: Any) -> Any:
        wanted = settings(
            max_examples=max(1, more), phases=phases, deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )  # fmt: skip
        return wanted(example(seed=first)(given(seed=st.integers(0, 2**32 - 1))(test)))

    return decorate


@contextmanager
def new_world(store: ObjectStore, shards: int) -> Iterator[Connections]:
    """A bucket and a home of their own, for each of many worlds of one test, both gone at the end."""
    own = stores.with_bucket(store.location, f"w-{uuid.uuid4().hex[:12]}")
    variables = {**stores.variables(own.location), "SLIPWAY_WAREHOUSE_SHARDS": str(shards)}
    try:
        with tempfile.TemporaryDirectory(prefix="slipway-world-") as home:
            yield Connections(Environment(variables, Path(home)))
    finally:
        for item in list(own.list("")):
            own.delete(item.key)
        own.client.delete_bucket(Bucket=own.location.bucket)
