"""How long a sound plays, told from its bytes as they pass: none of them is kept, none is decoded.

Belongs here: what WAV, MP3, FLAC and Ogg say of their length, and a bound for all others.
Does not: what engines say (transcripts.py), sounds in messages (media.py).

WAV and MP3 are as long as their samples and frames are, whoever wrote them. FLAC and Ogg say their length,
and are at least as long as their bytes would play at the highest rate of the codec.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

# 4 kbit/s: no codec in use carries speech with less.
LEAST_BYTES_PER_S = 500
# What an event can hold: 24 days. No sound that is served plays longer.
MOST_MS = 2**31 - 1
_HEAD_BYTES = 64  # tell the container apart
_GIVES_UP = 0

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# Opus at its highest, of two channels; Vorbis is not above it.
_MOST_OGG_BYTES_PER_S = 64_000
# Of MPEG 1, 2 and 2.5: kbit/s by index, for layers III, II and I; samples per second by index.
_MP3_RATES = {
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
}
_MP3_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


class SoundMeter:
    """Measures one sound; feed it all bytes, in order."""

    __slots__ = ("_container", "_head", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self._head = b""
        self._container: _Container | None = None

    def feed(self, data: bytes) -> None:
        """Some more of it."""
        before = self.size_bytes
        self.size_bytes += len(data)
        if self._container is None:
            if before >= _HEAD_BYTES:
                return
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return
            data, self._head = self._head, b""
            self._container = _container_of(data)
        if self._container is not None:
            self._container.feed(data)

    def measured_ms(self) -> int | None:
        """How long it plays; None where that cannot be told."""
        length_ms = None if self._container is None else self._container.length_ms(self.size_bytes)
        return None if length_ms is None else min(length_ms, MOST_MS)

    def most_ms(self, size_bytes: int) -> int:
        """How long a sound that begins like this plays at most, if it has so many bytes."""
        rate = self._container.bytes_per_s if self._container is not None else None
        return min(-(-size_bytes * 1000 // (rate or LEAST_BYTES_PER_S)), MOST_MS)


class _Container(Protocol):
    bytes_per_s: int | None  # where every second takes as many

    def feed(self, data: bytes) -> None: ...

    def length_ms(self, size_bytes: int) -> int | None: ...


def _container_of(head: bytes) -> _Container | None:
    if head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE":
        return _Wav()
    if head[:4] == b"fLaC":
        return _Flac()
    if head[:4] == b"OggS":
        return _Ogg()
    if head[:3] == b"ID3" or (head[0] == 0xFF and head[1] >= 0xE0 and head[1] & 6):
        return _Mp3()
    return None


class _Blocks:
    """Walks from block to block of a file. `step` looks at one, and returns how many bytes it has in all."""

    __slots__ = ("_ended", "_rest", "_skip", "_step")

    def __init__(self, step: Callable[[bytes, int], int | None], skip: int = 0) -> None:
        self._step = step  # None: it needs more to say
        self._skip = skip
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> None:
        if self._ended:
            return
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        buffer, at = self._rest + data, self._skip
        self._rest, self._skip = b"", 0
        while at < len(buffer):
            size_bytes = self._step(buffer, at)
            if size_bytes is None:
                self._rest = buffer[at:]
                return
            if size_bytes == _GIVES_UP:
                self._ended = True
                return
            at += size_bytes
        self._skip = at - len(buffer)


class _Wav:
    """As long as the bytes in its `data` are; engines read no others."""

    def __init__(self) -> None:
        self.bytes_per_s: int | None = None
        self._blocks = _Blocks(self._step, 12)
        self._data_bytes = 0
        self._open_bytes: int | None = None  # before data that says no length: up to the file's end
        self._at = 12

    def feed(self, data: bytes) -> None:
        self._blocks.feed(data)

    def _step(self, buffer: bytes, at: int) -> int | None:
        if len(buffer) < at + 8:
            return None
        kind, (size_bytes,) = buffer[at : at + 4], struct.unpack_from("<I", buffer, at + 4)
        if kind == b"fmt ":
            if len(buffer) < at + 8 + min(size_bytes, 40):
                return None
            if self.bytes_per_s is None:  # decoders go by the first
                self.bytes_per_s = _wav_rate(buffer[at + 8 : at + 8 + size_bytes])
        elif kind == b"data":
            if size_bytes in {0, 0xFFFFFFFF}:  # written as it went
                self._open_bytes = self._at + 8
                return _GIVES_UP
            self._data_bytes += size_bytes
        whole: int = 8 + size_bytes + size_bytes % 2
        self._at += whole
        return whole

    def length_ms(self, size_bytes: int) -> int | None:
        if not self.bytes_per_s:
            return None
        samples = self._data_bytes
        if self._open_bytes is not None:
            samples += max(0, size_bytes - self._open_bytes)
        return round(min(samples, size_bytes) * 1000 / self.bytes_per_s)


def _wav_rate(fmt: bytes) -> int | None:
    """Bytes per second of samples that are written as they are; of others the header may say anything."""
    if len(fmt) < 16:
        return None
    coding: int
    coding, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
    if coding == _EXTENSIBLE and len(fmt) >= 26:
        (coding,) = struct.unpack_from("<H", fmt, 24)
    if coding not in {_PCM, _FLOAT, _ALAW, _MULAW} or frame_bytes != channels * bits // 8:
        return None
    bytes_per_s: int = rate * frame_bytes
    return bytes_per_s or None


class _Mp3:
    """As long as its frames are."""

    bytes_per_s: int | None = None

    def __init__(self) -> None:
        self._blocks = _Blocks(self._step)
        self._samples: dict[int, int] = {}  # by sample rate
        self._begun = False

    def feed(self, data: bytes) -> None:
        self._blocks.feed(data)

    def _step(self, buffer: bytes, at: int) -> int | None:
        if len(buffer) < at + 10:
            return None
        if buffer[at] != 0xFF or buffer[at + 1] < 0xE0:
            return self._between_frames(buffer, at)
        version, layer = buffer[at + 1] >> 3 & 3, buffer[at + 1] >> 1 & 3
        rates = _MP3_RATES.get((3 if version == 3 else 2, layer))
        rate_at, sample_rate_at = buffer[at + 2] >> 4, buffer[at + 2] >> 2 & 3
        if version == 1 or rates is None or not 0 < rate_at < 15 or sample_rate_at == 3:
            return 1
        sample_rate, padding = _MP3_SAMPLE_RATES[version][sample_rate_at], buffer[at + 2] >> 1 & 1
        samples = 384 if layer == 3 else 1152 if version == 3 or layer == 2 else 576
        size_bytes = samples // 8 * rates[rate_at] * 1000 // sample_rate + padding
        if layer == 3:
            size_bytes = (12 * rates[rate_at] * 1000 // sample_rate + padding) * 4
        if not self._begun:
            if len(buffer) < at + 44:
                return None
            self._begun = True
            if b"Xing" in buffer[at : at + 44] or b"Info" in buffer[at : at + 44]:
                return size_bytes  # a table, without a sound
        self._samples[sample_rate] = self._samples.get(sample_rate, 0) + samples
        return size_bytes

    def _between_frames(self, buffer: bytes, at: int) -> int:
        if buffer[at : at + 3] == b"ID3":
            size_bytes = 0
            for byte in buffer[at + 6 : at + 10]:
                size_bytes = size_bytes << 7 | byte & 0x7F
            return 10 + size_bytes
        following = buffer.find(b"\xff", at)
        return (following if following > at else len(buffer)) - at

    def length_ms(self, _: int) -> int | None:
        if not self._samples:
            return None
        return round(sum(samples * 1000 / rate for rate, samples in self._samples.items()))


class _Flac:
    """As it says of itself, where it does."""

    bytes_per_s: int | None = None

    def __init__(self) -> None:
        self._length_s = 0.0
        self._most_bytes_per_s = 0
        self._blocks = _Blocks(self._step, 4)

    def feed(self, data: bytes) -> None:
        self._blocks.feed(data)

    def _step(self, buffer: bytes, at: int) -> int | None:
        if len(buffer) < at + 22:
            return None
        described = int.from_bytes(buffer[at + 14 : at + 22])
        rate, samples = described >> 44, described & (1 << 36) - 1
        if buffer[at] & 0x7F == 0 and rate:
            self._length_s = samples / rate
            bits = rate * ((described >> 41 & 7) + 1) * ((described >> 36 & 31) + 1)
            self._most_bytes_per_s = bits * 17 // 128  # as they are, and heads of frames
        return _GIVES_UP

    def length_ms(self, size_bytes: int) -> int | None:
        if not self._length_s:
            return None
        return round(max(self._length_s, size_bytes / self._most_bytes_per_s) * 1000)


class _Ogg:
    """As the positions of its pages say, of one stream after the other."""

    bytes_per_s: int | None = None

    def __init__(self) -> None:
        self._blocks = _Blocks(self._step)
        self._rate = self._before = self._position = 0
        self._length_s = 0.0  # of streams that have ended

    def feed(self, data: bytes) -> None:
        self._blocks.feed(data)

    def _step(self, buffer: bytes, at: int) -> int | None:
        if len(buffer) < at + 27:
            return None
        if buffer[at : at + 4] != b"OggS":
            following = buffer.find(b"OggS", at)
            return following - at if following > at else max(1, len(buffer) - 3 - at)
        head_bytes = 27 + buffer[at + 26]
        body_bytes = sum(buffer[at + 27 : at + head_bytes])
        if len(buffer) < at + head_bytes + min(body_bytes, 28):
            return None
        if buffer[at + 5] & 2:  # the first page of a stream
            self._begin(buffer[at + head_bytes : at + head_bytes + 28])
        (position,) = struct.unpack_from("<q", buffer, at + 6)
        self._position = max(self._position, position)
        return head_bytes + body_bytes

    def _begin(self, head: bytes) -> None:
        self._length_s += self._of_stream_s()
        self._rate = self._before = self._position = 0
        if head[:8] == b"OpusHead" and len(head) >= 12:
            self._rate = 48_000
            (self._before,) = struct.unpack_from("<H", head, 10)
        elif head[:7] == b"\x01vorbis" and len(head) >= 16:
            (self._rate,) = struct.unpack_from("<I", head, 12)

    def _of_stream_s(self) -> float:
        return max(0, self._position - self._before) / self._rate if self._rate else 0.0

    def length_ms(self, size_bytes: int) -> int | None:
        length_s = self._length_s + self._of_stream_s()
        return round(max(length_s, size_bytes / _MOST_OGG_BYTES_PER_S) * 1000) if length_s else None
