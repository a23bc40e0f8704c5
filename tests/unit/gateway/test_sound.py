"""How long a sound plays, told from its bytes in pieces of any size."""

import io
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from slipway.gateway.api.sound import LEAST_BYTES_PER_S, MOST_MS, SoundMeter
from slipway.gateway.api.speech import SpokenMeter

SECONDS = 7.3


def written(container: str, codec: str, rate: int = 16_000) -> bytes:
    """A tone as FFmpeg writes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        tone = np.sin(np.arange(round(SECONDS * rate)) / 20) * 9_000
        frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
        for resampled in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(resampled))
        output.mux(stream.encode(None))
    return file.getvalue()


def metered(sound: bytes, piece_bytes: int) -> SoundMeter:
    meter = SoundMeter()
    for at in range(0, len(sound), piece_bytes):
        meter.feed(sound[at : at + piece_bytes])
    return meter


@pytest.mark.parametrize("piece_bytes", [1, 13, 1_000, 2**20])
@pytest.mark.parametrize(
    ("container", "codec", "rate", "more_ms"),
    [
        ("wav", "pcm_s16le", 16_000, 0),
        ("wav", "pcm_mulaw", 8_000, 0),
        ("mp3", "libmp3lame", 44_100, 80),  # whole frames, and those that the encoder begins with
        ("flac", "flac", 16_000, 0),
        ("ogg", "libopus", 48_000, 20),
    ],
)
def test_a_sound_is_as_long_as_its_container_says(container, codec, rate, more_ms, piece_bytes):
    sound = written(container, codec, rate)
    measured = metered(sound, piece_bytes).measured_ms()
    assert SECONDS * 1000 <= measured <= SECONDS * 1000 + more_ms


def test_a_wav_that_is_written_as_it_goes_is_as_long_as_its_bytes():
    written_bytes = io.BytesIO()
    with wave.open(written_bytes, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(bytes(48_000))
    sound = bytearray(written_bytes.getvalue())
    for unknown in (0, 0xFFFFFFFF):
        sound[40:44] = struct.pack("<I", unknown)
        assert metered(bytes(sound), 100).measured_ms() == 1_000


def test_no_header_makes_a_sound_shorter_than_its_bytes_can_play():
    flac = bytearray(written("flac", "flac"))
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 1])  # one sample, it says
    least_ms = Fraction(len(flac) * 1000 * 16, 16_000 * 2 * 17)  # with room for heads of frames
    assert metered(bytes(flac), 1_000).measured_ms() >= int(least_ms)


def test_what_is_no_known_container_is_bounded_by_its_bytes():
    meter = metered(b"\0\0\0\x20ftypM4A " + bytes(9_984), 1_000)
    assert meter.measured_ms() is None
    assert meter.most_ms(10_000) == 10_000 * 1000 // LEAST_BYTES_PER_S
    assert meter.most_ms(2**40) == MOST_MS


def test_a_wavs_bound_goes_by_its_own_rate():
    assert metered(written("wav", "pcm_s16le"), 1_000).most_ms(32_000) == 1_000


@pytest.mark.parametrize(
    "sound",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE" + bytes(100),
        b"RIFF\0\0\0\0WAVEfmt " + bytes(100),
        b"fLaC" + bytes(200),
        b"OggS" + bytes(200),
        b"ID3" + bytes(200),
        b"\xff\xfb" * 500,
    ],
)
def test_the_beginning_of_a_container_alone_is_nothing_measured(sound):
    assert metered(sound, 7).measured_ms() in {None, 0}


@pytest.mark.parametrize(
    ("content_type", "ms"),
    [("audio/pcm", 1_000), ("audio/pcm;rate=48000", 500), ("audio/L16; rate=24000; channels=2", 500),
     ("audio/pcm; rate=x", 1_000), ("audio/aac", 0)],
)  # fmt: skip
def test_plain_samples_are_as_long_as_their_type_says(content_type, ms):
    meter = SpokenMeter(content_type)
    meter.feed(bytes(48_000))
    assert meter.ms == ms
