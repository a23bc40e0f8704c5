"""What Slipway says to an engine itself is refused in arguments and variables, with the field to use."""

from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment, Engine, Model
from slipway.catalog.problems import dotted
from slipway.runtimes import argument_rules as rules
from slipway.runtimes.arguments import layout

SERVERS = {"nim": "nim", "dynamo": "dynamo", **dict.fromkeys(("vllm", "kubeai", "kserve", "kuberay"), "vllm")}


def said(
    server: str = "vllm",
    task: str = "text-generation",
    engine_env: dict[str, str] | None = None,
    **fields: Any,
) -> dict[str, str]:
    """Messages by field."""
    written = {"name": "chat", "model": "m", "engine": "e", "runtime": "vllm", **fields}
    catalog = Catalog(
        deployments=(Deployment.model_validate(written),),
        engines=(Engine.model_validate({"name": "e", "server": server, "env": engine_env or {}}),),
        models=(Model.model_validate({"name": "m", "source": "hf://o/m@" + "1" * 40, "task": task}),),
    )
    found = [each for rule in rules.RULES for each in rule(catalog)]
    return {dotted(each.path): each.message for each in found}


OWNED: list[tuple[list[str], str]] = [
    (["--model=other/weights"], "Set the deployment's model"),
    (["--model", "other/weights"], "Set the deployment's model"),
    (["--revision=main"], "Set the deployment's model"),
    (["--served-model-name=x"], "the deployment's name is served"),
    (["--served_model_name", "x", "y"], "the deployment's name is served"),
    (["--served-model=x"], "the deployment's name is served"),
    (["--port=9000"], "Remove it"),
    (["--host", "127.0.0.1"], "Remove it"),
    (["--uds=/x"], "Remove it"),
    (["--root_path=/x"], "Remove it"),
    (["--api-key=k"], "locks the gateway out"),
    (["--api_key", "k"], "locks the gateway out"),
    (["--api-k=k"], "locks the gateway out"),
    (["--ssl-keyfile=/k"], "ends at the gateway"),
    (["--ssl_certfile", "/c"], "ends at the gateway"),
    (["--lora-modules", "a=/a"], "List them in adapters"),
    (["--enable-lora"], "List them in adapters"),
    (["--config=/x.yaml"], "Write its options as args"),
    (["--hf-token=t"], "Name it in secrets"),
    (["-n", "2"], "Set nodes_per_replica"),
    (["-n2"], "Set nodes_per_replica"),
    (["--node-rank=1"], "Set nodes_per_replica"),
    (["--headless"], "Set nodes_per_replica"),
    (["-dpl", "1"], "Set replicas"),
    (["--data-parallel-external-lb"], "Set replicas"),
    (["--enable-prefix-caching"], "set isolate_prompt_cache to false"),
    (["--enable_prefix_caching"], "set isolate_prompt_cache to false"),
    (["--enable-prefix-caching=true"], "set isolate_prompt_cache to false"),
    (["--no-enable-prefix-caching=false"], "set isolate_prompt_cache to false"),
    (["--disable-log-stats"], "Set telemetry to false"),
    (["--no-enable-server-load-tracking"], "Remove it"),
    (["--runner=pooling"], "Set the model's task"),
    (["--task", "embed"], "Set the model's task"),
]


@pytest.mark.parametrize(("args", "remedy"), OWNED, ids=[" ".join(args) for args, _ in OWNED])
def test_an_argument_that_is_slipways_own_is_refused_with_the_field(args: list[str], remedy: str) -> None:
    assert remedy in said(args=args)["args[0]"]


@pytest.mark.parametrize("runtime", SERVERS)
@pytest.mark.parametrize("args", [["--model=x"], ["--served-model-name", "x"], ["--port=9"], ["--api-key=k"]])
def test_it_is_refused_on_every_runtime(runtime: str, args: list[str]) -> None:
    assert list(said(SERVERS[runtime], runtime=runtime, args=args)) == ["args[0]"]


@pytest.mark.parametrize("runtime", SERVERS)
@pytest.mark.parametrize(
    "args", [["--enable-prefix-caching"], ["--enable_prefix_caching"], ["--enable-lora"]], ids=str
)
def test_what_contradicts_a_field_is_refused_on_every_runtime(runtime: str, args: list[str]) -> None:
    assert list(said(SERVERS[runtime], runtime=runtime, args=args)) == ["args[0]"]


@pytest.mark.parametrize(
    ("server", "args"),
    [
        ("infinity", ["--model-id", "x"]),
        ("infinity", ["--port", "9"]),
        ("infinity", ["--url_prefix=/x"]),
        ("huggingface", ["--model_id=x"]),
        ("huggingface", ["--model_name", "x"]),
        ("faster-whisper", ["--port=9"]),
    ],
)
def test_it_is_refused_for_every_engine_server(server: str, args: list[str]) -> None:
    assert list(said(server, args=args)) == ["args[0]"]


GOES: list[dict[str, Any]] = [
    {"args": ["--no-enable-prefix-caching"]},
    {"args": ["--enable-prefix-caching"], "isolate_prompt_cache": False},
    {"args": ["--enable-lora", "--max-lora-rank=64"], "adapters": ["tone"]},
    {"args": ["--max-model-len=8192", "--dtype", "bfloat16", "--trust-remote-code"]},
    {"args": ["--runner=pooling"], "task": "embedding"},
    {"args": ["--runner", "generate"]},
    {"args": ["--model-impl=transformers", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]},
]


@pytest.mark.parametrize("fields", GOES, ids=str)
def test_what_is_nobodys_but_the_deployments_goes(fields: dict[str, Any]) -> None:
    assert said(**fields) == {}


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("vllm", "VLLM_API_KEY"),
        ("vllm", "VLLM_PORT"),
        ("vllm", "VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
        ("vllm", "CUDA_VISIBLE_DEVICES"),
        ("vllm", "NVIDIA_VISIBLE_DEVICES"),
        ("vllm", "AWS_ENDPOINT_URL"),
        ("nim", "NIM_SERVED_MODEL_NAME"),
        ("nim", "NIM_MODEL_NAME"),
        ("infinity", "INFINITY_API_KEY"),
        ("faster-whisper", "API_KEY"),
    ],
)
def test_a_variable_that_says_the_same_is_refused_wherever_it_stands(server: str, name: str) -> None:
    runtime = server if server == "nim" else "kubeai"
    assert list(said(server, runtime=runtime, env={name: "x"})) == [f"env.{name}"]
    assert list(said(server, runtime=runtime, engine_env={name: "x"})) == [f"env.{name}"]
    assert list(said(server, runtime=runtime, secrets=[{"name": name, "secret": "s"}])) == ["secrets[0].name"]


def test_a_secret_in_an_argument_is_not_repeated() -> None:
    catalog = Catalog(
        deployments=(
            Deployment.model_validate(
                {"name": "c", "model": "m", "engine": "e", "runtime": "vllm", "args": ["--api-key=sk-123"]}
            ),
        ),
        engines=(Engine.model_validate({"name": "e", "server": "vllm"}),),
    )
    (found,) = [each for rule in rules.RULES for each in rule(catalog)]
    assert not found.show_value and "sk-123" not in found.message


def gpus(count: int, **fields: Any) -> dict[str, Any]:
    return {"resources": {"gpu": {"count": count}}, **fields}


# What is written -> tensor, pipeline, data.
DIVIDED: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    (gpus(2), (2, 1, 1)),
    (gpus(8, nodes_per_replica=2), (8, 2, 1)),
    (gpus(2, args=["--pipeline-parallel-size=2"]), (1, 2, 1)),
    (gpus(2, args=["-dp", "2"]), (1, 1, 2)),
    (gpus(4, args=["-pp=2"]), (2, 2, 1)),
    (gpus(4, args=["-tp", "2", "-pp", "2"]), (2, 2, 1)),
    (gpus(4, args=["--tensor_parallel_size=4"]), (4, 1, 1)),
    (gpus(8, parallelism={"data": 2, "pipeline": 2}), (2, 2, 2)),
    (gpus(8, nodes_per_replica=2, args=["-tp", "8"]), (8, 2, 1)),
    (gpus(8, nodes_per_replica=2, parallelism={"tensor": 16, "pipeline": 1}), (16, 1, 1)),
    ({"resources": {"profile": "nvidia-gpu-l4:2"}, "runtime": "kubeai"}, (2, 1, 1)),
    ({}, (1, 1, 1)),
]


@pytest.mark.parametrize(("fields", "wanted"), DIVIDED, ids=str)
def test_cards_are_divided_as_written_and_the_rest_follows(
    fields: dict[str, Any], wanted: tuple[int, int, int]
) -> None:
    deployment = Deployment.model_validate(
        {"name": "c", "model": "m", "engine": "e", "runtime": "vllm", **fields}
    )
    divided = layout.of(deployment)
    assert (divided.tensor, divided.pipeline, divided.data) == wanted
    assert said(**fields) == {}


CONTRADICTING: list[tuple[dict[str, Any], str, str]] = [
    (gpus(2, args=["-tp=2", "-pp=2"]), "args[0]", "makes 4 cards, and a replica has 2"),
    (gpus(2, args=["--data-parallel-size=4"]), "args[0]", "makes 4 cards, and a replica has 2"),
    (gpus(2, args=["-tp=1"]), "args[0]", "makes 1 cards, and a replica has 2"),
    (gpus(3, args=["-pp=2"]), "args[0]", "makes 2 cards, and a replica has 3"),
    (gpus(2, parallelism={"tensor": 4}), "parallelism.tensor", "set resources.gpu.count to 4"),
    (gpus(2, parallelism={"tensor": 2}, args=["-tp=1"]), "args[0]", "contradicts parallelism.tensor = 2"),
    (gpus(2, args=["-tp=two"]), "args[0]", "is no number above 0"),
    (gpus(2, nodes_per_replica=2, args=["-dp=2"]), "args[0]", "Set replicas instead"),
]


@pytest.mark.parametrize(("fields", "field", "message"), CONTRADICTING, ids=str)
def test_a_division_that_is_not_the_cards_is_refused(
    fields: dict[str, Any], field: str, message: str
) -> None:
    assert message in said(**fields)[field]


def test_an_argument_that_no_engine_could_read_is_refused_with_how_to_write_it() -> None:
    assert said(args=["--max-model-len 8192"]) == {
        "args[0]": "is one word with a space in it. Write --max-model-len=8192, or two items of the list"
    }
