"""The image asset as Dagster runs it, and the command as a person does."""

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from assets import groups
from resources.all import resources
from slipway.commands.main import cli
from slipway.control.check import check_catalog
from testbed import stores

from .conftest import PATH


@pytest.fixture
def variables_of_all(variables, store):
    at = store.location
    return {
        **variables,
        **stores.variables(at),
    }


@pytest.fixture
def catalog_dir(tmp_path, source):
    """A catalog of one engine with images for two accelerators, and what its registry needs."""
    image = f"{source.host}/{PATH}"
    images = {
        "cpu": {"image": image, "tag": "v1", "platforms": ["linux/amd64"]},
        "nvidia": {"image": image, "tag": "v1"},
    }
    registry = {"pull_secret": {"env": "SOURCE_LOGIN"}, "ca_file": str(source.ca_file)}
    documents = [
        {"kind": "Engine", "name": "engine", "spec": {"server": "vllm", "images": images}},
        {"kind": "Settings", "name": "default", "spec": {"registries": {source.host: registry}}},
    ]
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return tmp_path / "catalog"


def materialize(catalog_dir, variables, instance):
    catalog = check_catalog(catalog_dir).catalog
    found = resources(variables)
    wanted = {name: found[name] for name in ("images", "environment", "store")}
    return dg.materialize(
        groups.build([groups.named("images")], catalog),
        resources=wanted,
        instance=instance,
        raise_on_error=False,
    )


def test_a_run_mirrors_every_accelerator_and_says_what_and_how_fast(
    maker, catalog_dir, variables_of_all, records
):
    digest = maker.index("amd64", "arm64", tag="v1")["digest"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(catalog_dir, variables_of_all, instance)
        assert result.success
        lines = [entry.user_message for entry in instance.all_logs(result.run_id)]
    [done] = result.asset_materializations_for_node("image__engine")
    told = {name: entry.value for name, entry in done.metadata.items()}
    assert told["digest_cpu"] == told["digest_nvidia"] == digest
    assert told["licence"] == "Apache-2.0"
    blobs = {blob: size for each in records.all() for blob, size in each.blobs.items()}
    assert (told["files"], told["bytes"]) == (len(blobs), sum(blobs.values()))
    assert told["bytes_moved"] == sum(blobs.values())  # each once, though two accelerators name it
    assert told["source"].endswith(f"/{PATH}:v1")
    assert any(line.startswith("nvidia: ") and "(100%)" in line for line in lines)


def test_what_needs_a_person_is_not_retried(catalog_dir, variables_of_all):
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(catalog_dir, variables_of_all, instance)
        assert not result.success
        [failed] = [event for event in result.all_events if event.is_step_failure]
        assert "no such repository or tag" in str(failed.step_failure_data.error_display_string)
        assert not [event for event in result.all_events if event.is_step_up_for_retry]


@pytest.fixture
def slipway(variables_of_all, catalog_dir, tmp_path, monkeypatch):
    for name, value in {
        **variables_of_all,
        "SLIPWAY_CATALOG": str(catalog_dir),
        "SLIPWAY_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(cli, ["image", *arguments])


def test_a_person_mirrors_lists_sees_what_moved_and_collects(maker, slipway, records):
    assert "cpu): v1 was never mirrored" in slipway("moved").output
    maker.index("amd64", "arm64", tag="v1")
    first = slipway("mirror", "engine")
    assert first.exit_code == 0, first.output
    assert "engine (cpu): " in first.stderr and "(100%)" in first.stderr  # lines: this is no terminal
    assert "engine (nvidia): sha256:" in first.stdout and "0.0 MB moved" not in first.stdout.splitlines()[0]
    assert slipway("list").output.endswith("2 mirrored\n")
    assert (slipway("moved").exit_code, slipway("moved").output) == (0, "nothing moved\n")

    before = records.all("engine", "nvidia")[0].digest
    now = maker.image(tag="v1")["digest"]
    moved = slipway("moved")
    assert moved.exit_code == 3 and f"engine (nvidia): v1 was {before}, is {now}" in moved.output
    assert slipway("mirror", "engine", "--accelerator", "nvidia").exit_code == 0
    found = slipway("gc")
    assert found.output.endswith("0 would be removed. Nothing was changed: --apply removes.\n"), found.output
    assert slipway("gc", "--apply").exit_code == 0


def test_a_failure_is_told_and_exits_with_1(slipway):
    failed = slipway("mirror", "engine")
    assert "engine (cpu): " in failed.stderr and "no such repository or tag" in failed.stderr
    assert failed.exit_code == 1
    assert "it has engine" in str(slipway("mirror", "absent").exception)
    assert "no image for amd" in str(slipway("mirror", "engine", "--accelerator", "amd").exception)
