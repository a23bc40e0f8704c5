"""Ray as the embedded data plane: the command line and environment of one head node on loopback.

Belongs here: how one `ray start --head --block` is started, with every port chosen.
Does not: starting it (the supervisor, or a test fixture), what it serves (slipway.dataplane).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from slipway.environment import S3Location

# Ray puts unix sockets below its directory: `<dir>/session_<date>_<pid>/sockets/plasma_store`, 107 bytes
# at most.
MAX_TEMP_DIR_LENGTH = 40


@dataclass(frozen=True)
class RayPorts:
    """Every port of the head node that Ray would otherwise take by default or at random."""

    gcs: int
    dashboard: int
    dashboard_agent: int
    runtime_env_agent: int
    node_manager: int
    object_manager: int
    metrics: int


def command(
    temp_dir: Path, ports: RayPorts, *, cpus: int = 2, object_store_bytes: int = 150_000_000
) -> list[str]:
    """Command line of one Ray head on loopback; it stays in the foreground and its children end with it.

    Serve's HTTP proxy is not started here: it listens where the first Serve configuration says
    (`SLIPWAY_RAY_SERVE_URL`). Raises ValueError when `temp_dir` is too long for Ray's unix sockets.
    """
    if len(str(temp_dir)) > MAX_TEMP_DIR_LENGTH:
        raise ValueError(
            f"Ray's directory {temp_dir} is longer than {MAX_TEMP_DIR_LENGTH} characters, and its unix "
            "sockets lie below it. Choose a shorter one, such as /tmp/slipway-ray."
        )
    return [
        str(Path(sys.executable).with_name("ray")),
        "start",
        "--head",
        "--block",
        f"--node-ip-address={_node_address()}",
        f"--port={ports.gcs}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={ports.dashboard}",
        f"--dashboard-agent-listen-port={ports.dashboard_agent}",
        f"--runtime-env-agent-port={ports.runtime_env_agent}",
        f"--node-manager-port={ports.node_manager}",
        f"--object-manager-port={ports.object_manager}",
        f"--metrics-export-port={ports.metrics}",
        f"--num-cpus={cpus}",
        "--num-gpus=0",
        f"--object-store-memory={object_store_bytes}",
        f"--temp-dir={temp_dir}",
        "--include-log-monitor=False",
        "--disable-usage-stats",
        "--log-style=record",
    ]


def environment(location: S3Location, node_cache_dir: Path, home: Path, token: str) -> dict[str, str]:
    """Variables that engines on this node inherit: where weights come from, and where they are kept.

    The secrets are given to the node, never to a Serve configuration, which anyone who may read the
    dashboard sees. Ray's gRPC servers listen on all interfaces whatever the node's address is, and whoever
    reaches one may run code: so every call needs the token, the dashboard's REST API included
    (`Authorization: Bearer`; `GET /api/gcs_healthz` alone is open). The plain Python proxy is asked for by
    name: one process, no HAProxy beside it.
    """
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "SLIPWAY_HOME": str(home),
        "SLIPWAY_S3_ENDPOINT": location.endpoint_url,
        "SLIPWAY_S3_BUCKET": location.bucket,
        "SLIPWAY_S3_REGION": location.region,
        "SLIPWAY_S3_ACCESS_KEY": location.access_key,
        "SLIPWAY_S3_SECRET_KEY": location.secret_key,
        "SLIPWAY_NODE_CACHE": str(node_cache_dir),
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        # Every Ray process would otherwise start one BLAS thread per core.
        "OMP_NUM_THREADS": "1",
    }


def _node_address() -> str:
    # Linux: Ray replaces 127.0.0.1 by the address of the default route, which a laptop loses when it moves;
    # 127.0.0.2 is left as it is. Elsewhere Ray itself stays on 127.0.0.1.
    return "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
