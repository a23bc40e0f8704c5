"""The plain runtime: what its pods are given."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.engines import llamacpp
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object, Rendered
from slipway.runtimes.vllm import render as vllm

from .variants import GPU, VARIANTS, container, env

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object_and_prunes_nothing(
    render: Callable[..., dict[str, Object]], variant: str
) -> None:
    assert render(**VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_says_whose_it_is(resolved: Resolve, cluster: ClusterSettings, variant: str) -> None:
    spec = resolved(**VARIANTS[variant])
    rendered = vllm.render(spec, cluster)
    for each in (*rendered.objects, *rendered.public):
        metadata = each["metadata"]
        assert metadata["labels"][identity.MANAGED_BY] == identity.SLIPWAY
        assert metadata["labels"][identity.DEPLOYMENT] == "chat"
        assert metadata["annotations"][identity.SPEC_DIGEST] == spec.spec_digest
        assert metadata["annotations"][identity.CATALOG] == "catalog/chat.yaml:3"
        assert metadata["namespace"] == (spec.deployment.isolation.namespace or cluster.namespace)


def test_the_spec_digest_is_on_the_pod_template_and_in_the_engines_environment(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    spec = resolved()
    objects = accepted(vllm.render(spec, cluster))
    template = objects["Deployment"]["spec"]["template"]
    assert template["metadata"]["annotations"] == {identity.SPEC_DIGEST: spec.spec_digest}
    assert env(objects)[identity.SPEC_DIGEST_ENV] == spec.spec_digest


def test_moving_a_document_within_its_file_restarts_no_pod(
    resolved: Resolve, cluster: ClusterSettings
) -> None:
    moved = replace(cluster, catalog_places={"chat": "catalog/chat.yaml:99"})
    before, after = (vllm.render(resolved(), each).objects[1] for each in (cluster, moved))
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


def test_an_image_without_a_digest_is_not_rendered(resolved: Resolve, cluster: ClusterSettings) -> None:
    by_tag = {"images": {"cpu": {"image": "docker.io/vllm/vllm-openai", "tag": "latest"}}}
    with pytest.raises(RenderError, match="no digest is known"):
        vllm.render(resolved(image=None, engine=by_tag), cluster)


def test_without_a_gpu_the_image_for_cpus_is_taken(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    images = {
        name: {"image": f"registry.local/{name}", "digest": "sha256:" + digit * 64}
        for name, digit in (("cpu", "1"), ("nvidia", "2"), ("amd", "3"))
    }
    for fields, wanted in (({}, "cpu"), ({"resources": GPU}, "nvidia"), (VARIANTS["AMD"], "amd")):
        spec = resolved(image=None, engine={"images": images}, **fields)
        assert container(accepted(vllm.render(spec, cluster)))["image"].startswith(
            f"registry.local/{wanted}@"
        )


def test_blue_green_objects_are_named_by_revision_and_the_stable_name_leads_to_the_routed_one(
    resolved: Resolve, cluster: ClusterSettings
) -> None:
    spec = resolved(alias=True)
    rendered = vllm.render(spec, cluster)
    assert {each["metadata"]["name"] for each in rendered.objects} == {spec.revision_name}
    assert rendered.address.base_url == f"http://{spec.revision_name}.slipway.svc:8000/v1"
    stable, alias = rendered.public
    assert (stable["metadata"]["name"], stable["spec"]["selector"]) == ("chat", identity.selector(spec))
    assert alias["metadata"]["name"] == "chat-predictor"
    assert alias["spec"]["externalName"] == f"{spec.revision_name}.slipway.svc.cluster.local"


def test_in_place_keeps_names_and_a_selector_that_no_change_touches(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    before, after = (
        accepted(vllm.render(resolved(rollout={"strategy": "in-place"}, args=args), cluster))["Deployment"]
        for args in ([], ["--max-num-seqs=4"])
    )
    assert before["metadata"]["name"] == after["metadata"]["name"] == "chat"
    assert before["spec"]["selector"] == after["spec"]["selector"]
    assert before["spec"]["template"] != after["spec"]["template"]


def test_adapters_are_fetched_and_verified_before_vllm_starts(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    objects = accepted(vllm.render(resolved(**VARIANTS["adapters"]), cluster))
    (fetching,) = objects["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert fetching["args"] == [f"weights/tone/{'1' * 40}/", f"weights/law/{'1' * 40}/"]
    args = container(objects)["args"]
    assert args[args.index("--lora-modules") :] == [
        "--lora-modules",
        f"tone=/cache/adapters/tone/{'1' * 40}/files",
        f"chat-law=/cache/adapters/law/{'1' * 40}/files",
    ]
    with pytest.raises(RenderError, match="Slipway's own image"):
        vllm.render(resolved(**VARIANTS["adapters"]), replace(cluster, slipway_image=None))


def test_llama_cpp_takes_the_same_arguments_as_on_ray_and_weights_through_the_nodes_cache(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    spec = resolved(server="llama.cpp", args=["--parallel=4"], adapters=["tone"])
    objects = accepted(vllm.render(spec, cluster))
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


@pytest.mark.parametrize("own", [(), ("--no-enable-prompt-tokens-details",)])
def test_the_server_is_asked_to_tell_what_was_cached_unless_the_deployment_says_otherwise(
    render: Callable[..., dict[str, Object]], own: tuple[str, ...]
) -> None:
    args = container(render(args=own))["args"]
    assert [arg for arg in args if "tokens-details" in arg] == [*(own or ("--enable-prompt-tokens-details",))]


def test_what_the_deployment_says_itself_is_not_said_twice(render: Callable[..., dict[str, Object]]) -> None:
    own = ["--tensor-parallel-size=1", "--enable-prefix-caching", "--max-model-len=512"]
    args = container(render(args=own, context_length=4096, resources={"gpu": {"count": 2}}))["args"]
    for flag in ("tensor-parallel-size", "prefix-caching", "max-model-len"):
        assert [arg for arg in args if flag in arg] == [each for each in own if flag in each]


def test_a_prefix_cache_is_shared_by_tenants_only_with_salt_or_on_purpose(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    def caches(around: ClusterSettings, **fields: Any) -> bool:
        args = container(accepted(vllm.render(resolved(**fields), around)))["args"]
        return "--no-enable-prefix-caching" not in args

    unsalted = replace(cluster, gateway_salts_prompts=False)
    assert caches(cluster)
    assert not caches(unsalted)
    assert caches(unsalted, isolate_prompt_cache=False)


def test_shares_of_a_card_are_another_resource_on_other_nodes_and_take_a_part_of_its_memory(
    render: Callable[..., dict[str, Object]],
) -> None:
    objects = render(**VARIANTS["time-slicing"])
    assert container(objects)["resources"]["limits"] == {"nvidia.com/gpu.shared": "1"}
    assert objects["Deployment"]["spec"]["template"]["spec"]["nodeSelector"] == {
        "nvidia.com/gpu.sharing-strategy": "time-slicing"
    }
    (part,) = [a for a in container(objects)["args"] if a.startswith("--gpu-memory-utilization=")]
    assert math.isclose(float(part.partition("=")[2]), 0.9 / ClusterSettings.gpu_shares)


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
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    spec = resolved(**VARIANTS["nodes"])
    objects = accepted(vllm.render(spec, cluster))
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


def test_rendering_is_a_function_of_its_input(resolved: Resolve, cluster: ClusterSettings) -> None:
    assert vllm.render(resolved(), cluster) == vllm.render(resolved(), cluster)
