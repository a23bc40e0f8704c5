"""Runtimes that an operator drives: KubeAI, KServe, KubeRay, NIM, Dynamo."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from slipway.catalog import Deployment, ResolvedDeployment
from slipway.runtimes import dynamo, identity, kserve, kubeai, kuberay, nim, raycluster, registry
from slipway.runtimes.rendered import Object, Rendered
from slipway.runtimes.surroundings import RenderError, Surroundings

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]

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
    "dynamo": DYNAMO,
    "dynamo scaled": {**DYNAMO, **SCALED, "adapters": ["tone"]},
    "dynamo nodes": {**DYNAMO, "nodes_per_replica": 2, "load_balancing": {"strategy": "prefix-hash"}},
}


@pytest.fixture
def cluster(surroundings: Surroundings) -> Surroundings:
    return replace(surroundings, pull_secrets=("local-registry",))


@pytest.fixture
def render(resolved: Resolve, cluster: Surroundings, accepted: Accept) -> Callable[..., dict[str, Object]]:
    def rendered(**fields: Any) -> dict[str, Object]:
        return accepted(registry.RENDERERS[fields["runtime"]](resolved(**fields), cluster))

    return rendered


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object_and_prunes_nothing(
    render: Callable[..., dict[str, Object]], variant: str
) -> None:
    assert render(**VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_rendered_here_is_refused_nowhere(resolved: Resolve, variant: str) -> None:
    spec = resolved(**VARIANTS[variant])
    assert registry.REFUSALS[spec.deployment.runtime](spec.deployment, spec.engine) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_are_named_by_digest_alone(render: Callable[..., dict[str, Object]], variant: str) -> None:
    def images(value: Any, key: str = "") -> list[str]:
        if isinstance(value, dict) and key == "image" and "repository" in value:
            return [f"{value['repository']}:{value['tag']}"]
        if isinstance(value, dict):
            return [image for name, inner in value.items() for image in images(inner, name)]
        if isinstance(value, list):
            return [image for inner in value for image in images(inner)]
        return [value] if key in ("image", "modelPuller") else []

    found = images(render(**VARIANTS[variant]))
    assert found and all("@sha256:" in image for image in found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_digest_travels_in_the_environment_of_every_engine(
    resolved: Resolve, cluster: Surroundings, variant: str
) -> None:
    spec = resolved(**VARIANTS[variant])
    rendered = registry.RENDERERS[spec.deployment.runtime](spec, cluster)
    (workload,) = [each for each in rendered.objects if each["kind"] == rendered.workload.kind]
    assert identity.SPEC_DIGEST_ENV in str(workload) and spec.spec_digest in str(workload)


@pytest.mark.parametrize(
    "variant", [name for name in VARIANTS if name.startswith(("kserve", "dynamo", "nim"))]
)
def test_the_digest_reaches_the_annotations_of_pods(
    render: Callable[..., dict[str, Object]], resolved: Resolve, variant: str
) -> None:
    digest = resolved(**VARIANTS[variant]).spec_digest
    objects = render(**VARIANTS[variant])
    places = {
        "InferenceService": lambda spec: [spec["predictor"]["annotations"]],
        "LLMInferenceService": lambda spec: [spec["annotations"]],
        "NIMService": lambda spec: [spec["annotations"]],
        "DynamoGraphDeployment": lambda spec: [
            each["podTemplate"]["metadata"]["annotations"] for each in spec["components"]
        ],
    }
    (kind,) = places.keys() & objects.keys()
    assert all(each == {identity.SPEC_DIGEST: digest} for each in places[kind](objects[kind]["spec"]))


class TestKubeAI:
    def test_replicas_are_the_operators_also_where_there_is_one_number(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        spec = render(runtime="kubeai", replicas=2)["Model"]["spec"]
        assert "replicas" not in spec
        assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 2)

    def test_resources_of_its_own_become_a_profile_in_the_operators_values(
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        rendered = kubeai.render(resolved(**VARIANTS["kubeai GPU"]), cluster)
        ((name, profile),) = rendered.operator_values["resourceProfiles"].items()
        assert rendered.objects[1]["spec"]["resourceProfile"] == f"{name}:1"
        assert profile["limits"] == {"nvidia.com/gpu": "2"}
        assert profile["nodeSelector"] == {"slipway.dev/gpu-class": "h100"}
        assert profile["runtimeClassName"] == "gvisor"
        assert rendered.operator_values["modelRollouts"] == {"surge": 0}

    def test_a_profile_that_the_operator_lacks_is_said_here_as_its_log_would_be_the_only_place(
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        knows = replace(cluster, kubeai_profiles=frozenset({"cpu"}))
        with pytest.raises(RenderError, match="nvidia-gpu-l4: KubeAI's configuration has cpu"):
            kubeai.render(resolved(**VARIANTS["kubeai profile"]), knows)
        known = replace(cluster, kubeai_profiles=frozenset({"nvidia-gpu-l4"}))
        assert kubeai.render(resolved(**VARIANTS["kubeai profile"]), known)

    def test_names_with_their_revision_fit_forty_characters(self, resolved: Resolve) -> None:
        from slipway.catalog.catalog import Catalog
        from slipway.catalog.checks import names_fit_runtimes

        longest = 40 - len("-") - 8
        for length, refused in ((longest, 0), (longest + 1, 1)):
            spec = resolved(runtime="kubeai", name="m" * length)
            assert len(list(names_fit_runtimes(Catalog(deployments=(spec.deployment,))))) == refused
        assert (
            len(identity.object_name(resolved(runtime="kubeai", name="m" * longest))) == kubeai.LONGEST_NAME
        )

    def test_requests_name_the_model_as_kubeai_does(self, resolved: Resolve, cluster: Surroundings) -> None:
        spec = resolved(**VARIANTS["kubeai adapters"])
        rendered = kubeai.render(spec, cluster)
        assert rendered.engine_names == {"chat": spec.revision_name, "tone": f"{spec.revision_name}_tone"}
        assert rendered.address.base_url == "http://kubeai.kubeai.svc:80/openai/v1"

    def test_a_task_that_it_does_not_know_is_said(self, resolved: Resolve, cluster: Surroundings) -> None:
        with pytest.raises(RenderError, match="its task is classification"):
            kubeai.render(resolved(runtime="kubeai", task="classification"), cluster)

    def test_what_reads_no_s3_needs_a_cache_profile(self, resolved: Resolve, cluster: Surroundings) -> None:
        spec = resolved(runtime="kubeai", server="infinity", task="embedding")
        with pytest.raises(RenderError, match="no cache profile"):
            kubeai.render(spec, cluster)
        cached = kubeai.render(spec, replace(cluster, kubeai_cache_profile="efs"))
        assert cached.objects[1]["spec"]["cacheProfile"] == "efs"


class TestKServe:
    def test_adapters_and_several_nodes_take_the_kind_that_can(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        for variant, kind in (
            ("kserve", "InferenceService"),
            ("kserve huggingface", "InferenceService"),
            ("kserve adapters", "LLMInferenceService"),
            ("kserve nodes", "LLMInferenceService"),
        ):
            assert kind in render(**VARIANTS[variant])

    def test_limits_stand_beside_every_request(self, render: Callable[..., dict[str, Object]]) -> None:
        """Else the serving runtime's own (1 CPU, 2 GiB) would make a Deployment that is refused."""
        model = render(runtime="kserve", **GPU)["InferenceService"]["spec"]["predictor"]["model"]
        assert model["resources"]["limits"] == model["resources"]["requests"]
        assert model["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
        main = render(**VARIANTS["kserve adapters"])["LLMInferenceService"]["spec"]["template"]["containers"][
            0
        ]
        assert main["resources"]["limits"].keys() == main["resources"]["requests"].keys()

    def test_zero_replicas_take_keda_as_an_hpa_would_keep_one(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        zero = render(**VARIANTS["kserve zero"])["InferenceService"]
        assert zero["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "keda"
        assert zero["spec"]["predictor"]["minReplicas"] == 0
        hpa = render(**VARIANTS["kserve hpa"])["InferenceService"]
        assert hpa["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"
        fixed = render(runtime="kserve")["InferenceService"]
        assert fixed["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "none"

    def test_the_stores_secret_comes_through_an_account_without_a_token(
        self, render: Callable[..., dict[str, Object]], resolved: Resolve
    ) -> None:
        objects = render(runtime="kserve")
        assert objects["ServiceAccount"]["secrets"] == [{"name": "slipway-s3"}]
        predictor = objects["InferenceService"]["spec"]["predictor"]
        assert predictor["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
        assert predictor["automountServiceAccountToken"] is False

    def test_the_model_answers_to_the_deployments_name_not_to_the_revisions(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        args = render(runtime="kserve")["InferenceService"]["spec"]["predictor"]["model"]["args"]
        assert "--served-model-name=chat" in args
        hugging_face = render(**VARIANTS["kserve huggingface"])["InferenceService"]["spec"]["predictor"]
        assert hugging_face["model"]["args"][:2] == ["--model_name=chat", "--task=text_embedding"]
        assert hugging_face["model"]["modelFormat"] == {"name": "huggingface"}

    def test_replicas_and_scaling_are_never_rendered_together(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        scaled = render(**VARIANTS["kserve adapters"])["LLMInferenceService"]["spec"]
        fixed = render(**VARIANTS["kserve nodes"])["LLMInferenceService"]["spec"]
        assert "scaling" in scaled and "replicas" not in scaled
        assert "replicas" in fixed and "scaling" not in fixed

    def test_idle_replicas_are_fewer_than_the_fewest(self, render: Callable[..., dict[str, Object]]) -> None:
        zero = {"min_replicas": 0, "max_replicas": 2, "idle": "zero", "idle_after_s": 70}
        scaling = render(runtime="kserve", adapters=["tone"], autoscaling=zero)["LLMInferenceService"][
            "spec"
        ]["scaling"]
        assert (scaling["minReplicas"], scaling["keda"]["idleReplicaCount"]) == (1, 0)
        assert scaling["keda"]["cooldownPeriod"] == 70

    def test_what_kserve_s_controller_could_not_write_back_is_not_in_a_service(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        spec = render(**VARIANTS["kserve adapters"])["LLMInferenceService"]["spec"]
        assert "advanced" not in spec["scaling"]["keda"]

    @pytest.mark.parametrize("field", ["upscale_delay_s", "downscale_delay_s"])
    def test_delays_are_refused_where_a_service_cannot_carry_them(self, field: str) -> None:
        scaling = {"min_replicas": 1, "max_replicas": 2, "target": {"ongoing_requests": 4}, field: 5}
        written = {"name": "chat", "model": "m", "engine": "e", "runtime": "kserve", "autoscaling": scaling}
        assert kserve.refusals(Deployment.model_validate(written)) == []
        (refused,) = kserve.refusals(Deployment.model_validate({**written, "adapters": ["tone"]}))
        assert refused[0] == f"autoscaling.{field}"

    def test_arguments_survive_the_shell_that_kserve_puts_them_through(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        own = """--model-loader-extra-config={"concurrency": 4}"""
        args = render(runtime="kserve", adapters=["tone"], args=[own])["LLMInferenceService"]["spec"][
            "template"
        ]["containers"][0]["args"]
        assert args[-1] == f"'{own}'"

    def test_engines_with_certificates_that_nobody_trusts_are_said(
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        with pytest.raises(RenderError, match="enableLLMInferenceServiceTLS"):
            kserve.render(resolved(**VARIANTS["kserve nodes"]), replace(cluster, kserve_tls=True))


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
        self, resolved: Resolve, cluster: Surroundings, accepted: Accept
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
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        """Else KubeRay would start a second cluster beside the first."""
        before, after = (resolved(runtime="kuberay", env={"A": text}, **GPU) for text in "xy")
        (first, digest), (second, again) = (raycluster.cluster([each], cluster) for each in (before, after))
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
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        together = [
            resolved(runtime="kuberay", name=name, resources={"requests": {"memory": memory}})
            for name, memory in {"small": "512Mi", "large": "2Gi"}.items()
        ]
        config, _ = raycluster.cluster(together, cluster)
        (group,) = config["workerGroupSpecs"]
        sizes = group["template"]["spec"]["containers"][0]["resources"]
        assert sizes["limits"]["memory"] == sizes["requests"]["memory"] == f"{2048 + 1024}Mi"

    def test_each_vendor_has_a_worker_group_with_its_image(
        self, resolved: Resolve, cluster: Surroundings
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
        config, _ = raycluster.cluster(together, cluster)
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

    def test_adapters_are_read_from_one_path_and_named_after_a_colon(
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        spec = resolved(**VARIANTS["kuberay vllm"])
        rendered = kuberay.render(spec, cluster)
        llm = self.serve_config(rendered.objects[1])["applications"][0]["args"]["llm_configs"][0]
        assert llm["lora_config"]["dynamic_lora_loading_path"] == "s3://models/weights"
        assert rendered.engine_names == {"tone": f"chat:tone/{'1' * 40}"}

    def test_an_alias_comes_with_a_route_that_adds_the_path(
        self, render: Callable[..., dict[str, Object]], resolved: Resolve, cluster: Surroundings
    ) -> None:
        route = render(**VARIANTS["kuberay vllm"])["HTTPRoute"]["spec"]
        (rule,) = route["rules"]
        revision = resolved(**VARIANTS["kuberay vllm"]).revision_name
        assert rule["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] == f"/{revision}"
        assert "chat-predictor.slipway.svc.cluster.local" in route["hostnames"]
        with pytest.raises(RenderError, match="alias"):
            kuberay.render(resolved(**VARIANTS["kuberay vllm"]), replace(cluster, internal_gateway=None))


class TestNim:
    def test_replicas_are_absent_where_scale_is_on(self, render: Callable[..., dict[str, Object]]) -> None:
        scaled, fixed = render(**VARIANTS["nim scaled"])["NIMService"], render(**NIM)["NIMService"]
        assert "replicas" not in scaled["spec"] and scaled["spec"]["scale"]["enabled"]
        assert fixed["spec"]["replicas"] == 1 and "scale" not in fixed["spec"]

    def test_a_missing_key_is_an_error_here_not_a_crash_loop_there(
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        with pytest.raises(RenderError, match="licence key"):
            nim.render(resolved(**{**NIM, "engine": {}}), cluster)
        with pytest.raises(RenderError, match="pull secret"):
            nim.render(resolved(**NIM), replace(cluster, pull_secrets=()))

    def test_a_volume_takes_a_cache_and_without_one_no_cache_is_made(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        cached = render(**VARIANTS["nim volume"])
        assert (
            cached["NIMService"]["spec"]["storage"]["nimCache"]["name"]
            == cached["NIMCache"]["metadata"]["name"]
        )
        assert cached["NIMCache"]["spec"]["storage"]["pvc"]["size"] == "50Gi"
        plain = render(**NIM)
        assert "NIMCache" not in plain and plain["NIMService"]["spec"]["storage"]["emptyDir"] == {}

    def test_metrics_are_off_where_nobody_collects_them(
        self, resolved: Resolve, cluster: Surroundings
    ) -> None:
        """On, without the ServiceMonitor kind, they make the service Failed."""
        quiet = nim.render(resolved(**NIM), replace(cluster, prometheus=None))
        assert quiet.objects[-1]["spec"]["metrics"]["enabled"] is False


class TestDynamo:
    def test_an_image_by_digest_says_its_version(self, render: Callable[..., dict[str, Object]]) -> None:
        components = render(**DYNAMO)["DynamoGraphDeployment"]["spec"]["components"]
        assert {each["runtimeVersionOverride"] for each in components} == {"1.3.1"}

    def test_without_a_version_it_is_asked_for(self, resolved: Resolve, cluster: Surroundings) -> None:
        unversioned = {"images": {"nvidia": {"image": "nvcr.io/d", "tag": "nightly"}}}
        with pytest.raises(RenderError, match="must know its own version"):
            dynamo.render(resolved(**{**DYNAMO, "engine": unversioned}), cluster)

    def test_the_scaler_turns_the_workers_adapter_whose_name_is_lower_case(
        self, render: Callable[..., dict[str, Object]], resolved: Resolve
    ) -> None:
        objects = render(**VARIANTS["dynamo scaled"])
        target = objects["ScaledObject"]["spec"]["scaleTargetRef"]
        revision = resolved(**VARIANTS["dynamo scaled"]).revision_name
        assert target == {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentScalingAdapter",
            "name": f"{revision}-worker",
        }
        worker = objects["DynamoGraphDeployment"]["spec"]["components"][1]
        assert "scalingAdapter" in worker and "replicas" not in worker

    def test_at_least_one_worker_stays(self) -> None:
        zero = {"autoscaling": {"min_replicas": 0, "idle": "zero"}}
        deployment = Deployment.model_validate(
            {"name": "c", "model": "m", "runtime": "dynamo", "engine": "e", **zero}
        )
        assert "autoscaling.idle" in dict(dynamo.refusals(deployment))

    def test_adapters_are_objects_of_their_own(self, render: Callable[..., dict[str, Object]]) -> None:
        spec = render(**VARIANTS["dynamo scaled"])["DynamoModel"]["spec"]
        assert spec["source"] == {"uri": f"s3://models/weights/tone/{'1' * 40}"}
        assert (spec["baseModelName"], spec["modelName"]) == ("chat", "tone")


@pytest.mark.parametrize("variant", VARIANTS)
def test_slipways_role_may_write_every_kind_that_is_rendered(
    resolved: Resolve, cluster: Surroundings, variant: str
) -> None:
    from slipway.runtimes import rbac

    spec = resolved(**VARIANTS[variant])
    rendered = registry.RENDERERS[spec.deployment.runtime](spec, cluster)
    allowed = {
        (group, resource)
        for rule in rbac.role("slipway", "slipway-s3")["rules"]
        if {"create", "patch", "delete"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for each in (*rendered.objects, *rendered.public):
        group = each["apiVersion"].rpartition("/")[0]
        kind = each["kind"].lower()
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        assert (group, plural.replace("cachess", "caches")) in allowed
