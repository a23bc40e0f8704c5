"""The rights of a catalog: a Role wherever something is written, and bound to whom it is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from slipway.catalog import Catalog, Deployment, Endpoint
from slipway.commands.main import cli
from slipway.runtimes.cluster import rights
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName, StoreAddress

AROUND = ClusterSettings(store=StoreAddress("http://s3:8333", "models", secret="keys"))
S3 = {"SLIPWAY_S3_ENDPOINT": "http://s3:1", "SLIPWAY_S3_ACCESS_KEY": "a", "SLIPWAY_S3_SECRET_KEY": "s"}


def deployment(name: str, runtime: str = "vllm", **fields: Any) -> Deployment:
    written = {"name": name, "model": "m", "engine": "e", "runtime": runtime, **fields}
    return Deployment.model_validate(written)


CATALOG = Catalog(
    deployments=(
        deployment("a"),
        deployment("b", isolation={"namespace": "team"}),
        deployment("c", "kubeai"),
        deployment("d", "ray"),
        deployment("e", data_plane="west", isolation={"namespace": "elsewhere"}),
    ),
    endpoints=(
        Endpoint.model_validate(
            {
                "name": "p",
                "host": "a.example.com",
                "data_plane": "default",
                "address_pool": {"addresses": ["10.0.0.0/28"]},
            }
        ),
    ),
)


def test_there_is_a_role_wherever_the_data_plane_is_written_to() -> None:
    expected = ("kubeai", "metallb-system", "slipway", "slipway-system", "team")
    assert rights.namespaces(CATALOG, "default", AROUND) == expected
    assert rights.namespaces(CATALOG, "west", AROUND) == ("elsewhere", "slipway")
    made = rights.objects(CATALOG, "default", AROUND, None)
    assert [each["metadata"].get("namespace") for each in made] == [
        *expected,
        None,
        "kube-node-lease",
    ]
    secrets = [rule for each in made for rule in each["rules"] if "resourceNames" in rule]
    assert {name for rule in secrets for name in rule["resourceNames"]} == {"keys"}


def test_each_is_bound_to_the_account() -> None:
    made = rights.objects(CATALOG, "west", AROUND, ObjectName("ops", "slipway"))
    roles, bindings = made[:4], made[4:]
    for role, binding in zip(roles, bindings, strict=True):
        assert binding["kind"] == f"{role['kind']}Binding"
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["metadata"].get("namespace") == role["metadata"].get("namespace")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "namespace": "ops", "name": "slipway"}]


def test_the_command_prints_them_and_refuses_what_is_no_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**S3, "SLIPWAY_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    catalog = ["--catalog", str(Path(__file__).parents[3] / "catalog")]
    printed = CliRunner().invoke(cli, ["roles", *catalog, "--account", "ops/slipway"])
    assert printed.exit_code == 0, printed.output
    kinds = [each["kind"] for each in yaml.safe_load_all(printed.stdout)]
    assert kinds == ["Role", "ClusterRole", "Role", "RoleBinding", "ClusterRoleBinding", "RoleBinding"]
    refused = CliRunner().invoke(cli, ["roles", *catalog, "--account", "slipway"])
    assert (refused.exit_code, "slipway is no NAMESPACE/NAME" in refused.output) == (2, True)
