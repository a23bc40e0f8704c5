"""Image assets: which there are, and what a rollout depends on."""

import shutil
from pathlib import Path

import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from assets import groups, keys, pools
from assets.structure import structure_of
from pipelines.definitions import build_definitions
from slipway.control.check import check_catalog

REPOSITORY = Path(__file__).parents[2]
IMAGES = """
spec:
  server: llama.cpp
  images:
    cpu: {image: registry.example/team/engine, tag: v1, platforms: [linux/amd64]}
    nvidia: {image: registry.example/team/engine-cuda, tag: v1}
"""


@pytest.fixture
def catalog_dir(tmp_path: Path) -> Path:
    """The demo catalog, whose engine has images."""
    shutil.copytree(REPOSITORY / "catalog", tmp_path / "catalog")
    models = tmp_path / "catalog" / "models.yaml"
    before = "\nspec:\n  server: llama.cpp\n"
    assert before in models.read_text()
    models.write_text(models.read_text().replace(before, IMAGES))
    return tmp_path / "catalog"


@pytest.fixture
def graph(catalog_dir: Path) -> AssetGraph:
    return build_definitions(catalog_dir).resolve_asset_graph()


def test_an_engine_with_images_has_one_asset_in_the_registry_pool(graph: AssetGraph) -> None:
    image = graph.get(keys.image("llama-cpp"))
    assert image.pools == {pools.REGISTRY} and image.code_version and image.group_name == "images"


def test_rollouts_wait_for_the_images_of_their_engine(graph: AssetGraph) -> None:
    for deployment in ("chat", "assistant"):
        assert keys.image("llama-cpp") in graph.get(keys.rollout(deployment)).parent_keys


def test_an_engine_without_images_has_no_asset(catalog_dir: Path) -> None:
    graph = build_definitions(REPOSITORY / "catalog").resolve_asset_graph()
    assert not [key for key in graph.get_all_asset_keys() if key.path[0] == "image"]
    without_images, with_images = (
        structure_of(groups.build(groups.GROUPS, check_catalog(each).catalog))
        for each in (REPOSITORY / "catalog", catalog_dir)
    )
    assert with_images.keys() - without_images.keys() == {keys.image("llama-cpp")}
