"""Load clients that others wrote, aiperf and guidellm, against one gateway: both at once in one environment.

Belongs here: their command lines, and what they say of a run. Does not: a gateway (tests/services/gateway).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import environments

REQUESTS = 12  # of each run, two at once
_LOCK = Path(__file__).parent / "requirements-load.lock"
_LONGEST_S = 300
_TIMES = ("time_to_first_token", "inter_token_latency")
_WORDS = ("the quick brown fox jumps over a lazy dog while many ships leave their slipway for the open sea",)


@dataclass(frozen=True)
class Ran:
    """What a client says of its run, and its own last words."""

    answered: int
    failed: int
    said: str


def aiperf(url: str, key: str, model: str, kind: str, out: Path, *, stream: bool) -> Ran:
    """Run it; `kind` is aiperf's word for a path, such as `chat`."""
    asked = ["--request-count", str(REQUESTS), "--concurrency", "2", "--synthetic-input-tokens-mean", "40"]
    if kind != "embeddings":
        asked += ["--output-tokens-mean", "8"]
    where = ["-m", model, "--endpoint-type", kind, "--url", url, "--api-key", key]
    shown = ["--tokenizer", str(_tokenizer(out)), "--ui", "none", "--artifact-dir", str(out)]
    said = _run("aiperf", ["profile", *where, *asked, *shown, *(["--streaming"] if stream else [])], out)
    found = json.loads((out / "profile_export_aiperf.json").read_text())
    return Ran(int(_average(found, "request_count")), int(_average(found, "error_request_count")), said)


@dataclass(frozen=True)
class Streamed:
    """What aiperf reports of streams: tokens as the engine counts, quantiles in ms by name (p50, ...)."""

    ran: Ran
    input_tokens: int
    output_tokens: int
    ttft_ms: dict[str, float]
    itl_ms: dict[str, float]


def aiperf_streams(url: str, key: str, model: str, out: Path, *, requests: int, timeout_s: float) -> Streamed:
    """Let it ask for so many streamed chats, two at once, after some that warm everything up."""
    asked = ["--request-count", str(requests), "--concurrency", "2", "--synthetic-input-tokens-mean", "24"]
    asked += ["--output-tokens-mean", "12", "--random-seed", "7", "--use-server-token-count"]
    where = ["-m", model, "--endpoint-type", "chat", "--streaming", "--url", url, "--api-key", key]
    shown = ["--tokenizer", str(_tokenizer(out)), "--ui", "none", "--artifact-dir", str(out)]
    shown += ["--export-level", "records"]
    said = _run("aiperf", ["profile", *where, *asked, *shown], out, timeout_s)
    found = json.loads((out / "profile_export_aiperf.json").read_text())
    records = [json.loads(line) for line in (out / "profile_export.jsonl").read_text().splitlines()]

    def total(metric: str) -> int:
        return sum(int(record["metrics"][metric]["value"]) for record in records)

    ran = Ran(int(_average(found, "request_count")), int(_average(found, "error_request_count")), said)
    return Streamed(
        ran,
        total("usage_prompt_tokens"),
        total("usage_completion_tokens"),
        *({name: found[metric][name] for name in ("p50", "p90", "p95", "p99")} for metric in _TIMES),
    )


def guidellm(url: str, key: str, model: str, path: str, out: Path, *, stream: bool) -> Ran:
    """Run it against a path such as `/v1/chat/completions`."""
    report = out / "report.json"
    # Before it begins it asks /health.
    backend = f"kind=openai_http,target={url},model={model},api_key={key}"
    sizes = "prompt_tokens=32" + ("" if "embeddings" in path else ",output_tokens=8")
    asked = ["--profile", "kind=concurrent,streams=2", "--constraint", f"kind=max_requests,count={REQUESTS}"]
    data = ["--tokenizer", f"kind=hf_auto,model={_tokenizer(out)}", "--data", f"kind=synthetic_text,{sizes}"]
    shown = ["--disable-progress", "--output", f"kind=json,path={report}"]
    said = _run(
        "guidellm",
        [
            "run",
            "--backend",
            f"{backend},request_format={path},stream={str(stream).lower()}",
            *asked,
            *data,
            *shown,
        ],
        out,
    )
    totals = json.loads(report.read_text())["benchmarks"][0]["metrics"]["request_totals"]
    return Ran(totals["successful"], totals["errored"] + totals["incomplete"], said)


def _tokenizer(out: Path) -> Path:
    """A tokenizer by which they make texts up; it need not be the model's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(_WORDS, trainers.BpeTrainer(special_tokens=["<unk>"], show_progress=False))
    directory = out / "tokenizer"
    directory.mkdir(parents=True, exist_ok=True)
    made.save(str(directory / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(told))
    return directory


def _average(found: dict[str, Any], name: str) -> float:
    return float((found.get(name) or {}).get("avg") or 0)


def _run(program: str, arguments: Sequence[str], out: Path, timeout_s: float = _LONGEST_S) -> str:
    """Run a client to its end; raises AssertionError with its last words when it ends badly."""
    out.mkdir(parents=True, exist_ok=True)
    command = [str(environments.program(_LOCK, program)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=out, check=False)
    said = (done.stdout + done.stderr)[-4_000:]
    assert done.returncode == 0, f"{program} ended with {done.returncode}: {said}"
    return said
