"""Options of `vllm serve`: which take a value, of what kind, and their short forms.

Belongs here: the table, from EngineArgs and FrontendArgs of vLLM 0.11 to 0.17.
Does not: reading arguments (parsing.py), what Slipway says of them (owned.py).

An option that is not here is read by its looks: it takes what follows up to the next option.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Kind = Literal["flag", "number", "size", "text", "list", "json"]

# `--x`, and `--no-x` for its opposite.
_FLAGS = """
aggregate-engine-logging allow-credentials allow-deprecated-quantization async-scheduling calculate-kv-scales
cohere-is-reasoning-model cudagraph-metrics data-parallel-external-lb data-parallel-hybrid-lb
data-parallel-multi-port-external-lb dcp-q-replicate disable-cascade-attn disable-chunked-mm-input
disable-custom-all-reduce disable-fastapi-docs disable-frontend-multiprocessing
disable-hybrid-kv-cache-manager disable-log-requests disable-log-stats disable-nccl-for-dp-synchronization
disable-sliding-window disable-uvicorn-access-log enable-auto-tool-choice enable-batch-sharded-sampling
enable-bf16x3-router-gemm enable-chunked-prefill enable-cumem-allocator enable-dbo enable-elastic-ep
enable-ep-weight-filter enable-eplb enable-expert-parallel enable-fault-tolerance
enable-flash-late-interaction
enable-flashinfer-autotune enable-force-include-usage enable-layerwise-nvtx-tracing enable-log-deltas
enable-log-outputs enable-log-requests enable-logging-iteration-details enable-lora
enable-mamba-cache-stochastic-rounding enable-mfu-metrics enable-mixed-moe-lora-format enable-mm-embeds
enable-mm-processor-stats enable-moe-shared-loras enable-nccl-comm-suspend enable-offline-docs
enable-per-request-metrics enable-prefix-caching enable-prompt-embeds enable-prompt-tokens-details
enable-request-id-headers enable-return-routed-experts enable-server-load-tracking enable-sleep-mode
enable-ssl-refresh enable-tokenizer-info-endpoint enable-tower-connector-lora enable-trace-replay
enforce-eager
exclude-tools-when-tool-choice-none fail-on-environ-validation fully-sharded-loras headless
interleave-mm-strings jit-monitor-verbose kv-cache-metrics kv-sharing-fast-prefill language-model-only
log-error-stack mm-device-do-normalize mm-encoder-only numa-bind omni ray-workers-use-nsight
return-sampling-mask return-tokens-as-token-ids scheduler-reserve-full-isl skip-mm-profiling
skip-tokenizer-init specialize-active-lora tokens-only trust-remote-code trust-request-chat-template
use-fp64-gumbel use-replayssm use-tqdm-on-load
"""

_NUMBERS = """
api-server-count block-size cp-kv-cache-interleave-size cpu-distributed-timeout-seconds cpu-offload-gb
data-parallel-rank data-parallel-rpc-port data-parallel-size data-parallel-size-local
data-parallel-start-rank data-parallel-supervisor-port dbo-decode-token-threshold
dbo-prefill-token-threshold dcp-kv-cache-interleave-size decode-context-parallel-size
distributed-timeout-seconds dp-supervisor-probe-failure-threshold dp-supervisor-probe-interval-s
dp-supervisor-probe-timeout-s dp-sync-interval gpu-memory-utilization h11-max-header-count
h11-max-incomplete-event-size kv-cache-metrics-sample kv-offloading-size long-prefill-token-threshold
mamba-block-size mamba-cache-philox-rounds master-port max-cpu-loras max-cudagraph-capture-size max-log-len
max-logprobs max-long-partial-prefills max-lora-rank max-loras max-num-partial-prefills max-num-queued-reqs
max-num-queued-tokens max-num-scheduled-tokens max-num-seqs max-parallel-loading-workers
mm-encoder-fp8-scale-save-margin mm-ipc-gpu-memory-gb mm-processor-cache-gb mm-shm-cache-max-object-size-mb
nnodes node-rank num-gpu-blocks-override offload-group-size offload-num-in-group offload-prefetch-step
optimization-level pipeline-parallel-size port prefill-context-parallel-size prefill-schedule-interval
prefix-cache-retention-interval prefix-match-unit renderer-num-workers replayssm-buffer-len
safetensors-prefetch-block-size safetensors-prefetch-num-threads seed shutdown-timeout spec-tokens
ssl-cert-reqs stream-interval swap-space tensor-parallel-size ubatch-size video-pruning-rate watermark
"""

# Numbers that may be written as 32k (thousands) or 32K (1024s).
_SIZES = "kv-cache-memory-bytes max-model-len max-num-batched-tokens"

_TEXTS = """
all2all-backend allowed-local-media-path attention-backend chat-template chat-template-content-format
code-revision cohere-format config config-format convert data-parallel-address data-parallel-backend
dcp-comm-backend disable-access-log-for-endpoints distributed-executor-backend download-dir dtype
expert-placement-strategy fingerprint-mode fingerprint-value generation-config hf-config-path hf-token host
io-processor-plugin jit-monitor-mode kv-cache-dtype kv-offloading-backend linear-backend load-format
log-config-file logprobs-mode lora-dtype mamba-backend mamba-cache-dtype mamba-cache-mode
mamba-ssm-cache-dtype mamba-ssu-algorithm master-addr mm-encoder-attn-backend mm-encoder-attn-dtype
mm-encoder-fp8-scale-path mm-encoder-fp8-scale-save-path mm-encoder-tp-mode mm-hasher-algorithm
mm-processor-cache-type mm-processor-device mm-tensor-ipc model model-impl model-weights moe-backend
offload-backend otlp-traces-endpoint override-attention-dtype per-request-spec-decode-metrics
performance-mode prefix-caching-hash-algo quantization reasoning-parser reasoning-parser-plugin
response-role revision root-path runner safetensors-load-strategy scheduler-cls scheduling-policy
show-hidden-metrics-for-version spec-method spec-model ssl-ca-certs ssl-certfile ssl-ciphers ssl-keyfile task
tokenizer tokenizer-mode tokenizer-revision tool-call-parser tool-parser-plugin tool-server uds
uvicorn-log-level video-pruning-method worker-cls worker-extension-cls
"""

_LISTS = """
allowed-headers allowed-media-domains allowed-methods allowed-origins api-key collect-detailed-traces
cpu-offload-params cudagraph-capture-sizes device-ids ignore-patterns kv-cache-dtype-skip-layers
logits-processors lora-modules lora-target-modules middleware numa-bind-cpus numa-bind-nodes offload-params
served-model-name
"""

_JSONS = """
additional-config attention-config compilation-config default-chat-template-kwargs default-mm-loras
diffusion-config ec-manager-config ec-transfer-config eplb-config fault-tolerance-config hf-overrides
ir-op-priority kernel-config kv-events-config kv-transfer-config limit-mm-per-prompt mamba-config
media-io-kwargs mm-processor-kwargs model-class-overrides model-loader-extra-config
override-generation-config pooler-config profiler-config pt-load-map-location quantization-config
reasoning-config speculative-config structured-outputs-config weight-transfer-config
"""

VLLM: Mapping[str, Kind] = {
    **dict.fromkeys(_FLAGS.split(), "flag"),
    **dict.fromkeys(_NUMBERS.split(), "number"),
    **dict.fromkeys(_SIZES.split(), "size"),
    **dict.fromkeys(_TEXTS.split(), "text"),
    **dict.fromkeys(_LISTS.split(), "list"),
    **dict.fromkeys(_JSONS.split(), "json"),
}

VLLM_SHORT: Mapping[str, str] = {
    "-ac": "attention-config",
    "-asc": "api-server-count",
    "-cc": "compilation-config",
    "-dcp": "decode-context-parallel-size",
    "-dp": "data-parallel-size",
    "-dpa": "data-parallel-address",
    "-dpb": "data-parallel-backend",
    "-dpe": "data-parallel-external-lb",
    "-dph": "data-parallel-hybrid-lb",
    "-dpl": "data-parallel-size-local",
    "-dpn": "data-parallel-rank",
    "-dpp": "data-parallel-rpc-port",
    "-dpr": "data-parallel-start-rank",
    "-ep": "enable-expert-parallel",
    "-n": "nnodes",
    "-O": "optimization-level",
    "-pcp": "prefill-context-parallel-size",
    "-pp": "pipeline-parallel-size",
    "-q": "quantization",
    "-r": "node-rank",
    "-sc": "speculative-config",
    "-tp": "tensor-parallel-size",
}
