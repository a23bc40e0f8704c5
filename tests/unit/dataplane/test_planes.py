"""Several data planes as one: each deployment goes to its own, and a missing one is named."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.settings import cluster_settings
from slipway.dataplane.planes.connected import kubernetes_names
from slipway.dataplane.planes.planes import Key, Planes, key_of
from slipway.environment import Environment
from slipway.records.revisions import Applied

S3 = {"SLIPWAY_S3_ENDPOINT": "http://s3:1", "SLIPWAY_S3_ACCESS_KEY": "a", "SLIPWAY_S3_SECRET_KEY": "s"}


@dataclass
class FakePlane:
    """Stands for a plane: notes what it is asked for, and can park what it has."""

    has: frozenset[str]
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def apply(self, wanted: Applied) -> None:
        self.asked.append(("apply", wanted.application))

    def park(self, applications: frozenset[str], _: Any) -> frozenset[str]:
        return applications - self.has


def applied(**rendered: Any) -> Applied:
    """A record, as a plane made it."""
    return Applied("chat-1", "chat", "d" * 64, rendered)


def test_a_record_goes_back_to_the_plane_that_made_it() -> None:
    ray, east = FakePlane(frozenset()), FakePlane(frozenset())
    planes = Planes({Key("ray"): lambda: ray, Key("kubernetes", "east"): lambda: east})  # type: ignore[dict-item, return-value]
    planes.apply(applied(name="chat-1"))
    planes.apply(applied(data_plane="east"))
    assert (len(ray.asked), len(east.asked)) == (1, 1)


def test_what_one_plane_parked_is_not_removed_for_another_s_sake() -> None:
    east, west = FakePlane(frozenset({"a"})), FakePlane(frozenset({"b"}))
    planes = Planes({Key("kubernetes", "east"): lambda: east, Key("kubernetes", "west"): lambda: west})  # type: ignore[dict-item, return-value]
    assert planes.park(frozenset({"a", "b", "c"}), print) == frozenset({"c"})


def test_a_plane_that_is_not_connected_is_named_with_the_variable_that_connects_it() -> None:
    planes = Planes({Key("ray"): lambda: FakePlane(frozenset())})  # type: ignore[dict-item, return-value]
    with pytest.raises(
        DataPlaneError, match=r"kubernetes east is not connected \(connected: ray\).*SLIPWAY_KUBECONFIG_"
    ):
        planes.apply(applied(data_plane="east"))


def test_plain_ray_is_one_plane_whatever_a_deployment_calls_it() -> None:
    assert key_of("ray", "default") == Key("ray")
    assert key_of("vllm", "eu-west") == Key("kubernetes", "eu-west")


def test_each_kubeconfig_connects_the_plane_of_its_name() -> None:
    named = {"SLIPWAY_KUBECONFIG": "/a", "SLIPWAY_KUBECONFIG_EU_WEST": "/b", "SLIPWAY_KUBECONFIG_OFF": ""}
    assert list(kubernetes_names(Environment.load(named))) == ["default", "eu-west"]


class TestSettings:
    def test_without_a_file_pods_find_the_store_where_slipway_does(self) -> None:
        found = cluster_settings(Environment.load(S3))
        assert (found.store.endpoint_url, found.store.bucket) == ("http://s3:1", "slipway")

    def test_a_file_says_what_the_cluster_has(self, tmp_path: Path) -> None:
        path = tmp_path / "east.yaml"
        path.write_text("namespace: models\nstore: {endpoint_url: 'http://s3.storage.svc:8333'}\n")
        found = cluster_settings(Environment.load({**S3, "SLIPWAY_KUBE_SETTINGS_EAST": str(path)}), "east")
        assert (found.namespace, found.store.endpoint_url) == ("models", "http://s3.storage.svc:8333")
        assert found.store.bucket == "slipway"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("namespaces: [a]", "namespaces: no such setting. Known are store, namespace"),
            ("gpu_shares: many", "gpu_shares: Input should be a valid integer"),
            ("- a", "not a mapping of settings"),
            ("{", "Name a YAML file of settings"),
        ],
    )
    def test_a_file_that_is_wrong_is_named_with_its_field(self, tmp_path: Path, text: str, said: str) -> None:
        path = tmp_path / "s.yaml"
        path.write_text(text)
        with pytest.raises(DataPlaneError) as caught:
            cluster_settings(Environment.load({**S3, "SLIPWAY_KUBE_SETTINGS": str(path)}))
        assert str(caught.value).startswith(str(path))
        assert said in str(caught.value)
