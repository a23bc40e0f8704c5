"""A file of sound, in any format that FFmpeg reads, as the samples that Whisper hears.

Belongs here: decoding, its bound, what is no sound. Does not: where the file comes from (upload.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from slipway.engines.frontend import RefusedError
from slipway.engines.slots import Stop

if TYPE_CHECKING:
    import numpy as np

RATE_HZ = 16_000


def decoded(file: BinaryIO, most_s: int, stop: Stop) -> np.ndarray:
    """Mono samples between -1 and 1 at 16 kHz; blocks.

    Raises RefusedError for what is no sound, and as soon as it is longer than `most_s`: a small file may hold
    days of silence.
    """
    import av
    import numpy as np

    parts: list[np.ndarray] = []
    left = most_s * RATE_HZ
    try:
        with av.open(file, mode="r", metadata_errors="ignore") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
            for frame in _frames(container):
                for resampled in resampler.resample(frame):
                    samples = resampled.to_ndarray().reshape(-1)
                    left -= len(samples)
                    parts.append(samples)
                if left < 0:
                    told = f"The sound is longer than {most_s} s, the most that is taken at once. Divide it."
                    raise RefusedError(413, told, "audio_too_long", "file")
                if stop.requested:
                    break
    except (av.FFmpegError, ValueError, LookupError) as error:
        raise no_sound(type(error).__name__) from error
    if not parts:
        raise no_sound("it holds no samples")
    return np.concatenate(parts).astype(np.float32) / 32768


def _frames(container: Any) -> Any:
    """Frames of its first stream of sound, and the end that empties a resampler; bad ones are left out."""
    import av

    frames = container.decode(container.streams.audio[0])
    while True:
        try:
            yield next(frames)
        except StopIteration:
            break
        except av.error.InvalidDataError:
            continue
    yield None


def no_sound(why: str) -> RefusedError:
    """The refusal of a file that nothing can be heard in."""
    told = f"The file is no sound that can be decoded ({why}). Send WAV, MP3, FLAC, Ogg, Opus, M4A or WebM."
    return RefusedError(400, told, "invalid_audio", "file")
