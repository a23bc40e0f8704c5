"""One Whisper model of CTranslate2: samples to segments, one after another.

Belongs here: loading it, what it is told, its segments. Does not: where samples come from (sound.py), the
forms of a transcript (transcript.py), arguments (args.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.engines import devices
from slipway.engines.errors import EngineRefusedError
from slipway.engines.flags import EngineSettings
from slipway.engines.slots import Stop
from slipway.engines.whisper.sound import RATE_HZ, decoded
from slipway.engines.whisper.upload import Asked

if TYPE_CHECKING:
    import numpy as np

# Tried in order where a text looks wrong, as OpenAI's Whisper does.
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Heard:
    """What is known before the first segment: how long the sound is, and its language."""

    seconds: float
    language: str


class WhisperModel:
    """A loaded model. Its methods block; several threads may use it."""

    def __init__(self, directory: Path, settings: EngineSettings) -> None:
        import ctranslate2
        import faster_whisper

        _require_files(directory)
        has_cuda = ctranslate2.get_cuda_device_count() > 0
        device = devices.chosen(settings, has_cuda=has_cuda, engine="CTranslate2")
        kind = settings.text("--compute-type") or ("float16" if device == "cuda" else "int8")
        try:
            self._model: Any = faster_whisper.WhisperModel(
                str(directory),
                device=device,
                compute_type=kind,
                cpu_threads=settings.whole("--threads"),
                num_workers=settings.whole("--parallel"),
                local_files_only=True,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineRefusedError(f"CTranslate2 does not load the model as {kind}: {error}.") from error
        self._settings = settings
        self.is_multilingual = bool(self._model.model.is_multilingual)
        self.languages = frozenset(self._model.supported_languages)

    def transcribe(self, asked: Asked, stop: Stop) -> tuple[Heard, Iterator[Any]]:
        """What is heard, and its segments as they are made; raises RefusedError for what is no sound."""
        samples = decoded(asked.file, self._settings.whole("--max-audio-s"), stop)
        segments, told = self._model.transcribe(
            samples,
            task=asked.task,
            language=asked.language,
            initial_prompt=asked.prompt,
            temperature=_TEMPERATURES if asked.temperature == 0 else asked.temperature,
            beam_size=self._settings.whole("--beam-size"),
            best_of=self._settings.whole("--best-of"),
            vad_filter=self._settings.on("--vad-filter"),
            word_timestamps="word" in asked.granularities,
        )
        return Heard(_seconds(samples), str(told.language)), _until_stopped(segments, stop)


def _seconds(samples: np.ndarray) -> float:
    return len(samples) / RATE_HZ


def _until_stopped(segments: Iterator[Any], stop: Stop) -> Iterator[Any]:
    for segment in segments:
        if stop.requested:
            return
        yield segment


def _require_files(directory: Path) -> None:
    lacking = [
        name for name in ("model.bin", "config.json", "tokenizer.json") if not (directory / name).exists()
    ]
    # Without a tokenizer the library would fetch one from the hub.
    if lacking:
        raise EngineRefusedError(
            f"The weights lack {', '.join(lacking)}: they are no Whisper model of CTranslate2. Convert it "
            "with ct2-transformers-converter --copy_files tokenizer.json, or name the files in `include`."
        )
