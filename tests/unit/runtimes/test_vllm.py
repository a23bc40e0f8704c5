import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.engines import llamacpp
from slipway.runtimes import identity, vllm
from slipway.runtimes.rendered import Object, Rendered
from slipway.runtimes.surroundings import RenderError, Surroundings

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]

GPU = {"gpu": {"count": 1}}

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
    "taints": {"tolerations": [{"key": "team", "value": "a", "effect": "NoExecute"}, {"key": "spot"}]},
}


def container(objects: dict[str, Object]) -> Object:
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    found: Object = spec["containers"][0]
    return found


def env(objects: dict[str, Object]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(objects)["env"]}


@pytest.fixture
def render(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> Callable[..., dict[str, Object]]:
    return lambda **fields: accepted(vllm.render(resolved(**fields), surroundings))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object_and_prunes_nothing(
    render: Callable[..., dict[str, Object]], variant: str
) -> None:
    assert render(**VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_says_whose_it_is(resolved: Resolve, surroundings: Surroundings, variant: str) -> None:
    spec = resolved(**VARIANTS[variant])
    rendered = vllm.render(spec, surroundings)
    for each in (*rendered.objects, *rendered.public):
        metadata = each["metadata"]
        assert metadata["labels"][identity.MANAGED_BY] == identity.SLIPWAY
        assert metadata["labels"][identity.DEPLOYMENT] == "chat"
        assert metadata["annotations"][identity.SPEC_DIGEST] == spec.spec_digest
        assert metadata["annotations"][identity.CATALOG] == "catalog/chat.yaml:3"
        assert metadata["namespace"] == (spec.deployment.isolation.namespace or surroundings.namespace)


def test_the_spec_digest_is_on_the_pod_template_and_in_the_engines_environment(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    spec = resolved()
    objects = accepted(vllm.render(spec, surroundings))
    template = objects["Deployment"]["spec"]["template"]
    assert template["metadata"]["annotations"] == {identity.SPEC_DIGEST: spec.spec_digest}
    assert env(objects)[identity.SPEC_DIGEST_ENV] == spec.spec_digest


def test_moving_a_document_within_its_file_restarts_no_pod(
    resolved: Resolve, surroundings: Surroundings
) -> None:
    moved = replace(surroundings, catalog_places={"chat": "catalog/chat.yaml:99"})
    before, after = (vllm.render(resolved(), each).objects[1] for each in (surroundings, moved))
    assert before["spec"] == after["spec"] and before["metadata"] != after["metadata"]


def test_weights_are_streamed_from_the_local_store(render: Callable[..., dict[str, Object]]) -> None:
    objects = render()
    assert container(objects)["args"][:3] == [
        f"--model=s3://models/weights/m/{'1' * 40}",
        "--load-format=runai_streamer",
        "--served-model-name=chat",
    ]
    assert env(objects)["AWS_ENDPOINT_URL"] == "http://s3.storage.svc:8333"
    assert env(objects)["AWS_EC2_METADATA_DISABLED"] == "true"
    assert env(objects)["RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING"] == "0"


def test_secrets_are_only_referred_to(render: Callable[..., dict[str, Object]]) -> None:
    secrets = {
        e["name"]: e["valueFrom"]["secretKeyRef"]
        for e in container(render(**VARIANTS["secrets"]))["env"]
        if "valueFrom" in e
    }
    assert secrets == {
        "AWS_ACCESS_KEY_ID": {"name": "slipway-s3", "key": "AWS_ACCESS_KEY_ID"},
        "AWS_SECRET_ACCESS_KEY": {"name": "slipway-s3", "key": "AWS_SECRET_ACCESS_KEY"},
        "HF_TOKEN": {"name": "hub", "key": "HF_TOKEN"},
        "A": {"name": "s", "key": "k"},
    }


def test_an_image_without_a_digest_is_not_rendered(resolved: Resolve, surroundings: Surroundings) -> None:
    by_tag = {"images": {"cpu": {"image": "docker.io/vllm/vllm-openai", "tag": "latest"}}}
    with pytest.raises(RenderError, match="no digest is known"):
        vllm.render(resolved(image=None, engine=by_tag), surroundings)


def test_without_a_gpu_the_image_for_cpus_is_taken(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    images = {
        name: {"image": f"registry.local/{name}", "digest": "sha256:" + digit * 64}
        for name, digit in (("cpu", "1"), ("nvidia", "2"), ("amd", "3"))
    }
    for fields, wanted in (({}, "cpu"), ({"resources": GPU}, "nvidia"), (VARIANTS["AMD"], "amd")):
        spec = resolved(image=None, engine={"images": images}, **fields)
        assert container(accepted(vllm.render(spec, surroundings)))["image"].startswith(
            f"registry.local/{wanted}@"
        )


def test_replicas_are_never_rendered_where_an_autoscaler_decides(
    render: Callable[..., dict[str, Object]],
) -> None:
    assert render(replicas=3)["Deployment"]["spec"]["replicas"] == 3
    for variant in ("HPA", "KEDA", "to zero"):
        assert "replicas" not in render(**VARIANTS[variant])["Deployment"]["spec"]
    assert "replicas" not in render(**VARIANTS["nodes, scaled"])["LeaderWorkerSet"]["spec"]


def test_without_spare_gpus_an_in_place_change_stops_a_replica_first(
    render: Callable[..., dict[str, Object]],
) -> None:
    def rolling(surge: int) -> Object:
        objects = render(rollout={"strategy": "in-place", "surge": surge})
        found: Object = objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]
        return found

    assert rolling(0) == {"maxSurge": 0, "maxUnavailable": 1}
    assert rolling(2) == {"maxSurge": 2, "maxUnavailable": 0}


def test_blue_green_objects_are_named_by_revision_and_the_stable_name_leads_to_the_routed_one(
    resolved: Resolve, surroundings: Surroundings
) -> None:
    spec = resolved(alias=True)
    rendered = vllm.render(spec, surroundings)
    assert {each["metadata"]["name"] for each in rendered.objects} == {spec.revision_name}
    assert rendered.address.base_url == f"http://{spec.revision_name}.slipway.svc:8000/v1"
    stable, alias = rendered.public
    assert (stable["metadata"]["name"], stable["spec"]["selector"]) == ("chat", identity.selector(spec))
    assert alias["metadata"]["name"] == "chat-predictor"
    assert alias["spec"]["externalName"] == f"{spec.revision_name}.slipway.svc.cluster.local"


def test_in_place_keeps_names_and_a_selector_that_no_change_touches(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    before, after = (
        accepted(vllm.render(resolved(rollout={"strategy": "in-place"}, args=args), surroundings))[
            "Deployment"
        ]
        for args in ([], ["--max-num-seqs=4"])
    )
    assert before["metadata"]["name"] == after["metadata"]["name"] == "chat"
    assert before["spec"]["selector"] == after["spec"]["selector"]
    assert before["spec"]["template"] != after["spec"]["template"]


def test_adapters_are_fetched_and_verified_before_vllm_starts(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    objects = accepted(vllm.render(resolved(**VARIANTS["adapters"]), surroundings))
    (fetching,) = objects["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert fetching["args"] == [f"weights/tone/{'1' * 40}/", f"weights/law/{'1' * 40}/"]
    args = container(objects)["args"]
    assert args[args.index("--lora-modules") :] == [
        "--lora-modules",
        f"tone=/cache/adapters/tone/{'1' * 40}/files",
        f"chat-law=/cache/adapters/law/{'1' * 40}/files",
    ]
    with pytest.raises(RenderError, match="Slipway's own image"):
        vllm.render(resolved(**VARIANTS["adapters"]), replace(surroundings, slipway_image=None))


def test_llama_cpp_takes_the_same_arguments_as_on_ray_and_weights_through_the_nodes_cache(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    spec = resolved(server="llama.cpp", args=["--parallel=4"], adapters=["tone"])
    objects = accepted(vllm.render(spec, surroundings))
    assert container(objects)["command"] == ["python", "-m", "slipway.engines.standalone"]
    wanted = llamacpp.Args.model_validate(json.loads(container(objects)["args"][-1]))
    assert (wanted.spec_digest, wanted.engine_args) == (spec.spec_digest, ("--parallel=4",))
    assert env(objects)["SLIPWAY_S3_ENDPOINT"] == "http://s3.storage.svc:8333"
    assert "initContainers" not in objects["Deployment"]["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("text-generation", []),
        ("speech-to-text", []),
        ("embedding", ["--runner=pooling", "--convert=embed"]),
        ("rerank", ["--runner=pooling", "--convert=classify"]),
        ("classification", ["--runner=pooling", "--convert=classify"]),
        ("text-to-speech", ["--omni"]),
    ],
)
def test_a_task_is_a_matter_of_arguments(
    render: Callable[..., dict[str, Object]], task: str, wanted: list[str]
) -> None:
    flags = {"--runner=pooling", "--convert=embed", "--convert=classify", "--omni"}
    assert [arg for arg in container(render(task=task))["args"] if arg in flags] == wanted


def test_what_the_deployment_says_itself_is_not_said_twice(render: Callable[..., dict[str, Object]]) -> None:
    own = ["--tensor-parallel-size=1", "--enable-prefix-caching", "--max-model-len=512"]
    args = container(render(args=own, context_length=4096, resources={"gpu": {"count": 2}}))["args"]
    for flag in ("tensor-parallel-size", "prefix-caching", "max-model-len"):
        assert [arg for arg in args if flag in arg] == [each for each in own if flag in each]


def test_a_prefix_cache_is_shared_by_tenants_only_with_salt_or_on_purpose(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    def caches(around: Surroundings, **fields: Any) -> bool:
        args = container(accepted(vllm.render(resolved(**fields), around)))["args"]
        return "--no-enable-prefix-caching" not in args

    assert not caches(surroundings)
    assert caches(surroundings, isolate_prompt_cache=False)
    assert caches(replace(surroundings, gateway_salts_prompts=True))


def test_shares_of_a_card_are_another_resource_on_other_nodes_and_take_a_part_of_its_memory(
    render: Callable[..., dict[str, Object]],
) -> None:
    objects = render(**VARIANTS["time-slicing"])
    assert container(objects)["resources"]["limits"] == {"nvidia.com/gpu.shared": "1"}
    assert objects["Deployment"]["spec"]["template"]["spec"]["nodeSelector"] == {
        "nvidia.com/gpu.sharing-strategy": "time-slicing"
    }
    (part,) = [a for a in container(objects)["args"] if a.startswith("--gpu-memory-utilization=")]
    assert math.isclose(float(part.partition("=")[2]), 0.9 / Surroundings.gpu_shares)


@pytest.mark.parametrize(
    ("variant", "resource", "taint"),
    [
        ("GPUs", {"nvidia.com/gpu": "2"}, "nvidia.com/gpu"),
        ("MIG", {"nvidia.com/mig-1g.10gb": "1"}, "nvidia.com/gpu"),
        ("AMD", {"amd.com/gpu": "1"}, "amd.com/gpu"),
        ("Intel", {"gpu.intel.com/i915": "1"}, "gpu.intel.com/i915"),
    ],
)
def test_a_gpu_is_its_vendors_resource_in_requests_and_limits_and_its_taint_is_tolerated(
    render: Callable[..., dict[str, Object]], variant: str, resource: dict[str, str], taint: str
) -> None:
    objects = render(**VARIANTS[variant])
    asked = container(objects)["resources"]
    assert asked["limits"] == resource and resource.items() <= asked["requests"].items()
    tolerated = objects["Deployment"]["spec"]["template"]["spec"]["tolerations"]
    assert {"key": taint, "operator": "Exists", "effect": "NoSchedule"} in tolerated


def test_pods_are_restricted(render: Callable[..., dict[str, Object]]) -> None:
    """Every field that the Pod Security Standard `restricted` asks for, and a read-only root besides."""
    pod = render(**VARIANTS["adapters"])["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in (*pod["initContainers"], *pod["containers"]):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {m["mountPath"] for m in each["volumeMounts"]} >= {"/cache", "/tmp"}


def test_loading_may_take_as_long_as_the_rollout_and_an_in_place_pod_drains(
    render: Callable[..., dict[str, Object]],
) -> None:
    objects = render(rollout={"strategy": "in-place", "deadline_s": 1800.5, "drain_s": 60})
    spec = objects["Deployment"]["spec"]
    startup = container(objects)["startupProbe"]
    assert spec["progressDeadlineSeconds"] == 1801
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 1801
    assert container(objects)["lifecycle"]["preStop"]["exec"]["command"][-1] == "60"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > 60
    blue_green = render(rollout={"drain_s": 3000})["Deployment"]["spec"]["template"]["spec"]
    assert blue_green["terminationGracePeriodSeconds"] == 30


def test_a_group_over_nodes_is_reached_at_its_leader_and_every_pod_has_the_digest(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    spec = resolved(**VARIANTS["nodes"])
    objects = accepted(vllm.render(spec, surroundings))
    group = objects["LeaderWorkerSet"]["spec"]["leaderWorkerTemplate"]
    assert group["size"] == 2 and group["restartPolicy"] == "RecreateGroupOnPodRestart"
    for each in (group["leaderTemplate"], group["workerTemplate"]):
        assert each["metadata"]["annotations"] == {identity.SPEC_DIGEST: spec.spec_digest}
        args = each["spec"]["containers"][0]["args"]
        assert {"--tensor-parallel-size=8", "--pipeline-parallel-size=2"} <= set(args)
    assert "--headless" in group["workerTemplate"]["spec"]["containers"][0]["args"]
    assert "readinessProbe" not in group["workerTemplate"]["spec"]["containers"][0]
    leaders = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
    assert leaders.items() <= objects["Service"]["spec"]["selector"].items()


def test_cpu_and_memory_scale_by_an_hpa_and_requests_by_keda(
    render: Callable[..., dict[str, Object]],
) -> None:
    hpa = render(**VARIANTS["HPA"])
    assert "ScaledObject" not in hpa
    assert [
        (m["resource"]["name"], m["resource"]["target"]["averageUtilization"])
        for m in hpa["HorizontalPodAutoscaler"]["spec"]["metrics"]
    ] == [("cpu", 70), ("memory", 80)]
    keda = render(**VARIANTS["KEDA"])
    assert "HorizontalPodAutoscaler" not in keda  # KEDA makes its own; two would fight
    triggers = keda["ScaledObject"]["spec"]["triggers"]
    assert [t["type"] for t in triggers] == ["cpu", "prometheus", "prometheus"]
    assert [t["metadata"].get("threshold") for t in triggers] == [None, "2.5", "4"]


def test_without_prometheus_keda_asks_the_engines_but_nothing_would_wake_a_deployment(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept
) -> None:
    alone = replace(surroundings, prometheus_url=None)
    scaling = {"max_replicas": 2, "target": {"ongoing_requests": 2}}
    for server, path, location in (("vllm", "/load", "server_load"), ("llama.cpp", "/-/load", "ongoing")):
        objects = accepted(vllm.render(resolved(server=server, autoscaling=scaling), alone))
        (trigger,) = objects["ScaledObject"]["spec"]["triggers"]
        assert trigger["type"] == "metrics-api"
        assert trigger["metadata"]["url"].endswith(f".slipway.svc:8000{path}")
        assert trigger["metadata"]["valueLocation"] == location
    with pytest.raises(RenderError, match=r"autoscaling\.idle = zero"):
        vllm.render(resolved(**VARIANTS["to zero"]), alone)


def test_bounds_delays_and_idle_reach_the_scaler(render: Callable[..., dict[str, Object]]) -> None:
    delays = {"upscale_delay_s": 7, "downscale_delay_s": 70, "idle_after_s": 77}
    zero = {"min_replicas": 0, "max_replicas": 4, "idle": "zero", **delays}
    spec = render(autoscaling=zero)["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (0, 4, 77)
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 7
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 70


def test_an_engine_that_sleeps_has_its_admin_endpoints_and_one_that_does_not_has_none(
    render: Callable[..., dict[str, Object]],
) -> None:
    asleep, awake = render(**VARIANTS["sleep"]), render()
    assert "--enable-sleep-mode" in container(asleep)["args"]
    assert env(asleep)["VLLM_SERVER_DEV_MODE"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in env(awake)


def test_only_the_gateway_and_those_who_measure_reach_an_engine(
    render: Callable[..., dict[str, Object]],
) -> None:
    spec = render()["NetworkPolicy"]["spec"]
    (others, themselves) = spec["ingress"]
    namespaces = [
        each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in others["from"]
    ]
    assert namespaces == ["slipway-system", "monitoring", "keda"]
    assert all(each["podSelector"]["matchLabels"] for each in others["from"])
    assert others["ports"] == [{"protocol": "TCP", "port": 8000}]
    assert themselves == {"from": [{"podSelector": spec["podSelector"]}]}
    dns, store, _ = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert store["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "storage"}


@pytest.mark.parametrize(
    ("endpoint", "flow"),
    [
        (
            "http://10.1.2.3:8333",
            {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 8333}]},
        ),
        ("https://s3.example.com", {"ports": [{"protocol": "TCP", "port": 443}]}),
    ],
)
def test_a_store_outside_the_cluster_is_allowed_by_address_or_by_port(
    resolved: Resolve, surroundings: Surroundings, accepted: Accept, endpoint: str, flow: Object
) -> None:
    outside = replace(surroundings, store=replace(surroundings.store, endpoint_url=endpoint))
    assert accepted(vllm.render(resolved(), outside))["NetworkPolicy"]["spec"]["egress"][1] == flow


def test_a_runtime_class_that_the_cluster_lacks_is_said_before_a_pod_hangs(
    resolved: Resolve, surroundings: Surroundings
) -> None:
    with pytest.raises(RenderError, match=r"runtime_class = kata: the cluster has gvisor"):
        vllm.render(resolved(isolation={"runtime_class": "kata"}), surroundings)


def test_metrics_are_collected_only_when_asked_for_and_somebody_can(
    resolved: Resolve, surroundings: Surroundings
) -> None:
    def kinds(around: Surroundings, **fields: Any) -> set[str]:
        return {each["kind"] for each in vllm.render(resolved(**fields), around).objects}

    assert "PodMonitor" in kinds(surroundings)
    assert "PodMonitor" not in kinds(surroundings, telemetry=False)
    assert "PodMonitor" not in kinds(replace(surroundings, prometheus=None))


def test_rendering_is_a_function_of_its_input(resolved: Resolve, surroundings: Surroundings) -> None:
    assert vllm.render(resolved(), surroundings) == vllm.render(resolved(), surroundings)
