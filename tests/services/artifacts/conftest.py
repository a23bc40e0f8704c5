"""A stand-in hub over HTTP with one repository of some MB, and a pull that gives up quickly."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.transfer.parts import MIB, TransferLimits
from slipway.artifacts.transfer.progress import Progress
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.objectstore import ObjectStore
from slipway.stack.standin_hub import Repository, StandinHub
from testbed.server_processes import wait_until_answered

QUICK = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.05, patience_s=0)


@dataclass(frozen=True)
class Content:
    """What the repository holds, by path, and where it lies."""

    files: dict[str, bytes]
    directory: Path
    large: str = "model-1.safetensors"  # three parts
    small: str = "sub/model-2.safetensors"  # one part
    text: str = "config.json"  # kept by git itself
    empty: str = "empty.txt"

    @property
    def size_bytes(self) -> int:
        return sum(len(body) for body in self.files.values())


def safetensors_of(tensor: bytes) -> bytes:
    """A safetensors file with these bytes as its one tensor."""
    header = {"w": {"dtype": "U8", "shape": [len(tensor)], "data_offsets": [0, len(tensor)]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensor


@pytest.fixture(scope="session")
def safetensors() -> Callable[[bytes], bytes]:
    """Makes a safetensors file with the given bytes as its one tensor."""
    return safetensors_of


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    draw = random.Random(20260101)
    content = Content({}, tmp_path_factory.mktemp("content"))
    content.files[content.large] = safetensors_of(draw.randbytes(12 * MIB + 345))
    content.files[content.small] = safetensors_of(draw.randbytes(MIB))
    content.files[content.text] = b'{"model_type": "tiny"}\n'
    content.files[content.empty] = b""
    for path, body in content.files.items():
        (content.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (content.directory / path).write_bytes(body)
    return content


@pytest.fixture
def repository(content: Content) -> Repository:
    repository = Repository("org/tiny", licence="mit")
    repository.commit_directory(content.directory)
    return repository


@pytest.fixture
def hub(repository: Repository) -> Iterator[StandinHub]:
    with StandinHub([repository]) as hub:
        yield hub


@pytest.fixture
def source(hub: StandinHub) -> HubSource:
    """Slipway's client of the stand-in hub, without any token."""
    return HubSource(hub.url, {}, retry=QUICK)


@pytest.fixture
def tiny(repository: Repository) -> WeightsRequest:
    """The repository at its commit, under the name `tiny`."""
    return WeightsRequest(name="tiny", source=f"hf://{repository.id}@{repository.refs['main']}")


@pytest.fixture
def settings() -> TransferSettings:
    return TransferSettings(TransferLimits(part_bytes=5 * MIB, parts_in_flight=4), QUICK)


@pytest.fixture
def looks() -> list[Progress]:
    """What `pull` reported."""
    return []


@pytest.fixture
def pull(
    store: ObjectStore, source: HubSource, settings: TransferSettings, looks: list[Progress]
) -> Callable[[WeightsRequest], Manifest]:
    """Pull a request from the stand-in hub into the store."""
    return lambda request: pull_weights(request, store, source, looks.append, settings)


@pytest.fixture
def uploads_left(store: ObjectStore) -> Callable[[], list[str]]:
    """Keys of multipart uploads that are neither complete nor aborted."""

    def left() -> list[str]:
        reply = store.client.list_multipart_uploads(Bucket=store.location.bucket)
        return [upload["Key"] for upload in reply.get("Uploads", [])]

    return left


@pytest.fixture
def answers() -> Callable[[str, Path], None]:
    """Waits until a server answers below 500."""
    return wait_until_answered
