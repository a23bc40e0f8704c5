"""Ray's own LLM application on a Ray of its own, with the document that the KubeRay renderer makes of it.

Given here is what the operator gives in a cluster: `ray start`, and the document over Ray's REST API. The
environment of pods is the renderer's. Its vLLM is the one that this Ray takes, not the newest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from slipway.objectstore import ObjectStore
from slipway.runtimes.kuberay import render as kuberay
from slipway.stack.ports import free_ports
from testbed import server_processes
from testbed.vllm import environments, serving

from .conftest import ORGS, Gateway, ask, resolved, route, settings
from .promises import is_valid

NAME, ADAPTER = "tiny/ray", "tiny/ray-adapter"
DEADLINE_S = 600
LONGEST = 512
# Of 8 tokens by the tokenizer that the test makes.
SENTENCE, SENTENCE_TOKENS = "the capital of france is paris. ", 8
SPEC = resolved(
    "text",
    args=(f"--max-model-len={LONGEST}",),
    runtime="kuberay",
    adapters=[{"adapter": "adapter"}],
    resources={"requests": {"cpu": "1"}},
)


@dataclass(frozen=True)
class Application:
    """The running application: its address and what the engine calls each name."""

    url: str
    engine_names: dict[str, str]


@pytest.fixture(scope="module")
def application(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    home = tmp_path_factory.mktemp("ray")
    rendered = kuberay.render(SPEC, settings(store))
    (service,) = (each for each in rendered.objects if each["kind"] == "RayService")
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    environment = serving.environment_of(container, _all_secrets(store), home / "cache")
    wanted = kuberay.application(SPEC, settings(store))
    gcs, dashboard, http = free_ports(3)
    api = f"http://127.0.0.1:{dashboard}/api/serve/applications/"
    with _ray(home, environment, gcs, dashboard):
        server_processes.wait_until_answered(api, home / "ray.log")
        _put(api, {"http_options": {"host": "127.0.0.1", "port": http}, "applications": [wanted]})
        _wait_until_running(api, wanted["name"], home / "ray.log")
        yield Application(f"http://127.0.0.1:{http}{wanted['route_prefix']}", dict(rendered.engine_names))


def _all_secrets(store: ObjectStore) -> dict[str, str]:
    keys = serving.secrets_of(store.location)
    ours = dict(zip(("SLIPWAY_S3_ACCESS_KEY", "SLIPWAY_S3_SECRET_KEY"), keys.values(), strict=True))
    return keys | ours


@contextmanager
def _ray(home: Path, environment: dict[str, str], gcs: int, dashboard: int) -> Iterator[None]:
    """A head with some cores and no card."""
    python = environments.interpreter("ray")
    # Short: Ray's sockets lie in it, and their paths may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as session:
        command = [
            *(str(python.with_name("ray")), "start", "--head", "--block", "--disable-usage-stats"),
            *(f"--port={gcs}", f"--dashboard-port={dashboard}", f"--temp-dir={session}"),
            *("--node-ip-address=127.0.0.1", "--num-cpus=4", "--num-gpus=0"),
            "--object-store-memory=200000000",
        ]
        path = f"{python.parent}:{os.environ['PATH']}"
        with (home / "ray.log").open("wb") as output:
            started = subprocess.Popen(
                command,
                env={"PATH": path, "HOME": str(home), **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield
        finally:
            server_processes.end(started, term_s=30)
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def _put(api: str, document: Any) -> None:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(api, orjson.dumps(document), headers, method="PUT")
    urllib.request.urlopen(request, timeout=60).close()


def _wait_until_running(api: str, name: str, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = ask(api).json["applications"].get(name, {})
        if found.get("status") == "RUNNING":
            return
        assert found.get("status") != "DEPLOY_FAILED", found["message"]
        assert time.monotonic() < deadline, f"{found}\n{log.read_text()[-2000:]}"
        time.sleep(0.5)


def test_a_revision_of_it_passes_validation(application: Application) -> None:
    is_valid(SPEC, f"{application.url}/v1", application.engine_names)


def test_the_gateway_passes_on_the_model_and_its_adapter_by_their_own_names(
    application: Application, gateway: Gateway
) -> None:
    base, adapter = "text", application.engine_names["adapter"]
    gateway.route(route(NAME, application.url, base), route(ADAPTER, application.url, adapter))
    gateway.new_events()
    body = {"prompt": "the capital of france", "max_tokens": 6, "temperature": 0}
    said = {}
    for name in (NAME, ADAPTER):
        reply = gateway.ask("/v1/completions", {"model": name, **body})
        assert (reply.status, reply.json["model"]) == (200, name), reply.body
        said[name] = reply.json["choices"][0]["text"]
    assert said[NAME] != said[ADAPTER]
    counts = [(event["counted_by"], event["output_tokens"]) for event in gateway.new_events()]
    assert counts == [("engine", 6), ("engine", 6)]


def test_it_says_what_was_cached_and_two_organizations_share_nothing(
    application: Application, gateway: Gateway
) -> None:
    gateway.route(route(NAME, application.url, "text"))
    gateway.new_events()
    body = {"model": NAME, "prompt": SENTENCE * 32, "max_tokens": 1}
    for org in (ORGS[0], ORGS[0], ORGS[1]):
        reply = gateway.ask("/v1/completions", body, org)
        assert reply.status == 200, reply.body
    first, again, other = (event["cached_tokens"] for event in gateway.new_events())
    assert (first, other) == (0, 0)
    assert again > 0


def test_a_prompt_that_leaves_no_room_for_an_answer_is_the_clients_to_shorten(
    application: Application, gateway: Gateway
) -> None:
    gateway.route(route(NAME, application.url, "text"))
    gateway.new_events()
    fitting = LONGEST // SENTENCE_TOKENS - 1
    for sentences, status in ((fitting, 200), (fitting + 1, 400)):
        body = {"model": NAME, "prompt": SENTENCE * sentences, "max_tokens": 1}
        reply = gateway.ask("/v1/completions", body)
        assert reply.status == status, reply.body
    # The engine's name of the model, `text`, is a part of that word.
    assert "maximum context length" in reply.json["error"]["message"]
    fits, refused = gateway.new_events()
    assert fits["input_tokens"] in range(fitting * SENTENCE_TOKENS, LONGEST)
    assert (refused["status"], refused["input_tokens"]) == ("client_error", 0)
