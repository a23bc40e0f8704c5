"""What runs in a plain pod: vLLM, or one of Slipway's own servers, and the adapters beside it.

Belongs here: command, arguments and init containers per engine server.
Does not: the pod (slipway.runtimes.rendering.pods), the object around it (render.py).
"""

from __future__ import annotations

import json

from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import OURS, SERVERS, VLLM
from slipway.runtimes.rendering import own_app, pods, vllm_args
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object
from slipway.runtimes.rendering.weights_access import node_cache_access, weights_access

ADAPTERS = f"{pods.CACHE}/adapters"
WEIGHTS = f"{pods.CACHE}/weights"

_SMALL = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
_SERVE_MODULE = "slipway.engines.standalone"
_FETCH_MODULE = "slipway.engines.fetch"


def program(resolved: ResolvedDeployment, cluster: ClusterSettings) -> pods.Program:
    """The engine's container; raises ValueError for a server that runs in no plain pod."""
    if SERVERS[resolved.engine.server].is_ours:
        return _ours(resolved, cluster)
    if resolved.engine.server == VLLM:
        return _vllm(resolved, cluster)
    raise RenderError.at(
        resolved.name,
        f"engine = {resolved.engine.name}: is {resolved.engine.server}, and a "
        f"plain pod runs {', '.join(OURS)} or vllm. Name another engine or another runtime.",
    )


def init_containers(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[Object]:
    """What copies and verifies adapters first: from S3, vLLM reads none (vllm#15633)."""
    if resolved.engine.server != VLLM or not resolved.adapters:
        return []
    if cluster.slipway_image is None:
        raise RenderError.at(
            resolved.name,
            "adapters: are copied by Slipway's own image, and its digest is "
            "not known. Give the image, or remove the adapters.",
        )
    access = node_cache_access(cluster.store, ADAPTERS, None)
    return [
        {
            "name": "adapters",
            "image": cluster.slipway_image,
            "command": ["python", "-m", _FETCH_MODULE],
            "args": [adapter.prefix for adapter in resolved.adapters],
            "env": pods.env_list({**pods.home_environment(), **access.env}, access.secret_env),
            "resources": _SMALL,
            "securityContext": pods.container_security(),
            "volumeMounts": pods.mounts(),
        }
    ]


def adapter_paths(resolved: ResolvedDeployment) -> dict[str, str]:
    """Where the init container leaves each adapter: the layout of slipway.artifacts.node.cache."""
    return {each.name: f"{ADAPTERS}/{each.name}/{each.commit}/files" for each in resolved.adapters}


def _ours(resolved: ResolvedDeployment, cluster: ClusterSettings) -> pods.Program:
    wanted = json.dumps(own_app.app_args(resolved), sort_keys=True)
    return pods.Program(
        command=["python", "-m", _SERVE_MODULE],
        args=[f"--port={pods.PORT}", f"--drain-s={pods.drain_s(resolved)}", wanted],
        access=node_cache_access(cluster.store, WEIGHTS, None),
    )


def _vllm(resolved: ResolvedDeployment, cluster: ClusterSettings) -> pods.Program:
    access = weights_access(cluster.store, resolved.model.prefix)
    return pods.Program(
        args=[
            *vllm_args.model_args(resolved, access),
            f"--port={pods.PORT}",
            "--enable-server-load-tracking",  # GET /load: what scales it where there is no Prometheus
            *vllm_args.server_args(resolved, cluster),
            *vllm_args.lora_modules(resolved, adapter_paths(resolved)),
        ],
        access=access,
        env={
            "VLLM_CACHE_ROOT": f"{pods.CACHE}/vllm",
            "HF_HOME": f"{pods.CACHE}/huggingface",
            "TRITON_CACHE_DIR": f"{pods.CACHE}/triton",
            **(vllm_args.SLEEP_ENV if vllm_args.sleeps(resolved) else {}),
        },
        ready="/v1/models",
        drain=["python3", "-c", vllm_args.DRAIN_SCRIPT, str(pods.drain_s(resolved))],
        shared_memory=True,
    )
