"""Which environment each engine has: vLLM, Ray Serve LLM with a vLLM of its own, KServe, Dynamo, Infinity.

`python -m testbed.vllm.environments` makes those that are not there and prints where they are: 8 GB in all, a
minute or a few, as packages come.

Belongs here: their names. Does not: making them (testbed/environments.py), what runs in them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from testbed import environments

_HERE = Path(__file__).parent
NAMES = ("vllm", "ray", "kserve", "dynamo", "infinity")


def vllm() -> Path:
    """The interpreter of vLLM for CPU, with the Run:ai streamer."""
    return interpreter("vllm")


def interpreter(name: str) -> Path:
    """The interpreter of the environment that `requirements-<name>.lock` describes, made where it is not.

    Raises MissingProgramError when it cannot be made here.
    """
    return environments.interpreter(_HERE / f"requirements-{name}.lock")


def vllm_made() -> Path | None:
    """The directory of vLLM's environment, where it is made already."""
    return environments.made(_HERE / "requirements-vllm.lock")


if __name__ == "__main__":
    for name in NAMES:
        sys.stdout.write(f"{name}: {interpreter(name)}\n")
