import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from slipway.stack.standin_hub import Fault, Repository, demo, git_ids
from slipway.stack.standin_hub.bodies import parse_range
from slipway.stack.standin_hub.faults import Switchboard
from slipway.stack.standin_hub.lora import BaseShapes, LoraRecipe, write_adapter

# The demo catalog pins these. They change only with the demo's content, and then the catalog has to follow.
MODEL_COMMIT = "a166b648419c1a3638ea80a7ce50fc56a4470636"
ADAPTER_COMMIT = "d01260688b80b74adb8854edf38ca920498dfbee"


def test_the_demo_repositories_keep_their_commits(tmp_path: Path) -> None:
    commits = {each.id: each.refs["main"] for each in demo.repositories(tmp_path)}
    assert commits == {demo.MODEL_REPOSITORY: MODEL_COMMIT, demo.ADAPTER_REPOSITORY: ADAPTER_COMMIT}
    again = {each.id: each.refs["main"] for each in demo.repositories(tmp_path)}
    assert again == commits


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git itself, which is not installed")
def test_ids_are_those_that_git_gives(tmp_path: Path) -> None:
    contents = {"b.txt": b"hello\n", "a/deep/er.txt": b"", "a.txt": b"x" * 1000, "a/0": b"y", "ab": b"z"}
    for path, content in contents.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def git(*args: str) -> str:
        identity = "Slipway stand-in hub", "standin-hub@slipway.invalid", "1704067200 +0000"
        env = {
            f"GIT_{who}_{field}": value
            for who in ("AUTHOR", "COMMITTER")
            for field, value in zip(("NAME", "EMAIL", "DATE"), identity, strict=True)
        }
        env |= {
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "HOME": str(tmp_path),
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        done = subprocess.run(
            ["git", *args], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet", "--object-format=sha1")
    git("add", *contents)
    tree = git("write-tree")
    assert git_ids.tree_id({path: git_ids.blob_id(content) for path, content in contents.items()}) == tree
    first = git("commit-tree", tree, "-m", "One")
    assert git_ids.commit_id(tree, None, "One") == first
    assert git_ids.commit_id(tree, first, "Two") == git("commit-tree", tree, "-p", first, "-m", "Two")


def test_large_and_binary_files_are_lfs_files_named_by_sha256(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    commit = Repository("org/tiny").commit_directory(tmp_path)
    text, weights = commit.files["config.json"], commit.files["model.safetensors"]
    assert (text.lfs, text.etag) == (False, git_ids.blob_id(b"{}"))
    assert (weights.lfs, weights.etag) == (True, hashlib.sha256(b"weights").hexdigest())
    assert weights.blob_id == git_ids.blob_id(git_ids.lfs_pointer(weights.sha256, len(b"weights")))


def test_a_revision_is_a_branch_a_commit_or_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    repository = Repository("org/tiny")
    first = repository.commit_directory(tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    second = repository.commit_directory(tmp_path)
    assert repository.find("main") == second
    assert repository.find(first.id) == repository.find(first.id[:8]) == first
    assert repository.find("absent") is repository.find("") is repository.find("0" * 40) is None


def test_an_adapter_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    recipe = LoraRecipe("seed", "x", 2, 4.0, ("blk.0.attn_q.weight",), 9)
    base = BaseShapes("llama", {"blk.0.attn_q.weight": (8, 4)})
    for name in ("one", "two"):
        write_adapter(tmp_path / name, recipe, base)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    # Its last tensor is lora_b, 4 rows of rank 2: signed SHAKE-256 bytes over 2**9, padded to 32 bytes.
    drawn = hashlib.shake_256(b"seed/blk.0.attn_q.weight.lora_b").digest(8)
    expected = struct.pack("<8f", *(value / 2**9 for value in struct.unpack("8b", drawn)))
    assert (tmp_path / "one").read_bytes()[-32:] == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-5", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-9", None),
    ],
)
def test_ranges_are_read_as_rfc_9110_says(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=5-4"])
def test_a_range_beyond_the_file_is_an_error(header: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        parse_range(header, 100)


def test_a_fault_strikes_as_often_as_it_was_asked_to_and_only_where() -> None:
    faults = Switchboard()
    faults.switch_on(Fault("unavailable", path="*.bin", times=2))
    assert "unavailable" not in faults.take("cdn", "a.txt")
    assert "unavailable" not in faults.take("api", "a.bin")
    assert [list(faults.take("cdn", "a.bin")) for _ in range(3)] == [["unavailable"], ["unavailable"], []]
