"""Several pulls of the same model at a time do not disturb each other, nor do servers that start again."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.transfer.parts import MIB
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.weights.manifest import Manifest, prefix
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import Fault

PULL = """
import sys
from slipway.artifacts.weights.pull import WeightsRequest, pull
from slipway.artifacts.sources.hub import HubSource
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore

source, hub, *location = sys.argv[1:]
request = WeightsRequest(name="tiny", source=source)
print("ready", flush=True)
sys.stdin.readline()
manifest = pull(request, ObjectStore(S3Location(*location)), HubSource(hub, {}), lambda look: None)
print(manifest.encode().hex())
"""

HUB = """
import sys, time
from pathlib import Path
from slipway.artifacts.transfer.parts import MIB
from slipway.stack.standin_hub import Fault, Repository, StandinHub

directory, api, cdn = sys.argv[1:]
repository = Repository("org/tiny", licence="mit")
repository.commit_directory(Path(directory))
with StandinHub([repository], port=int(api), cdn_port=int(cdn)) as hub:
    hub.faults.switch_on(Fault("throttled", bytes_per_s=6 * MIB))
    time.sleep(600)
"""


@pytest.fixture
def ready(store, tiny, hub) -> Iterator[Callable[[int], list[subprocess.Popen[bytes]]]]:
    """Starts processes that pull `tiny` as soon as they are told to."""
    started: list[subprocess.Popen[bytes]] = []

    def start(count: int) -> list[subprocess.Popen[bytes]]:
        location = [each for each in astuple(store.location) if each is not None]
        command = [sys.executable, "-c", PULL, tiny.source, hub.url, *location]
        for _ in range(count):
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for process in started:
            assert process.stdout and process.stdout.readline() == b"ready\n"
        return started

    yield start
    for process in started:
        process.kill()
        process.wait()


def go(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()


def published_by(process: subprocess.Popen[bytes]) -> Manifest:
    assert process.stdout
    answer = process.stdout.read()
    assert process.wait() == 0
    return Manifest.model_validate_json(bytes.fromhex(answer.decode()))


@pytest.mark.parametrize("unfinished", [False, True], ids=["from-nothing", "with-an-upload-to-adopt"])
def test_four_processes_at_once_all_return_what_one_of_them_published(
    ready, store, tiny, content, uploads_left, unfinished
):
    key_prefix = prefix("tiny", tiny.source[-40:])
    if unfinished:
        key = key_prefix + content.large
        upload_id = Uploads(store).create(key)
        Uploads(store).put_part(key, upload_id, 1, memoryview(content.files[content.large])[: 5 * MIB])
    processes = ready(4)
    go(processes)
    manifests = [published_by(process) for process in processes]
    assert manifests == [Manifest.read(store, "tiny", tiny.source[-40:])] * 4
    assert verify(manifests[0], store, lambda look: None) == []
    assert uploads_left() == []


def test_of_two_processes_one_is_killed_and_the_other_does_not_notice(
    ready, store, tiny, hub, content, uploads_left
):
    hub.faults.switch_on(Fault("throttled", bytes_per_s=10 * MIB))
    one, two = ready(2)
    go([one, two])
    time.sleep(0.7)
    one.kill()
    assert one.wait() == -9
    manifest = published_by(two)
    assert verify(manifest, store, lambda look: None) == []
    assert uploads_left() == []


def test_an_upload_that_is_aborted_under_a_pull_is_begun_again(pull, tiny, hub, store, content, uploads_left):
    """As by a garbage collector with too short a grace, or by a run that published and cleared up."""
    hub.faults.switch_on(Fault("latency", path=content.large, seconds=0.3))
    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(pull, tiny)
        deadline = time.monotonic() + 90
        while not uploads_left():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        Uploads(store).abort_under("weights/")
        hub.faults.clear()
        manifest = pulling.result()
    assert verify(manifest, store, lambda look: None) == []
    assert uploads_left() == []


@pytest.fixture
def serve(content, answers, tmp_path: Path) -> Iterator[Callable[[int, int], subprocess.Popen[bytes]]]:
    """Starts a hub in a process of its own, which gives each connection 6 MiB/s."""
    started: list[subprocess.Popen[bytes]] = []

    def serve(api: int, cdn: int) -> subprocess.Popen[bytes]:
        with (tmp_path / "hub.log").open("ab") as log:
            command = [sys.executable, "-c", HUB, str(content.directory), str(api), str(cdn)]
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        answers(f"http://127.0.0.1:{api}/-/health", tmp_path / "hub.log")
        return started[-1]

    yield serve
    for process in started:
        process.kill()
        process.wait()


def test_the_hub_is_killed_and_starts_again_while_a_file_is_read(
    serve, tiny, store, settings, content, uploads_left
):
    """It signs other links then: those that are known are refused, and asked for again."""
    api, cdn = free_ports(2)
    patient = replace(settings, retry=RetryPolicy(attempts=200, first_wait_s=0.05, longest_wait_s=0.5))
    first = serve(api, cdn)
    with ThreadPoolExecutor(1) as pool:
        source = HubSource(f"http://127.0.0.1:{api}", {}, retry=patient.retry)
        pulling = pool.submit(pull_weights, tiny, store, source, lambda look: None, patient)
        while not uploads_left():
            time.sleep(0.01)
        first.kill()
        first.wait()
        assert not pulling.done()
        serve(api, cdn)
        manifest = pulling.result()
    assert verify(manifest, store, lambda look: None) == []


class RestartableStore:
    """A real SeaweedFS of the test's own, which can be killed and started again on its data."""

    def __init__(self, root: Path, answers: Callable[[str, Path], None]) -> None:
        self._root, self._answers = root, answers
        self._ports = seaweedfs.SeaweedPorts(*free_ports(10))
        for name in ("data", "log"):
            (root / name).mkdir()
        self.url = f"http://127.0.0.1:{self._ports.s3}"
        self.start()

    def start(self) -> None:
        command = seaweedfs.command(self._root / "data", self._root / "log", self._ports)
        with (self._root / "out.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=seaweedfs.environment("key", "secret"), stdout=log, stderr=subprocess.STDOUT
            )
        self._answers(f"{self.url}/healthz", self._root / "out.log")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def restartable(tmp_path: Path, answers) -> Iterator[RestartableStore]:
    server = RestartableStore(tmp_path, answers)
    yield server
    server.kill()


def test_the_store_is_killed_and_starts_again_while_a_file_is_written(
    restartable, tiny, hub, source, settings, content
):
    store = ObjectStore(S3Location(restartable.url, "bucket", "us-east-1", "key", "secret"))
    store.ensure_bucket()
    patient = replace(settings, retry=RetryPolicy(attempts=200, first_wait_s=0.05, longest_wait_s=0.5))
    hub.faults.switch_on(Fault("throttled", bytes_per_s=6 * MIB))
    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(pull_weights, tiny, store, source, lambda look: None, patient)
        while hub.body_bytes < 7 * MIB:
            time.sleep(0.01)
        restartable.kill()
        threading.Timer(0.5, hub.faults.clear).start()
        time.sleep(0.3)
        restartable.start()
        manifest = pulling.result()
    assert verify(manifest, store, lambda look: None) == []
    assert Uploads(store).unfinished("") == []
