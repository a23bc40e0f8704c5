"""What Slipway says to an engine itself, and so no deployment may: the option, and the field to use instead.

Belongs here: the options and variables of each engine server, with the remedy. Pure.
Does not: what one runtime says besides (its adapter), reading arguments (parsing.py), how cards are divided
(layout.py, divided.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from slipway.catalog.deployment import Deployment
from slipway.catalog.fields import Task
from slipway.catalog.servers import SERVERS, ServerName
from slipway.runtimes.arguments.parsing import OF_ANY, OF_VLLM, Argument, Options

NAMES = "is the name in requests, which routes and usage go by. Remove it: the deployment's name is served"
MODEL = "says other weights than the deployment's, which nobody pinned. Set the deployment's model"
ADDRESS = "is where the gateway and the probes find the engine. Remove it"
KEY = "locks the gateway out: tenants' keys are the gateway's to check. Remove it"
TLS = "is for TLS, which ends at the gateway; it and the probes ask in plain HTTP. Remove it"
GROUP = "is how the nodes of a replica find each other. Set nodes_per_replica"
ADAPTERS = "is what the deployment's adapters say. List them in adapters"
COPIES = "divides copies over nodes. Set replicas, or parallelism.data within a node"
FILE = "names a file that may say all that Slipway says itself. Write its options as args"
TOKEN = "is a secret in plain text. Name it in secrets, as the variable HF_TOKEN"  # noqa: S105
CARDS = "chooses cards that may be another's. Set resources.gpu"
ADMIN = "opens the engine's administration to all who reach it. Remove it, or set autoscaling.idle to sleep"
STORE = "is how the engine reads the store. Remove it"

OF_VLLM_OPTIONS: Mapping[str, str] = {
    **dict.fromkeys(("model", "model-weights", "revision"), MODEL),
    **dict.fromkeys(("host", "port", "uds", "root-path"), ADDRESS),
    **dict.fromkeys(("ssl-keyfile", "ssl-certfile", "ssl-ca-certs", "ssl-cert-reqs", "ssl-ciphers"), TLS),
    **dict.fromkeys(("nnodes", "node-rank", "master-addr", "master-port", "headless"), GROUP),
    **dict.fromkeys(
        ("data-parallel-address", "data-parallel-rank", "data-parallel-rpc-port", "data-parallel-start-rank"),
        COPIES,
    ),
    **dict.fromkeys(
        (
            "data-parallel-external-lb",
            "data-parallel-hybrid-lb",
            "data-parallel-multi-port-external-lb",
            "data-parallel-size-local",
        ),
        COPIES,
    ),
    "served-model-name": NAMES,
    "api-key": KEY,
    "enable-ssl-refresh": TLS,
    "lora-modules": ADAPTERS,
    "config": FILE,
    "hf-token": TOKEN,
    "device-ids": CARDS,
}

# Servers whose options are known only as far as they meet Slipway's own.
_OF_OTHERS: Mapping[ServerName, Mapping[str, str]] = {
    "huggingface": {
        **dict.fromkeys(("model-id", "model-dir", "model-revision", "tokenizer-revision"), MODEL),
        **dict.fromkeys(("http-port", "grpc-port"), ADDRESS),
        "model-name": NAMES,
    },
    "infinity": {
        **dict.fromkeys(("host", "port", "url-prefix"), ADDRESS),
        "model-id": MODEL,
        "revision": MODEL,
        "served-model-name": NAMES,
        "api-key": KEY,
    },
    "faster-whisper": dict.fromkeys(("host", "port"), ADDRESS),
}

# Variables that say the same to an engine, whatever its server.
_VARIABLES: Mapping[str, str] = {
    **dict.fromkeys(("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"), CARDS),
    **dict.fromkeys(("ROCR_VISIBLE_DEVICES", "AMD_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"), CARDS),
    **dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"), STORE),
    "VLLM_API_KEY": KEY,
    "VLLM_PORT": ADDRESS,
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": ADAPTERS,
    "VLLM_SERVER_DEV_MODE": ADMIN,
}
_VARIABLES_OF: Mapping[ServerName, Mapping[str, str]] = {
    "infinity": {
        "INFINITY_API_KEY": KEY,
        "INFINITY_MODEL_ID": MODEL,
        "INFINITY_SERVED_MODEL_NAME": NAMES,
        **dict.fromkeys(("INFINITY_HOST", "INFINITY_PORT", "INFINITY_URL_PREFIX"), ADDRESS),
    },
    "faster-whisper": {"API_KEY": KEY, **dict.fromkeys(("UVICORN_HOST", "UVICORN_PORT"), ADDRESS)},
}

SECRET = frozenset({"api-key", "hf-token"})

# What vLLM is told of a model's task; it generates where none is here.
_RUNNERS: Mapping[Task, str] = {"embedding": "pooling", "classification": "pooling", "rerank": "pooling"}


@dataclass(frozen=True)
class Owns:
    """What a runtime says to its engines itself: option or variable, and why nobody else does."""

    options: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Owned:
    """One thing that was given though it is Slipway's: the argument's place or the variable, and why."""

    given: Argument
    reason: str


def options(server: ServerName) -> Options:
    """The table that a server's arguments are read by."""
    return OF_VLLM if _reads_as_vllm(server) else OF_ANY


def owned(
    arguments: Iterable[Argument], deployment: Deployment, server: ServerName, task: Task, runtime: Owns
) -> Iterator[Owned]:
    """Arguments that say what Slipway says itself."""
    of_server = OF_VLLM_OPTIONS if _reads_as_vllm(server) else _OF_OTHERS.get(server, {})
    always = {**of_server, **runtime.options}
    beside = _BESIDE if always.keys() >= OF_VLLM_OPTIONS.keys() else {}
    for given in arguments:
        reason = always.get(given.option.replace("_", "-"))
        if reason is None and given.option in beside:
            reason = beside[given.option](given, deployment, task)
        if reason is not None:
            yield Owned(given, reason)


def variable(name: str, server: ServerName, runtime: Owns) -> str | None:
    """Why a variable is Slipway's to set; None when it is not."""
    tables = (_VARIABLES, _VARIABLES_OF.get(server, {}), runtime.variables)
    return next((table[name] for table in tables if name in table), None)


def _reads_as_vllm(server: ServerName) -> bool:
    return SERVERS[server].fills_memory_as_vllm


def _prefix_caching(given: Argument, deployment: Deployment, _: Task) -> str | None:
    if given.on and deployment.isolate_prompt_cache:
        return (
            "shares one tenant's prompts with another's, beside isolate_prompt_cache = true. Remove it: "
            "where the gateway salts prompts, the cache is on; or set isolate_prompt_cache to false"
        )
    return None


def _lora(given: Argument, deployment: Deployment, _: Task) -> str | None:
    return None if given.on == bool(deployment.adapters) else ADAPTERS


def _sleep(given: Argument, deployment: Deployment, _: Task) -> str | None:
    sleeps = deployment.autoscaling is not None and deployment.autoscaling.idle == "sleep"
    contradicts = "contradicts autoscaling.idle = sleep. Remove it, or set idle to keep"
    return contradicts if sleeps and not given.on else None


def _load_tracking(given: Argument, _: Deployment, __: Task) -> str | None:
    return None if given.on else "is what scales the deployment where there is no Prometheus. Remove it"


def _stats(given: Argument, _: Deployment, __: Task) -> str | None:
    reason = "hides the requests that run, and a replica that ends waits for those. Set telemetry to false"
    return reason if given.on else None


def _runner(given: Argument, _: Deployment, task: Task) -> str | None:
    wanted = _RUNNERS.get(task, "generate")
    if given.value in (wanted, "auto"):
        return None
    return f"contradicts the model's task, which is {task}. Set the model's task"


def _task(_: Argument, __: Deployment, task: Task) -> str:
    return f"is what the model's task says, which is {task}. Set the model's task"


# Options that go well together with some deployments and contradict others.
_BESIDE: Mapping[str, Callable[[Argument, Deployment, Task], str | None]] = {
    "enable-prefix-caching": _prefix_caching,
    "enable-lora": _lora,
    "enable-sleep-mode": _sleep,
    "enable-server-load-tracking": _load_tracking,
    "disable-log-stats": _stats,
    "runner": _runner,
    "task": _task,
}
