"""Deployments that the plain runtime can serve, and parts of what is rendered of them."""

from typing import Any

from slipway.runtimes.rendering.rendered import Object

GPU = {"gpu": {"count": 1}}

# What a deployment may add to its pods, on a runtime that takes a whole pod template.
ADDED: dict[str, Any] = {
    "placement": {
        "node_affinity": [{"key": "rack", "values": ["a", "b"]}, {"key": "fast", "operator": "Exists"}],
        "spread": [{"over": "topology.kubernetes.io/zone", "max_skew": 2, "required": True}],
        "priority_class": "high",
    },
    "volumes": [
        {"mount_path": "/data", "claim": "data"},
        {"mount_path": "/templates", "config_map": "templates"},
        {"mount_path": "/keys", "secret": "keys"},
        {"mount_path": "/scratch", "claim": "scratch", "read_only": False},
    ],
    "ca": {"config_map": "authorities"},
}
ADDED_RESOURCES: dict[str, Any] = {
    "extended": {"rdma/hca": 1},
    "device_claims": ["nic"],
    "shared_memory": "32Gi",
}
PROBES: dict[str, Any] = {
    "startup": {"failures": 900},
    "readiness": {"path": "/ready", "period_s": 2},
    "liveness": {"timeout_s": 30, "initial_delay_s": 60},
}

VARIANTS: dict[str, dict[str, Any]] = {
    "CPU": {},
    "llama.cpp": {"server": "llama.cpp"},
    "GPUs": {"resources": {"requests": {"cpu": 4, "memory": "32Gi"}, "gpu": {"count": 2, "class": "h100"}}},
    "MIG": {"resources": {"gpu": {"mig_profile": "1g.10gb"}}},
    "time-slicing": {"resources": {"gpu": {"sharing": "time-slicing"}}},
    "AMD": {"resources": {"gpu": {"vendor": "amd"}}},
    "Intel": {"resources": {"gpu": {"vendor": "intel"}}},
    "volume": {"resources": {"volume_size": "50Gi", "volume_class": "nvme"}},
    "adapters": {"adapters": ["tone", {"adapter": "law", "served_name": "chat-law"}]},
    "HPA": {
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
        "autoscaling": {"max_replicas": 3, "target": {"cpu_percent": 70, "memory_percent": 80}},
    },
    "KEDA": {
        "resources": {"requests": {"cpu": 1}},
        "autoscaling": {
            "max_replicas": 3,
            "target": {"cpu_percent": 70, "ongoing_requests": 2.5, "queue_depth": 4},
        },
    },
    "to zero": {"autoscaling": {"min_replicas": 0, "max_replicas": 2, "idle": "zero"}},
    "sleep": {"resources": GPU, "autoscaling": {"idle": "sleep"}},
    "nodes": {"resources": {"gpu": {"count": 8}}, "nodes_per_replica": 2},
    "nodes, scaled": {"nodes_per_replica": 2, "resources": GPU, "autoscaling": {"max_replicas": 3}},
    "isolation": {"isolation": {"namespace": "tenant-a", "runtime_class": "gvisor", "network_policy": False}},
    "in place": {"rollout": {"strategy": "in-place", "surge": 1}, "replicas": 3, "alias": True},
    "blue-green alias": {"alias": True},
    "secrets": {"secrets": [{"name": "HF_TOKEN", "secret": "hub"}, {"name": "A", "secret": "s", "key": "k"}]},
    "added": {**ADDED, "probes": PROBES, "resources": {**GPU, **ADDED_RESOURCES}},
    "added, nodes": {
        **ADDED,
        "probes": PROBES,
        "resources": {**GPU, **ADDED_RESOURCES},
        "nodes_per_replica": 2,
    },
    "divided": {
        "resources": {"gpu": {"count": 8}},
        "parallelism": {"pipeline": 2, "data": 2, "expert": True},
    },
    "taints": {"tolerations": [{"key": "team", "value": "a", "effect": "NoExecute"}, {"key": "spot"}]},
}


def container(objects: dict[str, Object]) -> Object:
    """The engine's container."""
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    found: Object = spec["containers"][0]
    return found


def env(objects: dict[str, Object]) -> dict[str, str]:
    """Its environment."""
    return {each["name"]: each.get("value", "") for each in container(objects)["env"]}
