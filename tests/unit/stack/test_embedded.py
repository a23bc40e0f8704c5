import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.stack.cut_off_runs import cut_off
from slipway.stack.embedded import PORT_NAMES, base_environment, embedded
from slipway.stack.errors import StackError
from slipway.stack.health import _dagster_verdict
from slipway.stack.layout import Layout
from slipway.stack.service import Service

ROOT = Path(__file__).parents[3]
PORTS = {name: 20_000 + index for index, name in enumerate(PORT_NAMES)}


def build(
    home: Path, catalog: Path, existing: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Service]]:
    blueprint, layout = embedded(catalog, ROOT), Layout.of(home)
    variables = blueprint.variables(layout, PORTS, existing)
    return variables, {each.name: each for each in blueprint.services(layout, PORTS, variables)}


def test_every_port_belongs_to_one_service(tmp_path: Path) -> None:
    _, services = build(tmp_path, tmp_path, {})
    claimed = [name for service in services.values() for name in service.ports]
    assert sorted(claimed) == sorted(PORT_NAMES)


def test_secrets_are_made_once_and_are_in_no_command_line(tmp_path: Path) -> None:
    first, services = build(tmp_path, tmp_path, {})
    secrets = [
        first[f"SLIPWAY_{name}"] for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY", "GATEWAY_TOKEN", "RAY_TOKEN")
    ]
    assert len(set(secrets)) == 4
    assert build(tmp_path, tmp_path, first)[0] == first
    for service in services.values():
        assert not any(secret in word for secret in secrets for word in service.command)
        assert not any(secret in repr(service) for secret in secrets)


def test_another_catalog_changes_the_settings_of_those_who_read_it_alone(tmp_path: Path) -> None:
    variables, one = build(tmp_path, tmp_path / "one", {})
    _, two = build(tmp_path, tmp_path / "two", variables)
    changed = {name for name in one if one[name].settings_digest != two[name].settings_digest}
    assert "dagster" in changed
    assert changed.isdisjoint({"s3", "hub", "ray"})


def test_the_hub_may_be_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(tmp_path, tmp_path, {})[0]["SLIPWAY_HUB_URL"] == f"http://127.0.0.1:{PORTS['hub']}"
    monkeypatch.setenv("SLIPWAY_HUB_URL", "https://hub.example")
    assert build(tmp_path, tmp_path, {})[0]["SLIPWAY_HUB_URL"] == "https://hub.example"


def test_services_do_not_inherit_another_stacks_addresses() -> None:
    inherited = base_environment(
        {
            "PATH": "/bin",
            "SLIPWAY_S3_ENDPOINT": "http://other",
            "SLIPWAY_USAGE_SHIP_S": "5",
            "RAY_ADDRESS": "x",
        },
        {"SLIPWAY_S3_ENDPOINT": "ours"},
    )
    assert inherited == {"PATH": "/bin", "SLIPWAY_USAGE_SHIP_S": "5", "PYTHONUNBUFFERED": "1"}


def test_a_missing_dagster_yaml_is_named(tmp_path: Path) -> None:
    blueprint, layout = embedded(tmp_path, tmp_path), Layout.of(tmp_path)
    with pytest.raises(StackError, match=r"dagster\.yaml is missing"):
        blueprint.services(layout, PORTS, blueprint.variables(layout, PORTS, {}))


def dagster_says(**changes: Any) -> dict[str, Any]:
    entry = {
        "name": "defs",
        "loadStatus": "LOADED",
        "locationOrLoadError": {"__typename": "RepositoryLocation"},
    }
    beat = {"daemonType": "SENSOR", "required": True, "healthy": True, "lastHeartbeatTime": 1_000.0}
    return {
        "workspaceOrError": {"locationEntries": [{**entry, **changes.get("entry", {})}]},
        "instance": {"daemonHealth": {"allDaemonStatuses": [{**beat, **changes.get("daemon", {})}]}},
    }


@pytest.mark.parametrize(
    ("changes", "trouble", "final"),
    [
        ({}, None, False),
        ({"entry": {"loadStatus": "LOADING", "locationOrLoadError": None}}, "still loading", False),
        (
            {"entry": {"locationOrLoadError": {"__typename": "PythonError", "message": "no such file\n"}}},
            "code location defs does not load: no such file",
            True,
        ),
        ({"daemon": {"lastHeartbeatTime": None}}, "SENSOR has sent no heartbeat", False),
        ({"daemon": {"lastHeartbeatTime": 899.0}}, "SENSOR has sent no heartbeat", False),
        ({"daemon": {"lastHeartbeatTime": None, "required": False}}, None, False),
    ],
)
def test_dagster_is_ready_when_definitions_are_loaded_and_this_ones_daemons_live(
    changes: dict[str, Any], trouble: str | None, final: bool
) -> None:
    found = _dagster_verdict(json.loads(json.dumps(dagster_says(**changes))), since=900.0, now=1_010.0)
    if trouble is None:
        assert found is None
    else:
        assert found is not None
        assert trouble in found.text
        assert found.final is final


def test_a_daemon_that_has_gone_silent_is_trouble() -> None:
    assert _dagster_verdict(dagster_says(), since=900.0, now=1_000.0 + 181) is not None


def test_only_runs_from_before_the_start_are_cut_off() -> None:
    runs = [
        {"runId": "started before", "startTime": 10.0, "updateTime": 99.0},
        {"runId": "started after", "startTime": 51.0, "updateTime": 60.0},
        {"runId": "starting since before", "startTime": None, "updateTime": 49.0},
        {"runId": "dequeued after", "startTime": None, "updateTime": 55.0},
    ]
    assert cut_off(runs, since=50.0) == ["started before", "starting since before"]
