"""Hub to S3: our pull against the usual pairs, and reading back against `sha256sum`.

The usual pairs: huggingface_hub's `snapshot_download` as it comes (hf-xet where the hub has it) and tuned,
and then boto3's `upload_file` or `aws s3 cp`.

Belongs here: both sides, as commands of this module, and the content that they move.
Does not: targets (artifacts.py), starting servers (servers.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import servers, sides
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from testbed import environments

MIB = 2**20
ROUNDS = 3
# Starts an empty store whose files are in that folder.
Store = Callable[[Path], AbstractContextManager[ObjectStore]]
_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@dataclass(frozen=True)
class Content:
    """Incompressible files to move."""

    name: str
    files: int
    file_bytes: int

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return self.files * self.file_bytes


SHARDS = Content("shards", 8, 256 * MIB)
SMALL_FILES = Content("small_files", 500, 100 * 1024)


def write(content: Content, directory: Path) -> None:
    """Write random files that are whole safetensors shards, so that every check of a pull is paid for."""
    directory.mkdir(parents=True)
    for number in range(1, content.files + 1):
        header = {"w": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
        for _ in range(3):  # the header's own length depends on the numbers in it
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            size = content.file_bytes - 8 - len(text)
            header["w"] = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
        text = json.dumps(header).encode()
        text += b" " * (content.file_bytes - 8 - size - len(text))
        path = directory / f"model-{number:05d}-of-{content.files:05d}.safetensors"
        with path.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for _ in range(size // MIB):
                stream.write(os.urandom(MIB))
            stream.write(os.urandom(size % MIB))


def compare(content: Content, root: Path, store: Store) -> sides.Compared:
    """Move the content with each side in turns, each time into an empty store of that kind."""
    write(content, root / content.name)
    os.sync()
    with servers.hub(root / content.name, root / "hub.log") as (url, commit):
        job = {"url": url, "commit": commit}
        aws = str(environments.program(environments.AWS, "aws"))
        tuned = {**_QUIET, "HF_HUB_DISABLE_XET": "1"}
        costs = sides.in_turns(
            {
                "ours": lambda: _run("pull", job, root, store),
                "theirs": lambda: _run("snapshot", job, root, store, _QUIET),
                "theirs-tuned": lambda: _run("snapshot", {**job, "workers": 8}, root, store, tuned),
                "theirs-aws": lambda: _run("snapshot", {**job, "workers": 8, "aws": aws}, root, store, tuned),
            },
            ROUNDS,
        )
    theirs = min((cost for name, cost in costs.items() if name != "ours"), key=lambda cost: cost.wall_s)
    return sides.Compared(costs["ours"], theirs)


def least(content: Content, root: Path, store: Store) -> sides.Cost:
    """What the store alone takes for as many bytes: random parts from memory, eight at a time, and no hub.

    No way of moving the content is faster than this on the same machine, whatever it costs itself.
    """
    with store(root / "store") as empty:
        job = {"bytes": content.size_bytes, "store": vars(empty.location)}
        return sides.run(_command("from-memory", job))


def compare_reading(content: Content, root: Path) -> sides.Compared:
    """Read published weights back: `verify` against boto3's stream into `sha256sum`."""
    write(content, root / content.name)
    with (
        servers.seaweed(root / f"store-{content.name}") as store,
        servers.hub(root / content.name, root / "hub.log") as (url, commit),
    ):
        job = {"url": url, "commit": commit, "store": vars(store.location)}
        sides.run(_command("pull", job))
        costs = sides.in_turns(
            {
                "ours": lambda: sides.run(_command("verify", job)),
                "theirs": lambda: sides.run(_command("sha256sum", job)),
            },
            ROUNDS,
        )
    return sides.Compared(costs["ours"], costs["theirs"])


def _run(
    action: str,
    job: Mapping[str, Any],
    root: Path,
    store: Store,
    environment: Mapping[str, str] | None = None,
) -> sides.Cost:
    """One side, into a store that was never used before."""
    scratch = root / "scratch"
    with servers.folder(scratch), store(root / "store") as empty:
        command = _command(action, {**job, "store": vars(empty.location), "scratch": str(scratch)})
        return sides.run(command, environment)


def _command(action: str, job: Mapping[str, Any]) -> list[str]:
    return [sys.executable, "-m", "bench.hub_to_store", action, json.dumps(job)]


def _request(job: Mapping[str, Any]) -> Any:
    from slipway.artifacts.weights.pull import WeightsRequest

    return WeightsRequest(name="bench", source=f"hf://{servers.REPOSITORY_ID}@{job['commit']}")


def _pull(job: Mapping[str, Any], store: ObjectStore) -> None:
    from slipway.artifacts.sources.hub import HubSource
    from slipway.artifacts.weights.pull import pull

    pull(_request(job), store, HubSource(str(job["url"]), {}), lambda look: None)


def _from_memory(job: Mapping[str, Any], store: ObjectStore) -> None:
    """One object of parts of 8 MiB that are all the same random bytes, by links as our uploads use them."""
    key, part = "from-memory", memoryview(os.urandom(8 * MIB))
    upload = store.client.create_multipart_upload(Bucket=store.location.bucket, Key=key)["UploadId"]

    def put(number: int) -> Any:
        query = {"uploadId": upload, "partNumber": str(number)}
        return {"PartNumber": number, "ETag": store.presigned("PUT", key, query, body=part).headers["ETag"]}

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(put, range(1, int(job["bytes"]) // len(part) + 1)))
    store.client.complete_multipart_upload(
        Bucket=store.location.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
    )


def _verify(job: Mapping[str, Any], store: ObjectStore) -> None:
    from slipway.artifacts.weights.manifest import Manifest
    from slipway.artifacts.weights.verification import verify

    manifest = Manifest.read(store, "bench", str(job["commit"]))
    if manifest is None or verify(manifest, store, lambda look: None):
        raise SystemExit("what was published is not there, or not whole")


def _snapshot(job: Mapping[str, Any], store: ObjectStore) -> None:
    """The usual way: download into a folder, then upload with boto3's transfer manager or `aws s3 cp`."""
    from huggingface_hub import snapshot_download

    workers: dict[str, Any] = {"max_workers": int(job["workers"])} if "workers" in job else {}
    scratch = Path(str(job["scratch"]))
    folder = snapshot_download(
        servers.REPOSITORY_ID,
        revision=str(job["commit"]),
        endpoint=str(job["url"]),
        cache_dir=scratch,
        **workers,
    )
    if "aws" in job:
        _copy_with_aws(str(job["aws"]), folder, store.location)
        return
    client = _plain_client(store.location)
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            client.upload_file(str(path), store.location.bucket, f"weights/{path.name}")


def _copy_with_aws(program: str, folder: str, location: S3Location) -> None:
    credentials = {"AWS_ACCESS_KEY_ID": location.access_key, "AWS_SECRET_ACCESS_KEY": location.secret_key}
    where = ["--endpoint-url", location.endpoint_url, "--region", location.region]
    command = [
        program,
        "s3",
        "cp",
        "--recursive",
        "--quiet",
        *where,
        folder,
        f"s3://{location.bucket}/weights/",
    ]
    subprocess.run(command, env={**os.environ, **credentials}, check=True)


def _sha256sum(job: Mapping[str, Any], store: ObjectStore) -> None:
    """Each object through `get_object` into the standard input of `sha256sum`."""
    client = _plain_client(store.location)
    for item in store.list(f"weights/bench/{job['commit']}/"):
        body = client.get_object(Bucket=store.location.bucket, Key=item.key)["Body"]
        with subprocess.Popen(["sha256sum"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as digest:
            assert digest.stdin is not None
            for piece in body.iter_chunks(MIB):
                digest.stdin.write(piece)
            digest.stdin.close()


def _plain_client(location: S3Location) -> Any:
    """A client as boto3 makes it, with nothing set but where and who."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=location.endpoint_url,
        region_name=location.region,
        aws_access_key_id=location.access_key,
        aws_secret_access_key=location.secret_key,
    )


def main() -> None:
    """`python -m bench.hub_to_store ACTION JOB`: one side, once."""
    action, text = sys.argv[1:]
    job = json.loads(text)
    store = ObjectStore(S3Location(**job["store"]))
    actions = {
        "pull": _pull,
        "verify": _verify,
        "snapshot": _snapshot,
        "sha256sum": _sha256sum,
        "from-memory": _from_memory,
    }
    actions[action](job, store)


if __name__ == "__main__":
    if len(sys.argv) == 1:  # by hand: python -m bench.hub_to_store
        with tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
            for each in (servers.seaweed, servers.minio):
                root = Path(directory) / each.__name__
                print(each.__name__, compare(SHARDS, root, each), sep="\n")
                print(f"the store alone: {least(SHARDS, root, each).wall_s:.1f} s")
    else:
        main()
