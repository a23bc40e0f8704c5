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

from slipway.commands.main import cli
from slipway.objectstore import ObjectStore
from slipway.stack.standin_hub import Fault, Repository, StandinHub
from testbed import stores

from .keeping import commit, keys, publish

MAIN = "from slipway.commands.main import main; main()"


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
        **stores.variables(at),
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
    hub.faults.switch_on(Fault("latency", seconds=2))
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
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "run the same again, and it goes on" in said
    assert "Traceback" not in said
    hub.faults.clear()
    assert slipway("weights", "pull", "tiny").exit_code == 0


def test_a_pull_fetches_again_what_is_missing_of_published_weights(
    slipway: Any, store: ObjectStore, hub: StandinHub, content: Any
) -> None:
    at = slipway("weights", "pull", "tiny").stdout.split(" at ")[1].strip()
    store.delete(at + content.small)
    store.put(at + content.text, b"cut")
    before = hub.body_bytes
    mended = slipway("weights", "pull", "tiny")
    assert "2 files are missing or cut off" in mended.stderr
    assert hub.body_bytes - before == len(content.files[content.small]) + len(content.files[content.text])
    assert slipway("weights", "verify", "tiny").exit_code == 0


def test_repair_fetches_again_what_reads_back_wrong_and_nothing_else(
    slipway: Any, store: ObjectStore, hub: StandinHub, content: Any
) -> None:
    at = slipway("weights", "pull", "tiny").stdout.split(" at ")[1].strip()
    manifest = store.get(at + "manifest.json")
    store.put(at + content.small, bytes(len(content.files[content.small])))
    found = slipway("weights", "verify", "tiny")
    assert found.exit_code == 1
    assert "slipway weights pull tiny --repair" in found.stdout
    before = hub.body_bytes
    assert slipway("weights", "pull", "tiny", "--repair").exit_code == 0
    assert hub.body_bytes - before == len(content.files[content.small])
    assert slipway("weights", "verify", "tiny").exit_code == 0
    assert store.get(at + "manifest.json") == manifest


def test_one_manifest_that_cannot_be_read_hides_no_other(slipway: Any, store: ObjectStore) -> None:
    at = slipway("weights", "pull", "tiny").stdout.split(" at ")[1].strip()
    store.put(f"weights/broken/{commit(1)}/manifest.json", b'{"x":')
    listed = slipway("weights", "list")
    assert listed.exit_code == 1
    assert "broken" in listed.stderr
    assert "tiny" in listed.stdout
    verified = slipway("weights", "verify", "--all")
    assert verified.exit_code == 1
    assert "as published" in verified.stdout
    assert at.split("/")[2][:8] in verified.stdout


@pytest.mark.parametrize("stray", ["\n", " two\nlines ", "\u00e9"])
def test_a_token_that_no_header_can_carry_is_refused_by_name_and_never_shown(
    slipway: Any, variables: dict[str, str], stray: str
) -> None:
    variables["HF_TOKEN"] = f"hf_secret{stray}more"
    answer = slipway("weights", "pull", "tiny")
    assert answer.exit_code == 1
    assert "HF_TOKEN holds" in answer.stderr
    assert "hf_secret" not in answer.output + answer.stderr


def test_blanks_around_a_token_are_left_out(slipway: Any, variables: dict[str, str]) -> None:
    variables["HF_TOKEN"] = " hf_secret\n"
    assert slipway("weights", "pull", "tiny").exit_code == 0


def test_a_pull_that_ended_holds_its_weights_no_more(slipway: Any) -> None:
    slipway("weights", "pull", "tiny")
    assert "a pull of tiny" not in slipway("weights", "list").stdout


def test_a_pull_that_has_not_ended_is_listed_with_what_has_arrived_and_for_whom(
    slipway: Any, store: ObjectStore, repository: Repository
) -> None:
    at = f"weights/tiny/{repository.refs['main']}/"
    store.put(f"{at}config.json", b"{}")
    key = f"{at}model.safetensors"
    upload = store.client.create_multipart_upload(Bucket=store.location.bucket, Key=key)["UploadId"]
    store.client.upload_part(
        Bucket=store.location.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"w" * 6_000_000
    )
    listed = slipway("weights", "list").stdout
    assert "a pull that has not ended: 1 files whole, 6.0 MB so far" in listed
    assert "`slipway weights pull tiny` goes on" in listed
    assert "nobody" not in listed
    assert json.loads(slipway("weights", "list", "--json").stdout)[0]["arriving_bytes"] == 6_000_000
