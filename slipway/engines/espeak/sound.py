"""Samples in the format that a client wants, written as they come.

Belongs here: resampling, encoding, the header of a WAV file whose length nobody knows yet. Does not: making
samples (speakers.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# OpenAI's pcm is 24 kHz, 16 bits, mono; the others are made of the same.
RATE_HZ = 24_000
_UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True)
class _Encoded:
    """FFmpeg's names of a format, and its options."""

    container: str
    codec: str
    rate_hz: int = RATE_HZ
    options: tuple[tuple[str, str], ...] = ()


_ENCODED = {
    # A header with the whole length would need a file that can be gone back in.
    "mp3": _Encoded("mp3", "libmp3lame", options=(("write_xing", "0"), ("id3v2_version", "0"))),
    "opus": _Encoded("ogg", "libopus", rate_hz=48_000),
    "aac": _Encoded("adts", "aac"),
    "flac": _Encoded("flac", "flac"),
}
MEDIA_TYPES = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}


def written(form: str, spoken: Iterator[bytes], rate_hz: int) -> Iterator[bytes]:
    """Samples (16 bits, mono, `rate_hz`) as a stream of the format's bytes; blocks."""
    if form in _ENCODED:
        yield from _encoded(_ENCODED[form], spoken, rate_hz)
        return
    if form == "wav":
        yield wav_header()
    resampler = _resampler(RATE_HZ, "s16")
    for frame in _frames(spoken, rate_hz):
        for resampled in resampler.resample(frame):
            yield resampled.to_ndarray().tobytes()


def wav_header() -> bytes:
    """Of 16 bits, mono, with the lengths that say "until the end", as OpenAI streams it."""
    form = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", _UNKNOWN) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
        + b"data" + struct.pack("<I", _UNKNOWN)
    )  # fmt: skip


class _Sink:
    """A file that is only written; what was written since is taken out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._parts.append(bytes(content))
        return len(content)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _encoded(encoded: _Encoded, spoken: Iterator[bytes], rate_hz: int) -> Iterator[bytes]:
    import av

    sink = _Sink()
    with av.open(sink, mode="w", format=encoded.container, options=dict(encoded.options)) as container:
        stream: Any = container.add_stream(encoded.codec, rate=encoded.rate_hz, layout="mono")
        resampler = _resampler(encoded.rate_hz, stream.codec_context.format.name)
        fifo = av.AudioFifo()
        for frame in _frames(spoken, rate_hz):
            for resampled in resampler.resample(frame):
                resampled.pts = None
                fifo.write(resampled)
            # An encoder wants frames of its own size, but for the last.
            while (piece := fifo.read(stream.codec_context.frame_size or 1024)) is not None:
                container.mux(stream.encode(piece))
            if part := sink.taken():
                yield part
        if (rest := fifo.read(0, partial=True)) is not None:
            container.mux(stream.encode(rest))
        container.mux(stream.encode(None))
    yield sink.taken()


def _resampler(rate_hz: int, form: str) -> Any:
    import av

    return av.AudioResampler(format=form, layout="mono", rate=rate_hz)


def _frames(spoken: Iterator[bytes], rate_hz: int) -> Iterator[Any]:
    """Frames of samples, and the end that empties a resampler."""
    import av
    import numpy as np

    for samples in spoken:
        frame = av.AudioFrame.from_ndarray(np.frombuffer(samples, "<i2").reshape(1, -1), "s16", "mono")
        frame.sample_rate = rate_hz
        yield frame
    yield None
