from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def test_dagster_accepts_every_key_of_our_dagster_yaml(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dagster import DagsterInstance
    from dagster._core.instance.config import PoolGranularity, dagster_instance_config

    dagster_instance_config(str(ROOT))  # raises on an unknown or badly typed key
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.pool_granularity is PoolGranularity.OP
        assert concurrency.pool_config.default_pool_limit == 1
        assert concurrency.run_queue_config is not None
        assert concurrency.run_queue_config.max_concurrent_runs > 0
        assert instance.run_coordinator.dequeue_interval_seconds == 1  # type: ignore[attr-defined]
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
        assert not instance.telemetry_enabled
        assert type(instance.event_log_storage).__name__ == "SqliteEventLogStorage"


def test_the_workspace_names_the_definitions() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace["load_from"] == [
        {"python_module": {"module_name": "pipelines.definitions", "working_directory": "."}}
    ]
