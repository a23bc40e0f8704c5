"""KubeRay: RayServices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from slipway.catalog import ResolvedDeployment
from slipway.runtimes.kuberay import raycluster
from slipway.runtimes.kuberay import render as kuberay
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object, Rendered

from .variants import GPU, SCALED, VARIANTS

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]


class TestKubeRay:
    @staticmethod
    def serve_config(service: Object) -> Any:
        return yaml.safe_load(service["spec"]["serveConfigV2"])

    def test_requests_scale_by_a_value_which_kserve_s_webhook_asks_for(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        by_requests = {"min_replicas": 1, "max_replicas": 4, "target": {"ongoing_requests": 4}}
        predictor = render(runtime="kserve", autoscaling=by_requests)["InferenceService"]["spec"]["predictor"]
        (metric,) = predictor["autoScaling"]["metrics"]
        assert metric["external"]["target"] == {"type": "Value", "value": "4"}

    def test_labels_of_a_service_whose_deployment_selects_by_them_do_not_change_in_place(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        fields = {"runtime": "kserve", "adapters": ["tone"], "rollout": {"strategy": "in-place"}}
        before, after = (render(**fields, env={"A": text})["LLMInferenceService"] for text in "xy")
        assert before["spec"]["annotations"] != after["spec"]["annotations"]
        assert before["spec"]["labels"] == after["spec"]["labels"]

    @pytest.mark.parametrize("variant", [name for name in VARIANTS if name.startswith("kuberay")])
    def test_ray_accepts_the_config(self, render: Callable[..., dict[str, Object]], variant: str) -> None:
        from ray.serve.schema import ServeDeploySchema

        config = self.serve_config(render(**VARIANTS[variant])["RayService"])
        assert ServeDeploySchema.model_validate(config).applications

    def test_ray_serve_llm_understands_its_arguments(self, render: Callable[..., dict[str, Object]]) -> None:
        from ray.llm._internal.serve.core.configs.llm_config import LLMConfig

        for variant in ("kuberay vllm", "kuberay fraction"):
            (application,) = self.serve_config(render(**VARIANTS[variant])["RayService"])["applications"]
            understood = LLMConfig.model_validate(application["args"]["llm_configs"][0])
            assert understood.model_loading_config.model_id == "chat"

    def test_a_number_excludes_autoscaling(self, render: Callable[..., dict[str, Object]]) -> None:
        for scaling in ({}, SCALED):
            config = self.serve_config(render(runtime="kuberay", **GPU, **scaling)["RayService"])
            options = config["applications"][0]["args"]["llm_configs"][0]["deployment_config"]
            assert ("num_replicas" in options) != ("autoscaling_config" in options)

    def test_an_upgrade_strategy_that_applies_and_a_head_that_stays_an_endpoint(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        spec = render(runtime="kuberay", server="llama.cpp")["RayService"]["spec"]
        assert spec["upgradeStrategy"] == {"type": "NewCluster"}
        assert spec["excludeHeadPodFromServeSvc"] is False

    def test_one_service_serves_many_deployments_each_below_its_path(
        self, resolved: Resolve, cluster: ClusterSettings, accepted: Accept
    ) -> None:
        stays = resolved(
            runtime="kuberay", name="embed", rollout={"strategy": "in-place"}, path="/embeddings"
        )
        old, new = (resolved(runtime="kuberay", args=[f"--max-num-seqs={n}"]) for n in (4, 8))
        rendered = kuberay.render(new, cluster, beside=[stays, old])
        paths = {
            each["name"]: each["route_prefix"]
            for each in self.serve_config(accepted(rendered)["RayService"])["applications"]
        }
        assert paths == {
            "embed": "/embeddings",
            old.revision_name: f"/{old.revision_name}",
            new.revision_name: f"/{new.revision_name}",
        }
        assert (
            rendered.address.base_url == f"http://inference-serve-svc.slipway.svc:8000/{new.revision_name}/v1"
        )

    def test_a_new_revision_of_the_same_size_changes_nothing_of_the_cluster(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        """Else KubeRay would start a second cluster beside the first."""
        before, after = (resolved(runtime="kuberay", env={"A": text}, **GPU) for text in "xy")
        (first, digest), (second, again) = (
            raycluster.ray_cluster([each], cluster) for each in (before, after)
        )
        assert (first, digest) == (second, again)
        assert before.spec_digest != after.spec_digest

    def test_every_pod_carries_the_clusters_digest(self, render: Callable[..., dict[str, Object]]) -> None:
        service = render(runtime="kuberay", **GPU)["RayService"]
        cluster = service["spec"]["rayClusterConfig"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        carried = {
            env["value"]
            for each in groups
            for env in each["template"]["spec"]["containers"][0]["env"]
            if env["name"] == identity.SPEC_DIGEST_ENV
        }
        assert carried == {service["metadata"]["annotations"][kuberay.CLUSTER_DIGEST]}

    def test_the_head_has_the_port_by_whose_name_the_operator_makes_the_service(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        cluster = render(runtime="kuberay", **GPU)["RayService"]["spec"]["rayClusterConfig"]
        ports = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]
        assert {"name": "serve", "containerPort": 8000} in ports

    def test_a_worker_has_room_for_ray_beside_the_largest_replica(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        together = [
            resolved(runtime="kuberay", name=name, resources={"requests": {"memory": memory}})
            for name, memory in {"small": "512Mi", "large": "2Gi"}.items()
        ]
        config, _ = raycluster.ray_cluster(together, cluster)
        (group,) = config["workerGroupSpecs"]
        sizes = group["template"]["spec"]["containers"][0]["resources"]
        assert sizes["limits"]["memory"] == sizes["requests"]["memory"] == f"{2048 + 1024}Mi"

    def test_each_vendor_has_a_worker_group_with_its_image(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        images = {"nvidia": "cuda", "amd": "rocm", "intel": "xpu"}
        together = [
            resolved(
                runtime="kuberay",
                name=vendor,
                image=f"registry.local/{name}@sha256:{'0' * 64}",
                resources={"gpu": {"vendor": vendor}},
            )
            for vendor, name in images.items()
        ]
        config, _ = raycluster.ray_cluster(together, cluster)
        found = {
            each["groupName"].partition("-")[0]: each["template"]["spec"]["containers"][0]
            for each in config["workerGroupSpecs"]
        }
        assert {vendor: each["image"] for vendor, each in found.items()} == {
            each.name: each.image for each in together
        }
        assert found["amd"]["resources"]["limits"] == {"amd.com/gpu": "1"}

    def test_a_fraction_is_a_bundle_and_a_share_of_memory(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        config = self.serve_config(render(**VARIANTS["kuberay fraction"])["RayService"])
        llm = config["applications"][0]["args"]["llm_configs"][0]
        assert llm["placement_group_config"]["bundles"] == [{"GPU": 0.49, "CPU": 1}]
        assert llm["runtime_env"]["env_vars"]["VLLM_RAY_PER_WORKER_GPUS"] == "0.49"
        assert llm["engine_kwargs"]["gpu_memory_utilization"] == round(0.49 * 0.9, 3)

    def test_an_engine_without_a_gpu_is_placed_by_its_cores(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        config = self.serve_config(
            render(runtime="kuberay", resources={"requests": {"cpu": "3"}})["RayService"]
        )
        llm = config["applications"][0]["args"]["llm_configs"][0]
        assert llm["placement_group_config"] == {"bundles": [{"CPU": 3}]}

    def test_arguments_are_keywords_whatever_their_spelling(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        written = {
            "runtime": "kuberay",
            "resources": {"gpu": {"count": 4}},
            "args": ["--dtype", "bfloat16", "-tp", "2", "-pp=2", "--max_num_seqs", "7", "--no-enforce-eager"],
        }
        config = self.serve_config(render(**written)["RayService"])
        llm = config["applications"][0]["args"]["llm_configs"][0]
        assert llm["engine_kwargs"] == {
            "load_format": "runai_streamer",
            "enable_prompt_tokens_details": True,
            "dtype": "bfloat16",
            "tensor_parallel_size": 2,
            "pipeline_parallel_size": 2,
            "max_num_seqs": 7,
            "enforce_eager": False,
        }
        assert len(llm["placement_group_config"]["bundles"]) == 4

    def test_adapters_are_read_from_one_path_and_named_after_a_colon(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        spec = resolved(**VARIANTS["kuberay vllm"])
        rendered = kuberay.render(spec, cluster)
        llm = self.serve_config(rendered.objects[1])["applications"][0]["args"]["llm_configs"][0]
        assert llm["lora_config"]["dynamic_lora_loading_path"] == "s3://models/weights"
        assert rendered.engine_names == {"tone": f"chat:tone/{'1' * 40}"}

    def test_an_alias_comes_with_a_route_that_adds_the_path(
        self, render: Callable[..., dict[str, Object]], resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        route = render(**VARIANTS["kuberay vllm"])["HTTPRoute"]["spec"]
        (rule,) = route["rules"]
        revision = resolved(**VARIANTS["kuberay vllm"]).revision_name
        assert rule["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] == f"/{revision}"
        assert "chat-predictor.slipway.svc.cluster.local" in route["hostnames"]
        with pytest.raises(RenderError, match="alias"):
            kuberay.render(resolved(**VARIANTS["kuberay vllm"]), replace(cluster, internal_gateway=None))
