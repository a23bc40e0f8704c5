"""KubeAI: Models, and what its controller makes of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.catalog import Catalog, ResolvedDeployment
from slipway.runtimes import rules
from slipway.runtimes.kubeai import refusals
from slipway.runtimes.kubeai import render as kubeai
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object

from .variants import VARIANTS

Resolve = Callable[..., ResolvedDeployment]


class TestKubeAI:
    def test_replicas_are_the_operators_also_where_there_is_one_number(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        spec = render(runtime="kubeai", replicas=2)["Model"]["spec"]
        assert "replicas" not in spec
        assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 2)

    def test_resources_of_its_own_become_a_profile_in_the_operators_values(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        rendered = kubeai.render(resolved(**VARIANTS["kubeai GPU"]), cluster)
        ((name, profile),) = rendered.operator_values["resourceProfiles"].items()
        assert rendered.objects[1]["spec"]["resourceProfile"] == f"{name}:1"
        assert profile["limits"] == {"nvidia.com/gpu": "2"}
        assert profile["nodeSelector"] == {"slipway.dev/gpu-class": "h100"}
        assert profile["runtimeClassName"] == "gvisor"
        assert rendered.operator_values["modelRollouts"] == {"surge": 0}

    def test_a_profile_that_the_operator_lacks_is_said_here_as_its_log_would_be_the_only_place(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        knows = replace(cluster, kubeai_profiles=frozenset({"cpu"}))
        with pytest.raises(RenderError, match="nvidia-gpu-l4: KubeAI's configuration has cpu"):
            kubeai.render(resolved(**VARIANTS["kubeai profile"]), knows)
        known = replace(cluster, kubeai_profiles=frozenset({"nvidia-gpu-l4"}))
        assert kubeai.render(resolved(**VARIANTS["kubeai profile"]), known)

    @pytest.mark.parametrize(
        ("resources", "runs_on", "cards"),
        [
            ({"profile": "nvidia-gpu-l4:1"}, "nvidia", 1),
            ({"profile": "nvidia-gpu-l4"}, "nvidia", 1),
            ({"profile": "nvidia-gpu-h100:8"}, "nvidia", 8),
            ({"profile": "amd-gpu-mi300x:2"}, "amd", 2),
            ({"profile": "google-tpu-v5e-2x2:4"}, "tpu", 4),
            ({"profile": "intel-gaudi:2"}, "intel", 2),
            ({"profile": "cpu:4"}, "cpu", None),
            ({"profile": "ours:2", "profile_accelerator": "amd"}, "amd", 2),
            ({"profile": "ours:2", "profile_accelerator": "cpu"}, "cpu", None),
            ({"profile": "ours:2", "gpu": {"vendor": "nvidia"}}, "nvidia", 2),
            ({"gpu": {"count": 2}}, "nvidia", 2),
            ({}, "cpu", None),
        ],
        ids=str,
    )
    def test_a_profile_picks_the_image_and_counts_the_cards(
        self, resolved: Resolve, cluster: ClusterSettings, resources: object, runs_on: str, cards: int | None
    ) -> None:
        images = {
            kind: {"image": f"registry.local/{kind}", "digest": "sha256:" + "b" * 64}
            for kind in ("cpu", "nvidia", "amd", "intel", "tpu")
        }
        spec = resolved(runtime="kubeai", engine={"images": images}, image=None, resources=resources)
        assert (spec.deployment.accelerator, spec.deployment.cards) == (runs_on, cards)
        assert refusals.refusals(spec.deployment, spec.engine) == []
        model = kubeai.render(spec, cluster).objects[1]["spec"]
        assert model["image"].startswith(f"registry.local/{runs_on}@")
        divided = f"--tensor-parallel-size={cards}"
        assert (divided in model["args"]) == (cards is not None and cards > 1)

    @pytest.mark.parametrize(
        ("resources", "field"),
        [
            ({"profile": "ours:1"}, "resources.profile"),
            ({"profile": "nvidia-gpu-l4:1", "profile_accelerator": "cpu"}, "resources.profile_accelerator"),
            ({"profile_accelerator": "cpu"}, "resources.profile_accelerator"),
            ({"profile": "nvidia-gpu-l4:2", "gpu": {"count": 1}}, "resources.gpu.count"),
        ],
        ids=str,
    )
    def test_a_profile_that_does_not_tell_or_contradicts_is_refused(
        self, resolved: Resolve, resources: object, field: str
    ) -> None:
        spec = resolved(runtime="kubeai", resources=resources)
        assert [name for name, _ in refusals.refusals(spec.deployment, spec.engine)] == [field]

    def test_names_with_their_revision_fit_forty_characters(self, resolved: Resolve) -> None:
        longest = 40 - len("-") - 8
        for length, refused in ((longest, 0), (longest + 1, 1)):
            spec = resolved(runtime="kubeai", name="m" * length)
            assert len(list(rules.names_fit(Catalog(deployments=(spec.deployment,))))) == refused
        assert len(identity.object_name(resolved(runtime="kubeai", name="m" * longest))) == 40

    def test_requests_name_the_model_as_kubeai_does(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        spec = resolved(**VARIANTS["kubeai adapters"])
        rendered = kubeai.render(spec, cluster)
        assert rendered.engine_names == {"chat": spec.revision_name, "tone": f"{spec.revision_name}_tone"}
        assert rendered.address.base_url == "http://kubeai.kubeai.svc:80/openai/v1"

    def test_a_task_that_it_does_not_know_is_said(self, resolved: Resolve, cluster: ClusterSettings) -> None:
        with pytest.raises(RenderError, match="its task is classification"):
            kubeai.render(resolved(runtime="kubeai", task="classification"), cluster)

    def test_what_reads_no_s3_needs_a_cache_profile(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        spec = resolved(runtime="kubeai", server="infinity", task="embedding")
        with pytest.raises(RenderError, match="no cache profile"):
            kubeai.render(spec, cluster)
        cached = kubeai.render(spec, replace(cluster, kubeai_cache_profile="efs"))
        assert cached.objects[1]["spec"]["cacheProfile"] == "efs"
