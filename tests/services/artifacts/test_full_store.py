"""A store without space: the pull says so, publishes nothing, and completes once there is room."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slipway.artifacts.errors import SourceUnavailableError
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports


@pytest.fixture
def full_seaweed(tmp_path: Path, answers) -> Iterator[ObjectStore]:
    """A real SeaweedFS that may use two volumes of 1 MiB, and no more."""
    for name in ("data", "log"):
        (tmp_path / name).mkdir()
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    command = seaweedfs.command(tmp_path / "data", tmp_path / "log", ports)
    usual = "-master.volumeSizeLimitMB=1024"
    assert usual in command
    command = [part for part in command if part != usual] + ["-master.volumeSizeLimitMB=1", "-volume.max=2"]
    with (tmp_path / "out.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=seaweedfs.environment("key", "secret"), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        answers(f"http://127.0.0.1:{ports.s3}/healthz", tmp_path / "out.log")
        store = ObjectStore(
            S3Location(f"http://127.0.0.1:{ports.s3}", "bucket", "us-east-1", "key", "secret")
        )
        store.ensure_bucket()
        yield store
    finally:
        process.kill()
        process.wait()


class FakeFullStore(BaseHTTPRequestHandler):
    """Not an S3 server: it has nothing, takes a beginning, and answers 507 to every body."""

    protocol_version = "HTTP/1.1"
    aborted: list[str]

    def _xml(self, status: int, body: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self) -> None:
        if "list-type" in self.path:
            self._xml(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        else:
            self._xml(404, "<Error><Code>NoSuchKey</Code><Message>absent</Message></Error>")

    def do_POST(self) -> None:
        upload = "<UploadId>u1</UploadId>"
        self._xml(200, f"<InitiateMultipartUploadResult>{upload}</InitiateMultipartUploadResult>")

    def do_PUT(self) -> None:
        self._xml(507, "<Error><Code>InsufficientStorage</Code><Message>quota reached</Message></Error>")

    def do_DELETE(self) -> None:
        self.aborted.append(self.path)
        self._xml(204, "")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def fake_full_store() -> Iterator[tuple[ObjectStore, list[str]]]:
    """A store that answers 507, and the uploads that were aborted there."""
    aborted: list[str] = []
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("FakeFullStore", (FakeFullStore,), {"aborted": aborted})
    )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield (
        ObjectStore(S3Location(f"http://127.0.0.1:{server.server_port}", "bucket", "x", "key", "secret")),
        aborted,
    )
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("include", ["*.json", "model-1.safetensors"])
def test_insufficient_storage_is_said_with_its_remedy(fake_full_store, tiny, source, settings, include):
    """What was sent stays, for the run after there is space."""
    store, aborted = fake_full_store
    request = tiny.model_copy(update={"include": (include,)})
    with pytest.raises(ObjectStoreError, match="Free space in the store"):
        pull_weights(request, store, source, lambda look: None, settings)
    assert aborted == []


def test_a_store_that_runs_full_is_said_to_be_and_publishes_nothing(full_seaweed, tiny, source, settings):
    with pytest.raises((SourceUnavailableError, ObjectStoreError), match="may be full"):
        pull_weights(tiny, full_seaweed, source, lambda look: None, settings)
    assert full_seaweed.get(f"weights/tiny/{tiny.source[-40:]}/manifest.json") is None
