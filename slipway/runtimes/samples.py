"""A deployment per field that a person may write, to see what each runtime makes of it.

Belongs here: the samples, and what honours a field when no rendered object does.
Does not: drawing conclusions (table.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]

_REQUESTS: Fields = {"resources": {"requests": {"cpu": 2, "memory": "4Gi"}}}


@dataclass(frozen=True)
class Sample:
    """`written` over `base` is one deployment with one field more; `label` shows a value."""

    field: str
    written: Fields
    base: Fields = dataclasses.field(default_factory=dict)
    label: str = ""

    @property
    def title(self) -> str:
        """The field as the table names it."""
        return f"{self.field}: {self.label}" if self.label else self.field


def _gpu(**fields: Any) -> Fields:
    return {"resources": {"gpu": fields}}


def _scaled(**fields: Any) -> Fields:
    return {"autoscaling": fields}


def _target(**fields: Any) -> Fields:
    return {"autoscaling": {"target": fields}}


SAMPLES: tuple[Sample, ...] = (
    Sample("model", {"model": "other"}),
    Sample("adapters", {"adapters": ["tone"]}),
    Sample("runtime", {}),
    Sample("engine", {}),
    Sample("data_plane", {"data_plane": "west"}),
    Sample("args", {"args": ["--max-num-seqs=7"]}),
    Sample("env", {"env": {"A": "1"}}),
    Sample("secrets", {"secrets": [{"name": "A", "secret": "s"}]}),
    Sample("replicas", {"replicas": 3}),
    Sample("nodes_per_replica", {"nodes_per_replica": 2}, _gpu(count=8)),
    Sample("resources.requests.cpu", {"resources": {"requests": {"cpu": 3}}}),
    Sample("resources.requests.memory", {"resources": {"requests": {"memory": "3Gi"}}}),
    Sample("resources.limits.cpu", {"resources": {"limits": {"cpu": 3}}}),
    Sample("resources.limits.memory", {"resources": {"limits": {"memory": "3Gi"}}}),
    Sample("resources.gpu.count", _gpu(count=2), _gpu()),
    Sample("resources.gpu.fraction", _gpu(fraction=0.5), _gpu()),
    Sample("resources.gpu.vendor", _gpu(vendor="amd"), _gpu()),
    Sample("resources.gpu.class", _gpu(**{"class": "h100"}), _gpu()),
    Sample("resources.gpu.mig_profile", _gpu(mig_profile="1g.10gb"), _gpu()),
    Sample("resources.gpu.memory", _gpu(memory="80Gi"), _gpu()),
    Sample("resources.gpu.sharing", _gpu(sharing="time-slicing"), _gpu(), label="time-slicing"),
    Sample("resources.gpu.sharing", _gpu(sharing="mps"), _gpu(), label="mps"),
    Sample("resources.profile", {"resources": {"profile": "nvidia-gpu-l4:1"}}),
    Sample("resources.extended", {"resources": {"extended": {"rdma/hca": 1}}}),
    Sample("resources.device_claims", {"resources": {"device_claims": ["gpu"]}}),
    Sample("resources.shared_memory", {"resources": {"shared_memory": "32Gi"}}),
    Sample(
        "resources.profile_accelerator",
        {"resources": {"profile_accelerator": "amd"}},
        {"resources": {"profile": "ours:2", "profile_accelerator": "cpu"}},
    ),
    Sample("resources.volume_size", {"resources": {"volume_size": "50Gi"}}),
    Sample(
        "resources.volume_class",
        {"resources": {"volume_class": "fast"}},
        {"resources": {"volume_size": "50Gi"}},
    ),
    Sample("parallelism.tensor", {"parallelism": {"tensor": 2, "pipeline": 2}}, _gpu(count=4)),
    Sample("parallelism.pipeline", {"parallelism": {"pipeline": 2}}, _gpu(count=4)),
    Sample("parallelism.data", {"parallelism": {"data": 2}}, _gpu(count=4)),
    Sample("parallelism.expert", {"parallelism": {"expert": True}}, _gpu(count=4)),
    Sample("node_selector", {"node_selector": {"zone": "a"}}),
    Sample("tolerations", {"tolerations": [{"key": "team"}]}),
    Sample("placement.node_affinity", {"placement": {"node_affinity": [{"key": "a", "values": ["b"]}]}}),
    Sample("placement.spread", {"placement": {"spread": [{"over": "topology.kubernetes.io/zone"}]}}),
    Sample("placement.priority_class", {"placement": {"priority_class": "high"}}),
    Sample("volumes", {"volumes": [{"mount_path": "/data", "claim": "data"}]}),
    Sample("files", {"files": [{"path": "/x.jinja", "content": "a"}]}),
    Sample("ca.config_map", {"ca": {"config_map": "authorities"}}),
    Sample("ca.key", {"ca": {"config_map": "a", "key": "b.crt"}}, {"ca": {"config_map": "a"}}),
    Sample("probes.startup", {"probes": {"startup": {"period_s": 7}}}),
    Sample("probes.readiness", {"probes": {"readiness": {"period_s": 7}}}),
    Sample("probes.liveness", {"probes": {"liveness": {"period_s": 7}}}),
    Sample("max_ongoing_requests", {"max_ongoing_requests": 7}),
    Sample("autoscaling.min_replicas", _scaled(min_replicas=2), _scaled(max_replicas=4)),
    Sample("autoscaling.max_replicas", _scaled(max_replicas=5), _scaled(max_replicas=4)),
    Sample(
        "autoscaling.target.cpu_percent", _target(cpu_percent=61), {**_REQUESTS, **_scaled(max_replicas=4)}
    ),
    Sample(
        "autoscaling.target.memory_percent",
        _target(memory_percent=61),
        {**_REQUESTS, **_scaled(max_replicas=4)},
    ),
    Sample("autoscaling.target.ongoing_requests", _target(ongoing_requests=7), _scaled(max_replicas=4)),
    Sample("autoscaling.target.queue_depth", _target(queue_depth=7), _scaled(max_replicas=4)),
    Sample("autoscaling.upscale_delay_s", _scaled(upscale_delay_s=7), _scaled(max_replicas=4)),
    Sample("autoscaling.downscale_delay_s", _scaled(downscale_delay_s=77), _scaled(max_replicas=4)),
    Sample("autoscaling.idle", _scaled(idle="zero", min_replicas=0), _scaled(max_replicas=4), label="zero"),
    Sample("autoscaling.idle", _scaled(idle="sleep"), _scaled(max_replicas=4), label="sleep"),
    Sample(
        "autoscaling.idle_after_s",
        _scaled(idle_after_s=77),
        _scaled(max_replicas=4, idle="zero", min_replicas=0),
    ),
    Sample(
        "load_balancing.strategy",
        {"load_balancing": {"strategy": "prefix-hash"}},
        label="prefix-hash",
    ),
    Sample(
        "load_balancing.prefix_length",
        {"load_balancing": {"prefix_length": 77}},
        {"load_balancing": {"strategy": "prefix-hash"}},
    ),
    Sample(
        "load_balancing.load_factor_percent",
        {"load_balancing": {"load_factor_percent": 177}},
        {"load_balancing": {"strategy": "prefix-hash"}},
    ),
    Sample("rollout.strategy", {"rollout": {"strategy": "in-place"}}, label="in-place"),
    Sample("rollout.surge", {"rollout": {"surge": 1}}, {"rollout": {"strategy": "in-place"}}),
    Sample("rollout.deadline_s", {"rollout": {"deadline_s": 77}}),
    Sample("rollout.drain_s", {"rollout": {"drain_s": 77}}, {"rollout": {"strategy": "in-place"}}),
    Sample("rollout.validation", {"rollout": {"validation": {"prompt": "Say so."}}}),
    Sample("rollout.automatic_rollback", {"rollout": {"automatic_rollback": False}}),
    Sample("limits", {"limits": {"org": {"requests_per_minute": 60}}}),
    Sample("price", {"price": "standard"}),
    Sample("sharing", {"sharing": "all"}),
    Sample("timeout_s", {"timeout_s": 1_800}),
    Sample("public_names", {"public_names": ["meta-llama/Llama-3.1-8B-Instruct"]}),
    Sample("isolation.namespace", {"isolation": {"namespace": "tenant-a"}}),
    Sample("isolation.network_policy", {"isolation": {"network_policy": False}}, label="false"),
    Sample("isolation.runtime_class", {"isolation": {"runtime_class": "gvisor"}}),
    Sample("isolation.quota", {"isolation": {"quota": {"cpu": 100}}}),
    Sample("telemetry", {"telemetry": False}, label="false"),
    Sample("isolate_prompt_cache", {"isolate_prompt_cache": False}, label="false"),
    Sample("alias", {"alias": True}),
    Sample("path", {"path": "/llm"}),
)

# Honoured by something else than a runtime's objects, on every runtime that does not refuse it.
ELSEWHERE: Mapping[str, str] = {
    "runtime": "chooses the column",
    "engine": "image, server and environment",
    "data_plane": "data plane",
    "resources.gpu.memory": "fit check",
    "rollout.deadline_s": "data plane",
    "rollout.drain_s": "data plane",
    "rollout.surge": "data plane",
    "rollout.validation": "data plane",
    "rollout.automatic_rollback": "data plane",
    "limits": "gateway",
    "price": "metering",
    "sharing": "gateway",
    "public_names": "gateway",
    "timeout_s": "gateway",
    "isolate_prompt_cache": "gateway",
    "isolation.quota": "namespace",
    "path": "edge",
}
