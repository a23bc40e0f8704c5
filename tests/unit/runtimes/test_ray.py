from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment, Settings
from slipway.engines import llamacpp
from slipway.runtimes.ray import render as ray

COMMIT = "1" * 40


def resolved(*, engine_env: dict[str, str] | None = None, **fields: Any) -> ResolvedDeployment:
    deployment = Deployment(name="chat", model="m", runtime="ray", engine="llama", **fields)
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine(name="llama", server="llama.cpp", env=engine_env or {}),
        model=ResolvedArtifact(name="m", source="file:///m", commit=COMMIT),
        adapters=tuple(
            ResolvedArtifact(name=each.adapter, source="file:///a", commit=COMMIT)
            for each in deployment.adapters
        ),
    )


def options(**fields: Any) -> dict[str, Any]:
    rendered: dict[str, Any] = ray.render(resolved(**fields))["deployments"][0]
    return rendered


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "in place, with surge": {"replicas": 3, "rollout": {"strategy": "in-place", "surge": 1}},
    "adapters": {"adapters": ("tone", {"adapter": "law", "served_name": "chat-law"})},
    "autoscaling": {
        "autoscaling": {"min_replicas": 1, "max_replicas": 4, "target": {"ongoing_requests": 2.5}}
    },
    "to zero": {"autoscaling": {"max_replicas": 2, "idle": "zero", "idle_after_s": 60}},
    "GPUs and labels": {
        "resources": {"requests": {"cpu": "1500m", "memory": "2Gi"}, "gpu": {"fraction": 0.5}},
        "node_selector": {"ray.io/accelerator-type": "L4"},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_ray_accepts_what_is_rendered_and_the_application_understands_its_args(variant: str) -> None:
    from ray.serve.schema import ServeDeploySchema

    rendered = ray.render(resolved(**VARIANTS[variant]))
    accepted = ServeDeploySchema.model_validate({"applications": [rendered]}).applications[0]
    assert [each.name for each in accepted.deployments] == [llamacpp.DEPLOYMENT]
    assert accepted.import_path == f"{llamacpp.__name__}:{llamacpp.build.__name__}"
    llamacpp.Args.model_validate(rendered["args"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fixed_number_and_autoscaling_are_never_rendered_together(variant: str) -> None:
    assert ("num_replicas" in options(**VARIANTS[variant])) != (
        "autoscaling_config" in options(**VARIANTS[variant])
    )


def test_blue_green_names_each_revision_and_in_place_keeps_one_name() -> None:
    blue_green, in_place = resolved(), resolved(rollout={"strategy": "in-place"})
    assert ray.render(blue_green)["name"] == f"chat-{blue_green.spec_digest[:8]}"
    assert ray.render(blue_green)["route_prefix"] == f"/chat-{blue_green.spec_digest[:8]}"
    assert ray.render(in_place)["name"] == "chat"


def test_the_spec_digest_is_in_the_arguments_and_the_environment_of_every_replica() -> None:
    spec = resolved(env={"A": "1"}, engine_env={"A": "0", "B": "2"})
    rendered = ray.render(spec)
    env = rendered["deployments"][0]["ray_actor_options"]["runtime_env"]["env_vars"]
    assert env == {"A": "1", "B": "2", "SLIPWAY_SPEC_DIGEST": spec.spec_digest}
    assert rendered["args"]["spec_digest"] == spec.spec_digest


def test_the_bound_of_the_node_cache_is_in_the_environment_only_where_the_catalog_gives_one() -> None:
    def env(settings: Settings) -> dict[str, str]:
        rendered = ray.render(resolved(), settings.node_cache_bytes)
        found: dict[str, str] = rendered["deployments"][0]["ray_actor_options"]["runtime_env"]["env_vars"]
        return found

    assert env(Settings(name="s", node_cache_size="5Gi"))[ray.NODE_CACHE_ENV] == str(5 * 2**30)
    # Nothing is applied anew because of the default.
    assert ray.NODE_CACHE_ENV not in env(Settings(name="s"))


def test_resources_are_cores_bytes_and_shares_of_a_card() -> None:
    actor = options(**VARIANTS["GPUs and labels"])["ray_actor_options"]
    assert (actor["num_cpus"], actor["memory"], actor["num_gpus"]) == (1.5, 2 * 2**30, 0.5)
    assert actor["label_selector"] == {"ray.io/accelerator-type": "L4"}
    assert options()["ray_actor_options"]["num_cpus"] == 1


def test_autoscaling_keeps_its_bounds_target_and_delays() -> None:
    config = options(
        autoscaling={
            "min_replicas": 2,
            "max_replicas": 5,
            "target": {"ongoing_requests": 3},
            "upscale_delay_s": 7,
            "downscale_delay_s": 70,
        }
    )["autoscaling_config"]
    assert config == {
        "min_replicas": 2,
        "max_replicas": 5,
        "initial_replicas": 2,
        "target_ongoing_requests": 3,
        "upscale_delay_s": 7,
        "downscale_delay_s": 70,
    }


def test_an_idle_deployment_goes_to_zero_but_starts_with_one_replica_to_validate() -> None:
    config = options(**VARIANTS["to zero"])["autoscaling_config"]
    assert (config["min_replicas"], config["initial_replicas"]) == (0, 1)
    assert config["downscale_to_zero_delay_s"] == 60


def test_prompts_are_reused_only_where_isolation_was_given_up() -> None:
    assert ray.render(resolved())["args"]["reuse_prompts"] is False
    assert ray.render(resolved(isolate_prompt_cache=False))["args"]["reuse_prompts"] is True


def test_serve_drains_an_in_place_change_and_a_blue_green_one_is_drained_before() -> None:
    in_place = options(rollout={"strategy": "in-place", "drain_s": 77})
    assert in_place["graceful_shutdown_timeout_s"] == 77
    assert options(rollout={"drain_s": 77})["graceful_shutdown_timeout_s"] == ray.DRAINED_SHUTDOWN_S


def test_a_value_in_a_word_of_its_own_is_joined_to_its_option() -> None:
    args = ["--ctx-size", "2048", "--parallel=2", "--jinja"]
    rendered = ray.render(resolved(args=args))["args"]["engine_args"]
    assert rendered == ["--ctx-size=2048", "--parallel=2", "--jinja"]


def test_an_engine_that_ray_does_not_host_is_refused_by_name() -> None:
    spec = resolved().model_copy(update={"engine": Engine(name="llama", server="ollama", images={})})
    with pytest.raises(ValueError, match=r"ollama.*llama\.cpp"):
        ray.render(spec)


REFUSED: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 0},
    "nodes_per_replica": {"nodes_per_replica": 2},
    "secrets": {"secrets": [{"name": "A", "env": "B"}]},
    "rollout.surge": {"rollout": {"surge": 2}},
    "resources.limits.cpu": {"resources": {"limits": {"cpu": 1}}},
    "resources.limits.memory": {"resources": {"limits": {"memory": "1Gi"}}},
    "resources.profile": {"resources": {"profile": "l4:1"}},
    "resources.volume_size": {"resources": {"volume_size": "1Gi"}},
    "resources.volume_class": {"resources": {"volume_class": "fast"}},
    "resources.gpu.class": {"resources": {"gpu": {"class": "h100"}}},
    "resources.gpu.mig_profile": {"resources": {"gpu": {"mig_profile": "1g.5gb"}}},
    "resources.gpu.sharing": {"resources": {"gpu": {"sharing": "mps"}}},
    "autoscaling.target.cpu_percent": {"autoscaling": {"target": {"ongoing_requests": 1, "cpu_percent": 50}}},
    "autoscaling.target.memory_percent": {
        "autoscaling": {"target": {"ongoing_requests": 1, "memory_percent": 5}}
    },
    "autoscaling.target.queue_depth": {"autoscaling": {"target": {"ongoing_requests": 1, "queue_depth": 5}}},
    "autoscaling.target.ongoing_requests": {"autoscaling": {"target": {}}},
    "autoscaling.idle": {"autoscaling": {"idle": "sleep"}},
    "load_balancing.strategy": {"load_balancing": {"strategy": "prefix-hash"}},
    "isolation.namespace": {"isolation": {"namespace": "a"}},
    "isolation.runtime_class": {"isolation": {"runtime_class": "kata"}},
    "isolation.quota": {"isolation": {"quota": {"cpu": 4}}},
    "alias": {"alias": True},
    "path": {"path": "/llm"},
}


@pytest.mark.parametrize("field", REFUSED)
def test_a_field_that_ray_cannot_honour_is_refused_by_name_with_a_remedy(field: str) -> None:
    found = ray.refusals(resolved(**REFUSED[field]).deployment)
    assert [name for name, _ in found] == [field]
    assert found[0][1].rstrip(".").count(". ") == 1  # a cause, then what to do


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_ray_can_honour_is_not_refused(variant: str) -> None:
    spec = resolved(**VARIANTS[variant])
    assert ray.refusals(spec.deployment, spec.engine) == []
