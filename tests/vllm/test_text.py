"""vLLM with a text model and an adapter: what it serves, and the same through the gateway."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable

import pytest

from slipway.gateway.api.operations import OPERATIONS
from slipway.runtimes.rendering import vllm_args
from slipway.runtimes.vllm import render as vllm
from testbed.vllm import environments, serving

from .conftest import ORGS, Gateway, ask, resolved, route, settings
from .promises import answers, is_valid, passes
from .table import TEXT, Row, Used

NAME, ADAPTER = "tiny/text", "tiny/adapter"
ADAPTERS = [{"adapter": "adapter"}]
# What tools take: the model's own way of writing calls, as a deployment's args say it.
TOOLS = ("--enable-auto-tool-choice", "--tool-call-parser=hermes")
# Several of vLLM's blocks, of 128 tokens on CPU: what is cached are whole ones.
LONG = "the capital of france is paris and berlin is not a query about cities or rivers. " * 16


@pytest.fixture(scope="module")
def engine(serve: Callable[..., serving.Serving], gateway: Gateway) -> serving.Serving:
    started = serve("text", args=TOOLS, adapters=ADAPTERS)
    gateway.route(route(NAME, started.url, "text"), route(ADAPTER, started.url, "adapter"))
    return started


@pytest.mark.parametrize("row", TEXT, ids=lambda row: row.name)
def test_vllm_answers(row: Row, engine: serving.Serving) -> None:
    answers(row, engine.url)


@pytest.mark.parametrize("row", TEXT, ids=lambda row: row.name)
def test_the_gateway_passes_on_what_vllm_says_and_counts(
    row: Row, engine: serving.Serving, gateway: Gateway
) -> None:
    passes(row, engine.url, gateway, NAME)


def test_a_revision_of_it_passes_validation(engine: serving.Serving) -> None:
    is_valid(resolved("text", args=TOOLS, adapters=ADAPTERS), f"{engine.url}/v1")


def test_an_adapter_answers_under_its_own_name_and_leaves_the_model_as_it_was(
    engine: serving.Serving, gateway: Gateway
) -> None:
    (row,) = (row for row in TEXT if row.name == "completion")
    said = [row.said(gateway.ask(row.path, row.to(name))) for name in (NAME, ADAPTER, NAME)]
    assert said[0] == said[2] != said[1]
    events = gateway.new_events()
    assert [event["model"] for event in events[-3:]] == [NAME, ADAPTER, NAME]


SALTED = [row for row in TEXT if row.name in ("chat", "completion", "response", "message")]


@pytest.mark.parametrize("row", SALTED, ids=lambda row: row.name)
def test_the_prefix_cache_is_an_organizations_own(
    row: Row, engine: serving.Serving, gateway: Gateway
) -> None:
    if row.path not in OPERATIONS:
        pytest.skip(f"the gateway does not pass on {row.path} yet")
    asked = row.to(NAME)
    text = f"{uuid.uuid4()} {LONG}"
    for field in ("messages", "prompt", "input"):
        if field in asked:
            asked[field] = [{"role": "user", "content": text}] if field == "messages" else text
    gateway.new_events()
    for org in (ORGS[0], ORGS[0], ORGS[1]):
        assert gateway.ask(row.path, asked, org).status == 200
    first, again, other = (event["cached_tokens"] for event in gateway.new_events())
    assert (first, other) == (0, 0)
    assert again > 0


def test_a_client_cannot_choose_its_salt(engine: serving.Serving, gateway: Gateway) -> None:
    text = f"{uuid.uuid4()} {LONG}"
    asked = {"model": NAME, "prompt": text, "max_tokens": 1, "cache_salt": "shared"}
    gateway.new_events()
    for org in ORGS:
        assert gateway.ask("/v1/completions", asked, org).status == 200
    assert [event["cached_tokens"] for event in gateway.new_events()] == [0, 0]


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 100_000}, {"temperature": -1}, {"response_format": {"type": "x"}}]
)
def test_what_vllm_refuses_is_the_clients_to_see(
    wrong: dict[str, object], engine: serving.Serving, gateway: Gateway
) -> None:
    body = {"model": NAME, "messages": [{"role": "user", "content": "hi"}], **wrong}
    gateway.new_events()
    reply = gateway.ask("/v1/chat/completions", body)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["message"]
    (event,) = gateway.new_events()
    assert event["status"] == "client_error"
    assert Used(event["input_tokens"], event["cached_tokens"], event["output_tokens"]) == Used()


def test_its_metrics_have_the_names_that_autoscaling_reads(engine: serving.Serving, store: object) -> None:
    scaled = {"max_replicas": 2, "target": {"queue_depth": 4}}
    spec = resolved("text", autoscaling=scaled)
    rendered = vllm.render(spec, settings(store, prometheus_url="http://prometheus:9090"))
    (scaler,) = (each for each in rendered.objects if each["kind"] == "ScaledObject")
    (trigger,) = scaler["spec"]["triggers"]
    (name,) = re.findall(r"vllm:\w+", trigger["metadata"]["query"])
    metrics = ask(f"{engine.url}/metrics").body.decode()
    assert re.search(rf"^{name}{{.*}} 0\.0$", metrics, re.M), metrics[:2000]


def test_its_load_is_where_autoscaling_without_prometheus_looks(
    engine: serving.Serving, store: object
) -> None:
    spec = resolved("text", autoscaling={"max_replicas": 2, "target": {"ongoing_requests": 4}})
    (scaler,) = (
        each for each in vllm.render(spec, settings(store)).objects if each["kind"] == "ScaledObject"
    )
    (trigger,) = scaler["spec"]["triggers"]
    path = re.sub(r"^http://[^/]+", "", trigger["metadata"]["url"])
    assert ask(engine.url + path).json[trigger["metadata"]["valueLocation"]] == 0


def test_what_waits_before_a_pod_ends_sees_that_nothing_runs(engine: serving.Serving) -> None:
    port = engine.url.rpartition(":")[2]
    script = vllm_args.DRAIN_SCRIPT.replace(":8000", f":{port}")
    command = [str(environments.vllm()), "-c", script, "60"]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_the_words_are_what_the_command_line_takes_too(engine: serving.Serving) -> None:
    """The image's entry point is `vllm serve`, which the wheel for CPU cannot run."""
    script = (
        "import json, sys\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "from vllm.entrypoints.cli.serve import ServeSubcommand\n"
        "parser = FlexibleArgumentParser()\n"
        "ServeSubcommand().subparser_init(parser.add_subparsers(dest='subparser'))\n"
        "said = parser.parse_args(['serve', *json.loads(sys.argv[1])])\n"
        "print(json.dumps({'model': said.model_tag, 'names': said.served_model_name}))\n"
    )
    words = [word for word in engine.command if word.startswith("--") or "=" in word][0:]
    command = [str(environments.vllm()), "-c", script, json.dumps(words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"model": words[0].removeprefix("--model="), "names": ["text"]}
