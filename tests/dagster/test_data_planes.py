"""What stands around deployments on Kubernetes, as Dagster sees it: and nothing of it on plain Ray."""

from pathlib import Path

import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from assets import groups, keys, pools
from assets.structure import Structure, structure_of
from pipelines.definitions import build_definitions
from slipway.catalog import digests
from slipway.control.check import check_catalog

REPOSITORY = Path(__file__).parents[2]
DIGEST = "sha256:" + "a" * 64
CATALOG = f"""
{{kind: Model, name: m, spec: {{source: "hf://o/m@{"1" * 40}"}}}}
---
kind: Engine
name: e
spec: {{server: vllm, images: {{cpu: {{image: registry.example/e, digest: "{DIGEST}"}}}}}}
---
{{kind: Deployment, name: chat, owner: "team:chat", spec: {{model: m, runtime: vllm, engine: e, path: /llm}}}}
---
{{kind: Endpoint, name: public, owner: "team:edge", spec: {{host: api.example.com}}}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    return tmp_path


@pytest.fixture
def graph(directory: Path) -> AssetGraph:
    return build_definitions(directory).resolve_asset_graph()


def structure(directory: Path) -> Structure:
    return structure_of(groups.build(groups.GROUPS, check_catalog(directory).catalog))


def edited(directory: Path, old: str, new: str) -> Path:
    assert old in CATALOG
    (directory / "catalog.yaml").write_text(CATALOG.replace(old, new))
    return directory


def test_a_cluster_is_prepared_before_rollouts_and_gateways_on_it_and_gateways_before_routes(
    graph: AssetGraph,
) -> None:
    assert graph.get(keys.data_plane("default")).parent_keys == set()
    assert keys.data_plane("default") in graph.get(keys.rollout("chat")).parent_keys
    assert graph.get(keys.gateway("public")).parent_keys == {keys.data_plane("default"), keys.ORGANIZATIONS}
    assert keys.gateway("public") in graph.get(keys.ROUTES).parent_keys


def test_both_say_what_they_are_whose_they_are_and_which_spec_made_them(
    graph: AssetGraph, directory: Path
) -> None:
    catalog = check_catalog(directory).catalog
    plane, gateway = graph.get(keys.data_plane("default")), graph.get(keys.gateway("public"))
    assert plane.code_version == digests.of_data_plane(catalog, "default")
    assert gateway.code_version == digests.of_gateway(catalog, catalog.endpoints[0])
    assert (plane.owners, gateway.owners) == (["team:chat"], ["team:edge"])
    assert {each.group_name for each in (plane, gateway)} == {"data_planes", "gateway"}
    assert plane.pools == gateway.pools == {pools.data_plane("default")}
    checks = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    assert (keys.data_plane("default"), "store_secret") in checks
    assert {name for key, name in checks if key == keys.gateway("public")} == {
        "edge_programmed",
        "certificate_ready",
    }


def test_on_plain_ray_there_is_neither_even_with_an_endpoint(directory: Path) -> None:
    images = f', images: {{cpu: {{image: registry.example/e, digest: "{DIGEST}"}}}}'
    ray = edited(directory, "runtime: vllm, engine: e, path: /llm", "runtime: ray, engine: e")
    text = (ray / "catalog.yaml").read_text().replace("vllm", "llama.cpp").replace(images, "")
    (ray / "catalog.yaml").write_text(text)
    paths = {key.path[0] for key in build_definitions(ray).resolve_asset_graph().get_all_asset_keys()}
    assert "data_plane" not in paths
    assert keys.gateway("public") not in build_definitions(ray).resolve_asset_graph().get_all_asset_keys()


@pytest.mark.parametrize(
    ("old", "new", "planes", "gateways"),
    [
        ("host: api.example.com", "host: api.example.com, gateway_replicas: 2", False, True),
        ("path: /llm", "path: /other", False, True),
        ("path: /llm", "path: /llm, isolation: {namespace: tenant-a}", True, False),
        ("path: /llm", "path: /llm, replicas: 2", False, False),
        ("name: public", "name: private", True, True),
    ],
)
def test_each_digest_changes_with_what_it_is_made_from_alone(
    directory: Path, old: str, new: str, planes: bool, gateways: bool
) -> None:
    before = check_catalog(directory).catalog
    after = check_catalog(edited(directory, old, new)).catalog
    changed = digests.of_data_plane(before, "default") != digests.of_data_plane(after, "default")
    assert changed is planes
    made = [digests.of_gateway(each, each.endpoints[0]) for each in (before, after)]
    assert (made[0] != made[1]) is gateways


def test_a_repair_is_just_what_differs(directory: Path) -> None:
    """Another host needs no other assets; another endpoint does."""
    before = structure(directory)
    assert structure(edited(directory, "api.example.com", "api.example.org")) == before
    assert structure(edited(directory, "name: public", "name: private")) != before
