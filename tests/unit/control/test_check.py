from pathlib import Path

import pytest

from slipway.catalog.problems import CatalogError
from slipway.control.check import check_catalog

COMMIT = "0123456789012345678901234567890123456789"
CATALOG = f"""\
kind: Model
name: tiny
spec:
  source: hf://org/tiny@{COMMIT}
---
kind: Engine
name: llama-cpp
spec: {{server: llama.cpp}}
---
kind: Deployment
name: chat
spec:
  model: tiny
  runtime: ray
  engine: llama-cpp
"""


def problems(directory: Path, old: str, new: str) -> list[str]:
    assert old in CATALOG
    (directory / "catalog.yaml").write_text(CATALOG.replace(old, new))
    with pytest.raises(CatalogError) as caught:
        check_catalog(directory)
    return [str(problem).split("catalog.yaml:")[1] for problem in caught.value.problems]


def test_what_this_version_can_do_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    assert check_catalog(tmp_path).catalog.deployment("chat").model == "tiny"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            f"hf://org/tiny@{COMMIT}",
            "s3://bucket/tiny\n  token: {env: KEY}",
            "5  models[tiny].token: this source takes no token.",
        ),
        (
            "runtime: ray",
            "runtime: nim",
            "15  deployments[chat].engine = llama-cpp: runtime nim does not host server llama.cpp.",
        ),
        (
            "runtime: ray",
            "runtime: rai",
            "14  deployments[chat].runtime = rai: not one of the choices. Write ray, vllm, kubeai, ",
        ),
        (
            "tiny@" + COMMIT,
            f"tiny@{COMMIT}\n  token: {{secret: hub, key: token}}",
            "5  models[tiny].token: Slipway reads it where it pulls, from the environment alone.",
        ),
        (
            "runtime: ray",
            "runtime: ray\n---\nkind: Settings\nname: all\nspec:\n  s3_sources:\n    bucket:\n"
            "      endpoint_url: https://s3.example\n      access_key: {env: KEY}\n"
            "      secret_key: {secret: s3}\n---\nkind: Deployment\nname: other\nspec:\n  model: tiny\n"
            "  runtime: ray",
            "23  settings[all].s3_sources.bucket.secret_key: Slipway reads it where it pulls",
        ),
        (
            "tiny@" + COMMIT,
            f"tiny@{COMMIT}\n  task: classification",
            "14  deployments[chat].model = tiny: its task is classification, and llama.cpp on ray does "
            "text-generation, embedding, rerank. Use vllm with vllm, kserve with vllm",
        ),
        (
            "tiny@" + COMMIT,
            f"tiny@{COMMIT}\n  host_locally: false",
            "5  models[tiny].host_locally = false: engines of this version read local S3 alone.",
        ),
        (
            "engine: llama-cpp",
            "engine: llama-cpp\n  data_plane: other",
            "16  deployments[chat].data_plane = other: is another than default",
        ),
        (
            "engine: llama-cpp",
            "engine: llama-cpp\n  alias: true",
            "16  deployments[chat].alias = true: exists on",
        ),
        (
            "runtime: ray",
            "runtime: kubeai",
            "15  deployments[chat].engine = llama-cpp: runtime kubeai does not host server llama.cpp.",
        ),
    ],
)
def test_what_this_version_cannot_do_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    found = problems(tmp_path, old, new)
    assert any(problem.startswith(expected) for problem in found), found
