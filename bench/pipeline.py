"""`make bench-pipeline`: how fast definitions load, and what the gateway adds to a first byte.

Belongs here: the figures of step 1 and their targets. Does not: how the gateway is measured (bench.gateway).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import gateway
from bench.figures import Figure, report

REPOSITORY = Path(__file__).parents[1]
RUNS = 3
_LOAD = "from pipelines.definitions import defs; defs.get_repository_def()"
_DEPLOYMENT = """---
kind: Deployment
name: deployment-{n:04d}
spec:
  model: model-{model:03d}
  runtime: ray
  engine: llama-cpp
  args: [--ctx-size=2048]
  sharing: all
"""
_MODEL = """---
kind: Model
name: model-{n:03d}
spec: {{source: "hf://bench/model-{n:03d}@{n:040x}"}}
"""


def main() -> int:
    """Measure everything, print it, return the exit status."""
    return report(figures())


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    yield Figure("definitions_load_demo", load_s(REPOSITORY / "catalog"), 3, "s")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
        write_catalog(Path(directory), deployments=1_000)
        yield Figure("definitions_load_1000_deployments", load_s(Path(directory)), 8, "s")
    cost = gateway.measure()
    yield Figure("gateway_adds_to_first_byte_median", cost.engine.added_ms, 1, "ms")


def load_s(catalog: Path) -> float:
    """Seconds of a fresh interpreter that loads the code location: the best of a few runs."""
    environment = {**os.environ, "SLIPWAY_CATALOG": str(catalog)}
    return min(_timed(environment) for _ in range(RUNS))


def write_catalog(directory: Path, *, deployments: int) -> None:
    """A catalog of so many deployments over a tenth as many models."""
    models = max(deployments // 10, 1)
    documents = ["kind: Engine\nname: llama-cpp\nspec: {server: llama.cpp}\n"]
    documents += [_MODEL.format(n=n) for n in range(models)]
    documents += [_DEPLOYMENT.format(n=n, model=n % models) for n in range(deployments)]
    (directory / "catalog.yaml").write_text("".join(documents))


def _timed(environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _LOAD], cwd=REPOSITORY, env=environment, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
