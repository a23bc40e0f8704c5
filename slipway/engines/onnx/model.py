"""One model of ONNX Runtime with its tokenizer: texts to ids, ids to numbers, in batches.

Belongs here: finding and loading the files, what they say of themselves, running batches.
Does not: the shapes of requests and answers (embeddings.py, reranking.py), arguments (args.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.engines import devices
from slipway.engines.errors import EngineRefusedError
from slipway.engines.flags import EngineSettings
from slipway.engines.slots import Stop

if TYPE_CHECKING:
    import numpy as np

_CUDA = "CUDAExecutionProvider"
# BERT's own, where no file says another.
_LONGEST = 512


@dataclass(frozen=True)
class Ids:
    """One text, or a pair of them, as the model reads it; `types` says which of the two a token is of."""

    tokens: Sequence[int]
    types: Sequence[int]


class OnnxModel:
    """A loaded model. Its methods block; the session may be used by several threads."""

    def __init__(self, directory: Path, settings: EngineSettings) -> None:
        self._tokenizer = _tokenizer(directory)
        self._session = _session(directory, settings)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        self._batch = settings.whole("--batch-size")
        self._pad = self._tokenizer.token_to_id("[PAD]") or 0
        self.longest = settings.whole("--max-tokens") or _longest(directory)
        self.vocabulary = int(self._tokenizer.get_vocab_size())

    def read(self, texts: Sequence[str]) -> list[Ids]:
        """Each text in tokens, with those that the model wants around it."""
        return [Ids(each.ids, each.type_ids) for each in self._tokenizer.encode_batch(list(texts))]

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Ids]:
        """Each pair as one input."""
        return [Ids(each.ids, each.type_ids) for each in self._tokenizer.encode_batch(list(pairs))]

    def run(self, inputs: Sequence[Ids], stop: Stop) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(the model's output, which tokens are real) of each batch; ends early when told to stop."""
        for start in range(0, len(inputs), self._batch):
            if stop.requested:
                return
            batch = inputs[start : start + self._batch]
            given, mask = self._padded(batch)
            yield self._session.run([self._output], given)[0], mask

    def _padded(self, batch: Sequence[Ids]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        import numpy as np

        shape = (len(batch), max(len(each.tokens) for each in batch))
        tokens, types = np.full(shape, self._pad, np.int64), np.zeros(shape, np.int64)
        mask = np.zeros(shape, np.int64)
        for row, each in enumerate(batch):
            tokens[row, : len(each.tokens)] = each.tokens
            types[row, : len(each.types)] = each.types
            mask[row, : len(each.tokens)] = 1
        all_inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": types}
        return {name: value for name, value in all_inputs.items() if name in self._inputs}, mask


def _file(directory: Path, name: str) -> Path:
    """The one file of this name at or below the directory (`onnx/model.onnx` is usual)."""
    files = sorted(directory.rglob(name))
    if len(files) == 1:
        return files[0]
    named = ", ".join(str(path.relative_to(directory)) for path in files) or "none"
    raise EngineRefusedError(
        f"The weights must hold exactly one {name}, but hold: {named}. Name it with the model's `include`."
    )


def _tokenizer(directory: Path) -> Any:
    from tokenizers import Tokenizer

    path = _file(directory, "tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises the bare class
        raise EngineRefusedError(f"{path.name} is no tokenizer: {error}.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()  # what is too long is refused, or cut where the client says so
    return tokenizer


def _session(directory: Path, settings: EngineSettings) -> Any:
    import onnxruntime

    has_cuda = _CUDA in onnxruntime.get_available_providers()
    device = devices.chosen(settings, has_cuda=has_cuda, engine="ONNX Runtime")
    path = _file(directory, "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.whole("--threads")
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A thread that spins takes the core of another engine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [_CUDA, "CPUExecutionProvider"] if device == "cuda" else ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # a type of its own for each trouble, all below Exception
        cause = str(error).splitlines()[0][:300]
        raise EngineRefusedError(f"ONNX Runtime does not load {path.name}: {cause}.") from error


def _longest(directory: Path) -> int:
    """Tokens that one input may have, by the files beside the model."""
    for name, field in (
        ("config.json", "max_position_embeddings"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        value = _said(directory, name).get(field)
        # Tokenizers without a bound say 1e30.
        if isinstance(value, int) and 8 <= value <= 2**20:
            return value
    return _LONGEST


def pooling(directory: Path, settings: EngineSettings) -> str:
    """How a text's vector is made of its tokens': as it is told, as the files say, else its first token's."""
    if settings.text("--pooling"):
        return settings.text("--pooling")
    said = _said(directory, "1_Pooling/config.json")
    if said.get("pooling_mode_mean_tokens"):
        return "mean"
    return "last" if said.get("pooling_mode_lasttoken") else "cls"


def _said(directory: Path, name: str) -> dict[str, Any]:
    try:
        said = json.loads((directory / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
