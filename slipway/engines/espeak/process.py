"""`python process.py DATA`: speaks what comes by standard input, until that ends.

Belongs here: eSpeak NG's C interface, and a protocol of lines and frames. Does not: anything of Slipway; it
is a program of its own, started by speakers.py.

In, a line of JSON each: {"text", "voice", "rate"}; a text of null asks for the voices. Out, frames: a length
(4 bytes, little endian) and so many bytes. Of a text: 16-bit samples, and a frame of length 0 at its end; of
what failed: the length 0xFFFFFFFF, then a frame with the words. The first frame of all says the sample rate,
or what failed.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from typing import Any

_FAILED = 0xFFFFFFFF
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_NO_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8 = 1  # espeakCHARS_UTF8
_END_PAUSE = 0x1000  # espeakENDPAUSE
_RATE = 1  # espeakRATE
_BUFFER_MS = 200

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


def _write(content: bytes) -> None:
    sys.stdout.buffer.write(struct.pack("<I", len(content)) + content)
    sys.stdout.buffer.flush()


def _fail(words: str) -> None:
    sys.stdout.buffer.write(struct.pack("<I", _FAILED))
    _write(words.encode())


def _spoken(samples: Any, count: int, _events: Any) -> int:
    if samples and count > 0:
        _write(ctypes.string_at(samples, 2 * count))
    return 0


def _speak(library: Any, asked: dict[str, Any]) -> None:
    if library.espeak_SetVoiceByName(asked["voice"].encode()) != 0:
        _fail(f"voice {asked['voice']} is not in its data")
        return
    library.espeak_SetParameter(_RATE, int(asked["rate"]), 0)
    text = asked["text"].encode() + b"\0"
    if library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8 | _END_PAUSE, None, None) != 0:
        _fail("it does not speak this text")
        return
    library.espeak_Synchronize()
    _write(b"")


def _voices(library: Any) -> None:
    """Identifiers and languages of voices, a line each."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    lines: list[str] = []
    listed = library.espeak_ListVoices(None)
    while listed[len(lines)]:
        voice = listed[len(lines)].contents
        # A priority, then the language's name.
        lines.append(voice.languages[1:].decode(errors="replace"))
    _write("\n".join(lines).encode())


def main(data: str) -> None:
    """Speak until standard input ends."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), _NO_EXIT)
    if rate_hz <= 0:
        _fail(f"eSpeak NG does not read the data in {data}")
        return
    callback = _Callback(_spoken)
    library.espeak_SetSynthCallback(callback)
    _write(str(rate_hz).encode())
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if asked["text"] is None:
            _voices(library)
        else:
            _speak(library, asked)


if __name__ == "__main__":
    main(sys.argv[1])
