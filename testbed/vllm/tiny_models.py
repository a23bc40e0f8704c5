"""The models that make_models.py makes, published into a store as a pull leaves them.

Belongs here: running it in vLLM's environment, publishing, and which model is for which task.
Does not: what is in them (make_models.py).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from slipway.catalog.fields import Task
from slipway.objectstore import ObjectStore
from testbed import weights
from testbed.vllm import environments

_MAKE = Path(__file__).with_name("make_models.py")

TASKS: Mapping[str, Task] = {
    "text": "text-generation",
    "embedder": "embedding",
    "reranker": "rerank",
    "classifier": "classification",
    "whisper": "speech-to-text",
}
ADAPTER = "adapter"


def make(directory: Path) -> None:
    """Write them, each into a folder of its own: half a minute on a thread."""
    command = [str(environments.vllm()), str(_MAKE), str(directory)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def publish(store: ObjectStore, directory: Path) -> None:
    """Each under its name and the one commit of all."""
    for name in (*TASKS, ADAPTER):
        files = {path.name: path.read_bytes() for path in sorted((directory / name).iterdir())}
        weights.publish(store, name, files)
