"""What the catalog may say of images and registries, checked offline."""

from pathlib import Path

import pytest

from slipway.catalog.files.loader import load
from slipway.catalog.problems import CatalogError

WRONG = """
kind: Settings
name: default
spec:
  registries:
    registry.example: {insecure_http: true, ca_file: /etc/ca.pem}
    other.example: {pull_secret: {secret: ngc}}
---
kind: Engine
name: engine
spec:
  server: vllm
  images:
    cpu: {image: "registry.example/engine:v1", tag: v1}
    nvidia: {image: registry.example/engine, tag: "v 1", platforms: [amd64]}
    amd: {image: registry.example/engine}
"""


def test_every_problem_is_said_with_its_place_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(WRONG)
    with pytest.raises(CatalogError) as refused:
        load(tmp_path)
    said = [str(problem).partition("  ")[2] for problem in refused.value.problems]
    wanted = [
        "registries.registry.example.ca_file = /etc/ca.pem: plain http has no certificate to verify",
        "registries.other.example.pull_secret: Slipway reads it where it mirrors, from the environment alone",
        "images.cpu.image = registry.example/engine:v1: holds a tag or digest",
        "images.nvidia.tag = v 1: ",
        "images.nvidia.platforms[0] = amd64: ",
    ]
    for text in wanted:
        assert any(text in each for each in said), (text, said)
    assert any("neither tag nor digest" in each for each in said)


def test_a_registry_is_a_host_without_a_scheme(tmp_path: Path) -> None:
    text = "kind: Settings\nname: default\nspec: {registries: {'https://registry.example': {}}}\n"
    (tmp_path / "all.yaml").write_text(text)
    with pytest.raises(CatalogError, match=r"not a registry\. Write host"):
        load(tmp_path)
