"""Promise: a run killed at any moment leaves what the next run completes.

SLIPWAY_KILLS says how often: 2; each takes some 30 s.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slipway.stack.demo.traffic import Client
from testbed.cluster.objects import eventually

from .world import World

KILLS = int(os.environ.get("SLIPWAY_KILLS", "2"))
REPOSITORY = Path(__file__).parents[3]


@pytest.mark.timeout(120 + 60 * KILLS)
def test_a_run_killed_at_any_moment_is_completed_by_the_next(deployed: World, client: Client) -> None:
    contexts = [f"--ctx-size={528 + 16 * number}" for number in range(KILLS + 1)]
    began = time.monotonic()
    assert run(deployed, contexts[0], None) == 0
    whole_s = time.monotonic() - began
    moments = random.Random(KILLS)  # other moments for another number, the same for the same
    for context in contexts[1:]:
        killed_after_s = moments.uniform(0.1, 0.9) * whole_s
        ended = run(deployed, context, killed_after_s)
        assert run(deployed, context, None) == 0, f"after a kill at {killed_after_s:.1f} s"
        wanted = deployed.resolved().spec_digest
        print(f"killed after {killed_after_s:.1f} of {whole_s:.1f} s (ended {ended}): {wanted[:8]} serves")
        assert deployed.routed() == wanted
        record = deployed.revisions.get("chat", wanted)
        assert record is not None
        assert record.state == "validated"
        assert deployed.applications() == {wanted}
        assert deployed.parked() <= deployed.validated()
        eventually(lambda wanted=wanted: deployed.pod_digests() == {wanted}, "the other pods end")
        assert client.complete("chat", "The capital of France is", max_tokens=4).status == 200


def run(world: World, context: str, killed_after_s: float | None) -> int:
    """One run in a process of its own, killed with all that it started after so many seconds."""
    world.write(args=[context, "--parallel=2"])
    log = (world.catalog / "run.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.rollouts.deploying", str(world.catalog)],
        cwd=REPOSITORY,
        env={**os.environ, **world.variables},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        return process.wait(killed_after_s or 240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
