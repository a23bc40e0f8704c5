"""KServe: InferenceServices and LLMInferenceServices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.catalog import Deployment, ResolvedDeployment
from slipway.runtimes.kserve import render as kserve
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object

from .variants import GPU, VARIANTS

Resolve = Callable[..., ResolvedDeployment]


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
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        with pytest.raises(RenderError, match="enableLLMInferenceServiceTLS"):
            kserve.render(resolved(**VARIANTS["kserve nodes"]), replace(cluster, kserve_tls=True))


@pytest.mark.parametrize(
    ("fields", "parallelism", "told"),
    [
        ({"args": ["--pipeline-parallel-size=2"]}, {"tensor": 4}, ["--pipeline-parallel-size=2"]),
        ({"args": ["-tp", "4", "-dp=2"]}, {"tensor": 4}, ["-dp=2"]),
        ({"args": ["--tensor_parallel_size=8"]}, {"tensor": 8}, []),
        ({"args": ["-pp", "2"], "nodes_per_replica": 2}, {"tensor": 8, "pipeline": 2}, []),
    ],
    ids=str,
)
def test_cards_are_divided_once_by_the_object_or_by_an_argument(
    render: Callable[..., dict[str, Object]],
    fields: dict[str, Any],
    parallelism: dict[str, int],
    told: list[str],
) -> None:
    gpus = {"runtime": "kserve", "adapters": ["tone"], "resources": {"gpu": {"count": 8}}}
    spec = render(**gpus, **fields)["LLMInferenceService"]["spec"]
    assert spec["parallelism"] == parallelism
    args = spec["template"]["containers"][0]["args"]
    assert [arg for arg in args if "parallel" in arg or arg.startswith(("-tp", "-pp", "-dp"))] == told
