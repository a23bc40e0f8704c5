"""Deployments that the operators' runtimes can serve, as fields of the catalog.

Belongs here: one per way that rendering goes. Does not: what is expected of them.
"""

from typing import Any

from ..plain.variants import ADDED, ADDED_RESOURCES

GPU = {"resources": {"requests": {"cpu": 4, "memory": "16Gi"}, "gpu": {}}}
SCALED = {"autoscaling": {"min_replicas": 1, "max_replicas": 4, "target": {"ongoing_requests": 8}}}
NIM: dict[str, Any] = {
    "runtime": "nim",
    "server": "nim",
    "engine": {"api_key": {"secret": "ngc-api"}},
    **GPU,
}
DYNAMO: dict[str, Any] = {
    "runtime": "dynamo",
    "server": "dynamo",
    "engine": {"images": {"nvidia": {"image": "nvcr.io/d", "tag": "1.3.1-cuda13"}}},
    **GPU,
}

PROBES: dict[str, Any] = {
    name: {"period_s": 7, "failures": 9} for name in ("startup", "readiness", "liveness")
}

VARIANTS: dict[str, dict[str, Any]] = {
    "kubeai": {"runtime": "kubeai"},
    "kubeai scaled": {"runtime": "kubeai", **SCALED},
    "kubeai profile": {"runtime": "kubeai", "resources": {"profile": "nvidia-gpu-l4:2"}},
    "kubeai adapters": {
        "runtime": "kubeai",
        "adapters": ["tone"],
        "load_balancing": {"strategy": "prefix-hash"},
    },
    "kubeai GPU": {
        "runtime": "kubeai",
        "resources": {"gpu": {"class": "h100", "count": 2}},
        "isolation": {"runtime_class": "gvisor"},
    },
    "kserve": {"runtime": "kserve", "secrets": [{"name": "A", "secret": "s"}]},
    "kserve huggingface": {"runtime": "kserve", "server": "huggingface", "task": "embedding"},
    "kserve hpa": {
        "runtime": "kserve",
        **GPU,
        "autoscaling": {"max_replicas": 3, "target": {"cpu_percent": 60}},
    },
    "kserve keda": {"runtime": "kserve", **SCALED},
    "kserve zero": {"runtime": "kserve", "autoscaling": {"min_replicas": 0, "idle": "zero"}},
    "kserve adapters": {"runtime": "kserve", "adapters": ["tone"], **SCALED, **GPU},
    "kserve nodes": {"runtime": "kserve", "nodes_per_replica": 2, "resources": {"gpu": {"count": 8}}},
    "kserve in place": {"runtime": "kserve", "rollout": {"strategy": "in-place", "surge": 1}, "alias": True},
    "kuberay": {"runtime": "kuberay", "server": "llama.cpp"},
    "kuberay vllm": {"runtime": "kuberay", **GPU, **SCALED, "adapters": ["tone"], "alias": True},
    "kuberay fraction": {"runtime": "kuberay", "resources": {"gpu": {"fraction": 0.49, "vendor": "amd"}}},
    "nim": NIM,
    "nim volume": {**NIM, "resources": {"gpu": {"count": 2}, "volume_size": "50Gi", "volume_class": "rwx"}},
    "nim scaled": {**NIM, "autoscaling": {"max_replicas": 3, "target": {"cpu_percent": 80}}},
    "nim nodes": {**NIM, "nodes_per_replica": 2, "alias": True},
    "kubeai added": {
        "runtime": "kubeai",
        "resources": {"gpu": {}, "extended": {"rdma/hca": 1}},
        "placement": {"node_affinity": ADDED["placement"]["node_affinity"], "priority_class": "high"},
        "files": [{"path": "/templates/chat.jinja", "content": "{{ messages }}"}],
    },
    "kserve added": {
        "runtime": "kserve",
        **ADDED,
        "probes": PROBES,
        "resources": {"gpu": {}, **ADDED_RESOURCES},
    },
    "kserve nodes added": {
        "runtime": "kserve",
        **ADDED,
        "probes": PROBES,
        "nodes_per_replica": 2,
        "resources": {"gpu": {}, "extended": {"rdma/hca": 1}, "device_claims": ["nic"]},
    },
    "kuberay added": {
        "runtime": "kuberay",
        **ADDED,
        "max_ongoing_requests": 7,
        "resources": {"gpu": {}, **ADDED_RESOURCES},
    },
    "nim added": {
        **NIM,
        "placement": {"node_affinity": ADDED["placement"]["node_affinity"], "priority_class": "high"},
        "probes": PROBES,
        "resources": {"gpu": {}, **ADDED_RESOURCES},
    },
    "dynamo added": {**DYNAMO, **ADDED, "resources": {"gpu": {}, **ADDED_RESOURCES}},
    "dynamo": DYNAMO,
    "dynamo scaled": {**DYNAMO, **SCALED, "adapters": ["tone"]},
    "dynamo nodes": {**DYNAMO, "nodes_per_replica": 2, "load_balancing": {"strategy": "prefix-hash"}},
}
