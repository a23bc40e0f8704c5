"""`slipway weights ...` as a person or a script runs it, against a real store and the stand-in hub."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipway.cli import cli
from slipway.objectstore import ObjectStore
from slipway.stack.standin_hub import Fault, Repository, StandinHub

from .keeping import commit, keys, publish

MAIN = "from slipway.cli import main; main()"


@pytest.fixture
def variables(store: ObjectStore, hub: StandinHub, repository: Repository, tmp_path: Path) -> dict[str, str]:
    """The environment of a command, with a catalog that has the stand-in hub's model."""
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "models.yaml").write_text(
        f"kind: Model\nname: tiny\nspec: {{source: 'hf://org/tiny@{repository.refs['main']}'}}\n"
        "---\nkind: Settings\nname: default\nspec: {weights_grace_s: 0}\n"
    )
    at = store.location
    return {
        "SLIPWAY_HOME": str(tmp_path / "home"),
        "SLIPWAY_CATALOG": str(catalog),
        "SLIPWAY_HUB_URL": hub.url,
        "SLIPWAY_S3_ENDPOINT": at.endpoint_url,
        "SLIPWAY_S3_BUCKET": at.bucket,
        "SLIPWAY_S3_ACCESS_KEY": at.access_key,
        "SLIPWAY_S3_SECRET_KEY": at.secret_key,
    }


@pytest.fixture
def slipway(variables: dict[str, str]) -> Any:
    """Runs a command and returns what it printed and its exit code."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, list(words), env=variables)

    return run


def test_a_pulled_model_is_listed_with_who_names_it_and_verifies(
    slipway: Any, repository: Repository
) -> None:
    pulled = slipway("weights", "pull", "tiny")
    assert (pulled.exit_code, pulled.exception) == (0, None)
    assert "100%" in pulled.stderr
    listed = json.loads(slipway("weights", "list", "--json").stdout)
    assert [(row["name"], row["commit"], row["files"]) for row in listed] == [
        ("tiny", repository.refs["main"], 4)
    ]
    assert listed[0]["named_by"][0] == "catalog"
    assert listed[0]["source"] == f"hf://org/tiny@{repository.refs['main']}"
    assert repository.refs["main"][:8] in slipway("weights", "list").stdout
    assert slipway("weights", "verify", "tiny").exit_code == 0
    assert "sample as published" in slipway("weights", "verify", "--all", "--sampled").stdout


def test_verify_prints_a_line_for_each_file_that_differs_and_exits_1(
    slipway: Any, store: ObjectStore
) -> None:
    manifest = publish(store, "m", commit(1))
    store.put(manifest.prefix + "config.json", b"[]")  # of the right size
    store.delete(manifest.prefix + "tokenizer.json")
    found = slipway("weights", "verify", "m", "--commit", manifest.commit[:8])
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert lines[0].startswith(f"{manifest.prefix}config.json: sha256 ")
    assert lines[1].startswith(f"{manifest.prefix}tokenizer.json: missing")
    assert "2 problems" in lines[2]


def test_a_name_that_is_not_there_is_answered_with_those_that_are(slipway: Any, store: ObjectStore) -> None:
    publish(store, "m", commit(1))
    assert "not in the store, which has m" in str(slipway("weights", "verify", "x").exception)
    assert "not in the catalog, which has tiny" in str(slipway("weights", "pull", "x").exception)


def test_gc_says_what_would_go_and_why_and_removes_only_when_told_to(
    slipway: Any, store: ObjectStore
) -> None:
    garbage = publish(store, "m", commit(1))
    before = keys(store)
    said = slipway("weights", "gc").stdout
    assert f"would remove  {garbage.prefix}" in said
    assert "nobody names it since" in said
    assert "--apply removes" in said
    assert keys(store) == before
    found = json.loads(slipway("weights", "gc", "--apply", "--json").stdout)
    assert [row["prefix"] for row in found["removed"]] == [garbage.prefix]
    assert (found["applied"], found["removed_bytes"]) == (True, garbage.size_bytes)
    assert keys(store) == set()


def test_a_pull_that_fails_names_the_cause_and_exits_1(slipway: Any, hub: StandinHub) -> None:
    hub.faults.switch_on(Fault("vanished", door="resolve"))
    failed = slipway("weights", "pull", "tiny")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("tiny: hf://org/tiny")


def test_ctrl_c_ends_a_pull_with_the_word_that_the_next_run_goes_on(
    variables: dict[str, str], slipway: Any, hub: StandinHub
) -> None:
    hub.faults.switch_on(Fault("latency", seconds=0.5))
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "weights", "pull", "tiny"],
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not hub.requests:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same again, and it goes on" in said
    assert "Traceback" not in said
    hub.faults.clear()
    assert slipway("weights", "pull", "tiny").exit_code == 0
