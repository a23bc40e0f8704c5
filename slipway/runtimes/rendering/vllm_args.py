"""What vLLM is told: the same arguments wherever it runs, as a pod, below an operator or within Ray.

Belongs here: options from the catalog's fields. One that the deployment gives itself is left alone.
Does not: reading and judging what a deployment gives (slipway.runtimes.arguments), what one runtime adds by
itself (its module). Options: docs.vllm.ai, `vllm serve --help`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.catalog.fields import Task
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import SERVERS
from slipway.runtimes.arguments import layout, parsing
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.weights_access import WeightsAccess

# Of one card's memory, when the card is the replica's own; vLLM's own default.
_WHOLE_CARD = 0.9

# The same image does all of these; text to speech needs an image with vllm-omni.
_TASKS: Mapping[Task, tuple[str, ...]] = {
    "text-generation": (),
    "speech-to-text": (),
    "embedding": ("--runner=pooling", "--convert=embed"),
    "classification": ("--runner=pooling", "--convert=classify"),
    "rerank": ("--runner=pooling", "--convert=classify"),
    "text-to-speech": ("--omni",),
}

# Of vLLM's own HTTP server. Without it no answer to a chat or a completion says what was cached, and what was
# is billed as if it had been computed.
_SERVER = ("--enable-prompt-tokens-details",)

SLEEP_ENV = {"VLLM_SERVER_DEV_MODE": "1"}

# vLLM ends at once when told to: before that, wait until its own metrics say that nothing runs.
DRAIN_SCRIPT = """\
import re, sys, time, urllib.request
time.sleep(5)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    text = urllib.request.urlopen("http://127.0.0.1:8000/metrics", timeout=5).read().decode()
    counts = re.findall(r"^vllm:num_requests_(?:running|waiting)(?:\\{.*\\})? ([0-9.e+]+)$", text, re.M)
    if not sum(map(float, counts)):
        break
    time.sleep(1)
"""


def model_args(resolved: ResolvedDeployment, access: WeightsAccess) -> list[str]:
    """Which weights, how they are read, and the name in requests."""
    return [f"--model={access.uri}", "--load-format=runai_streamer", f"--served-model-name={resolved.name}"]


def server_args(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[str]:
    """`engine_args` and what vLLM's own HTTP server is told, where it is what answers."""
    given = {each.option for each in parsing.parse(resolved.deployment.args).arguments}
    return [*(arg for arg in _SERVER if option(arg) not in given), *engine_args(resolved, cluster)]


def engine_args(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[str]:
    """Everything else that the catalog decides, then the deployment's own arguments."""
    deployment = resolved.deployment
    wanted = [*_TASKS[resolved.task], *_parallel(resolved)]
    if resolved.context_length is not None:
        wanted.append(f"--max-model-len={resolved.context_length}")
    gpu = deployment.resources.gpu
    if gpu is not None and gpu.sharing != "none":
        # Shares of a card are not shares of its memory: each engine must take only its part.
        wanted.append(f"--gpu-memory-utilization={_WHOLE_CARD / cluster.gpu_shares:.3g}")
    salts = cluster.gateway_salts_prompts and SERVERS[resolved.engine.server].salts_prompts
    if deployment.isolate_prompt_cache and not salts:
        # The cache is one for all tenants; without a salt per org, its speed tells what others asked.
        wanted.append("--no-enable-prefix-caching")
    if sleeps(resolved):
        wanted.append("--enable-sleep-mode")
    if deployment.adapters:
        wanted += ["--enable-lora", f"--max-loras={len(deployment.adapters)}"]
    given = {each.option for each in parsing.parse(deployment.args).arguments}
    return [*(arg for arg in wanted if option(arg) not in given), *_written(deployment.args)]


def option(word: str) -> str:
    """The option that a word gives, whatever its spelling; a negation is of the same one."""
    return parsing.parse([word]).arguments[0].option


def lora_modules(resolved: ResolvedDeployment, paths: Mapping[str, str]) -> list[str]:
    """Adapters by the name in requests; `paths` maps an adapter's name to its directory."""
    modules = [f"{served.model_name}={paths[served.adapter]}" for served in resolved.deployment.adapters]
    return ["--lora-modules", *modules] if modules else []


def sleeps(resolved: ResolvedDeployment) -> bool:
    """Whether an idle replica keeps its process and gives up its GPU memory."""
    scaling = resolved.deployment.autoscaling
    return scaling is not None and scaling.idle == "sleep"


def _parallel(resolved: ResolvedDeployment) -> list[str]:
    """Tensors over the cards of a node, layers over nodes, as vLLM's guide on scaling says, or as written."""
    divided = layout.of(resolved.deployment)
    sizes = {layout.TENSOR: divided.tensor, layout.PIPELINE: divided.pipeline, layout.DATA: divided.data}
    return [
        *(f"--{name}={count}" for name, count in sizes.items() if count > 1),
        *([f"--{layout.EXPERT}"] if resolved.deployment.parallelism.expert else []),
    ]


def _written(args: Sequence[str]) -> list[str]:
    """The deployment's own, word by word; but argparse takes no `--flag=true`, which means `--flag`."""
    words = list(args)
    for given in parsing.parse(args).arguments:
        if not given.values and "=" in words[given.at]:
            words[given.at] = f"--{'' if given.on else 'no-'}{given.option}"
    return words
