"""Processes that speak: so many at once, each one text at a time.

Belongs here: starting them, the parent's side of their protocol, their end. Does not: eSpeak NG itself
(process.py), what is done with samples (sound.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from slipway.engines.errors import EngineRefusedError

_PROGRAM = Path(__file__).with_name("process.py")
_FAILED = 0xFFFFFFFF
# A sentence takes some hundredths of a second; a process that hangs must not keep its slot.
_SILENCE_S = 30


class SpeakingError(RuntimeError):
    """A text that is not spoken, in the engine's words; or its process died."""


class _Speaker:
    """One process."""

    def __init__(self, data: Path) -> None:
        # -P: nothing beside the program is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._said = select.poll()
        self._said.register(_pipe(self._process.stdout), select.POLLIN)
        try:
            self.rate_hz = int(self._frame())
        except BaseException:
            self.end()
            raise

    def voices(self) -> frozenset[str]:
        """Languages that it speaks."""
        self._ask({"text": None})
        return frozenset(self._frame().decode().split("\n"))

    def speak(self, text: str, voice: str, words_per_minute: int) -> Iterator[bytes]:
        """Samples of one text as they are made; raises SpeakingError."""
        self._ask({"text": text, "voice": voice, "rate": words_per_minute})
        while samples := self._frame():
            yield samples

    def end(self) -> None:
        """Stop it, at whatever it is."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _ask(self, asked: dict[str, Any]) -> None:
        try:
            _pipe(self._process.stdin).write(json.dumps(asked).encode() + b"\n")
            _pipe(self._process.stdin).flush()
        except OSError as error:
            raise self._died() from error

    def _frame(self) -> bytes:
        (length,) = struct.unpack("<I", self._read(4))
        if length == _FAILED:
            raise SpeakingError(self._frame().decode())
        return self._read(length)

    def _read(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            if not self._said.poll(_SILENCE_S * 1000):
                raise SpeakingError(f"its process said nothing for {_SILENCE_S} s")
            part = os.read(_pipe(self._process.stdout).fileno(), length - len(content))
            if not part:
                raise self._died()
            content += part
        return bytes(content)

    def _died(self) -> SpeakingError:
        return SpeakingError(f"its process ended with status {self._process.wait()}")


class Speakers:
    """A pool of them. Its methods block."""

    def __init__(self, data: Path, count: int) -> None:
        self._data = data
        self._free: queue.LifoQueue[_Speaker | None] = queue.LifoQueue()
        for _ in range(count - 1):
            self._free.put(None)  # started when it is wanted
        try:
            first = _Speaker(data)
            self.languages = first.voices()
        except SpeakingError as error:
            raise EngineRefusedError(
                f"eSpeak NG does not start: {error}. Install espeakng-loader, and name its data (phondata, "
                "phonindex, phontab, intonations, lang, voices, dictionaries) in the model's `include`."
            ) from error
        self.rate_hz = first.rate_hz
        self.variants = frozenset(path.name for path in (data / "voices" / "!v").glob("*"))
        self._free.put(first)

    @contextmanager
    def one(self) -> Iterator[_Speaker]:
        """A free process; one that broke off is stopped, and another started when it is wanted."""
        speaker = self._free.get()
        try:
            speaker = speaker or _Speaker(self._data)
            yield speaker
        except BaseException:
            if speaker is not None:
                speaker.end()
            speaker = None
            raise
        finally:
            self._free.put(speaker)

    def close(self) -> None:
        """Stop all that nobody uses; the others end with what they say."""
        with contextlib.suppress(queue.Empty):
            while True:
                speaker = self._free.get_nowait()
                if speaker is not None:
                    speaker.end()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "it was started with pipes"
    return pipe
