"""One question for each task but text generation, as a client asks it, and whether the answer is one.

Belongs here: paths, bodies and shapes of answers.
Does not: text generation (generation.py), recording checks (validation.py).
Shapes: OpenAI's API reference for embeddings and audio; for reranking (Jina's), scores and classification
docs.vllm.ai, serving/openai_compatible_server.
"""

from __future__ import annotations

import io
import itertools
import math
import time
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import OpenAI

Finding = tuple[bool, dict[str, Any], str]

# Tried in this order below the base URL; `..` leaves its /v1.
PATHS: Mapping[str, tuple[str, ...]] = {
    "embedding": ("/embeddings",),
    "rerank": ("/rerank", "/../rerank", "/score"),  # Ray Serve LLM has the last alone
    "classification": ("/../classify", "/classify"),
    "speech-to-text": ("/audio/transcriptions",),
    "text-to-speech": ("/audio/speech",),
}
# Tasks whose answers tell tokens, by which they are billed.
COUNTED = frozenset({"embedding", "rerank", "classification"})

_OTHER_TEXT = "Whales sing below the ice."
_TONE_S, _TONE_HZ, _RATE_HZ = 1, 440, 16_000


class NotAskedError(RuntimeError):
    """None of a task's paths is answered."""


@dataclass(frozen=True)
class Answer:
    """What one request brought: where, how fast, and the JSON or, of speech, the bytes."""

    path: str
    took_ms: float
    body: Any


def ask(api: OpenAI, task: str, model: str, text: str, more: Mapping[str, Any] | None = None) -> Answer:
    """Put the task's question under a model name; `more` are fields that its engine wants besides.

    Raises what the client raises, and NotAskedError when every path of the task is unknown there.
    """
    import openai

    for path in PATHS[task]:
        began = time.perf_counter()
        try:
            body = _send(api, task, path, {"model": model, **_question(task, path, text), **(more or {})})
        except openai.NotFoundError as error:
            last = error
            continue
        return Answer(path.replace("/..", ""), (time.perf_counter() - began) * 1000, body)
    raise NotAskedError(f"nothing answers {' or '.join(PATHS[task])} for {model}: {last}")


def _send(api: OpenAI, task: str, path: str, body: dict[str, Any]) -> Any:
    import openai

    base = str(api.base_url).rstrip("/")
    url = base.removesuffix("/v1") + path.removeprefix("/..") if path.startswith("/..") else base + path
    more: dict[str, Any] = {}
    if task == "speech-to-text":
        more["files"] = {"file": ("tone.wav", tone(), "audio/wav")}
        more["options"] = {"headers": {"Content-Type": "multipart/form-data"}}
    if task == "text-to-speech":
        return api.post(url, cast_to=openai.HttpxBinaryResponseContent, body=body).content
    return api.post(url, cast_to=object, body=body, **more)


def _question(task: str, path: str, text: str) -> dict[str, Any]:
    documents = [text, _OTHER_TEXT]
    if path == "/score":
        return {"text_1": text, "text_2": documents}
    questions: dict[str, dict[str, Any]] = {
        "embedding": {"input": [text], "encoding_format": "float"},
        "rerank": {"query": text, "documents": documents},
        "classification": {"input": [text]},
        "speech-to-text": {"response_format": "json"},
        "text-to-speech": {"input": text, "response_format": "wav"},
    }
    return questions[task]


def tone() -> bytes:
    """A second of 440 Hz as a WAV file: speech it is not, but every transcriber takes it."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        steps = (2 * math.pi * _TONE_HZ * n / _RATE_HZ for n in range(_RATE_HZ * _TONE_S))
        file.writeframes(b"".join(int(8000 * math.sin(x)).to_bytes(2, "little", signed=True) for x in steps))
    return written.getvalue()


def judge(task: str, answer: Answer) -> Finding:
    """Whether it is an answer to the task's question, the evidence, and a sentence.

    Raises KeyError, TypeError, IndexError or ValueError for an answer of another shape.
    """
    passed, evidence, message = _JUDGES[task](answer.body)
    return passed, {"path": answer.path, **evidence}, message


def usage(body: Any) -> Finding:
    """Whether tokens are told."""
    told = body.get("usage") if isinstance(body, dict) else None
    counted = {name: told.get(name) for name in ("prompt_tokens", "total_tokens")} if told else {}
    if not any(isinstance(count, int) and count > 0 for count in counted.values()):
        return False, {"usage": told}, "The answer reports no tokens: nothing could be billed."
    return True, {"usage": told}, "Tokens are reported."


def _vector(body: Any) -> Finding:
    vector = body["data"][0]["embedding"]
    norm = math.sqrt(sum(value * value for value in vector))
    evidence = {"dimensions": len(vector), "norm": norm if math.isfinite(norm) else str(norm)}
    if not math.isfinite(norm) or norm == 0:
        return False, evidence, f"The vector's length is {norm}: it is no embedding."
    return True, evidence, f"A vector of {len(vector)} finite numbers."


def _ranking(body: Any) -> Finding:
    results = body.get("results", body.get("data"))
    scores = [float(result.get("relevance_score", result.get("score"))) for result in results]
    indexes = sorted(int(result["index"]) for result in results)
    evidence = {"scores": [str(score) for score in scores], "indexes": indexes}
    if indexes != [0, 1] or not all(map(math.isfinite, scores)):
        return False, evidence, f"Two documents were sent, and documents {indexes} came back as {scores}."
    if len(set(scores)) == 1:
        return False, evidence, f"Two documents have the same score {scores[0]}: that orders nothing."
    if "results" in body and _rising(scores):
        return False, evidence, f"The documents are not in the order of their scores {scores}."
    return True, evidence, f"Two documents in order, with scores {scores}."


def _rising(scores: Sequence[float]) -> bool:
    return any(later > earlier for earlier, later in itertools.pairwise(scores))


def _classes(body: Any) -> Finding:
    classified = body["data"][0]
    probabilities = [float(probability) for probability in classified["probs"]]
    evidence = {
        "label": classified.get("label"),
        "probabilities": [str(probability) for probability in probabilities],
    }
    if not probabilities or not all(0 <= probability <= 1 for probability in probabilities):
        return False, evidence, f"The classes' probabilities are {probabilities}."
    return True, evidence, f"{len(probabilities)} classes, the likeliest is {classified.get('label')}."


def _transcript(body: Any) -> Finding:
    heard = body["text"]
    evidence = {"text": heard}
    if not isinstance(heard, str):
        return False, evidence, f"The transcript is {heard!r} and no text."
    return True, evidence, f"Heard {heard.strip()!r} in a tone."


def _speech(body: Any) -> Finding:
    evidence = {"size_bytes": len(body)}
    try:
        with wave.open(io.BytesIO(body)) as file:
            evidence["frames"] = file.getnframes()
    except (wave.Error, EOFError) as error:
        return False, evidence, f"What was spoken is no WAV file: {error}."
    if len(body) <= 44 or not any(body[44:]):
        return False, evidence, "What was spoken is silence."
    return True, evidence, f"{len(body)} bytes of sound."


_JUDGES: Mapping[str, Callable[[Any], Finding]] = {
    "embedding": _vector,
    "rerank": _ranking,
    "classification": _classes,
    "speech-to-text": _transcript,
    "text-to-speech": _speech,
}
