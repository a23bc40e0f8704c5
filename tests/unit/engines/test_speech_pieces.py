import struct
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.engines.errors import EngineRefusedError
from slipway.engines.espeak import sound
from slipway.engines.espeak.text import LONGEST, sentences
from slipway.engines.onnx import args as onnx_args
from slipway.engines.whisper import args as whisper_args
from slipway.engines.whisper import transcript
from slipway.engines.whisper.model import Heard


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("  one\n\ntwo ", ["one", "two"]),
        ("3.14 is pi.", ["3.14 is pi."]),
        ("", []),
    ],
)
def test_a_text_is_spoken_sentence_by_sentence(text: str, pieces: list[str]) -> None:
    assert list(sentences(text)) == pieces


@pytest.mark.parametrize("text", ["word " * 500, "a" * 1500, "one, two; " * 200])
def test_no_piece_is_long_and_none_is_lost(text: str) -> None:
    pieces = list(sentences(text))
    assert max(map(len, pieces)) <= LONGEST
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_a_wav_header_says_24_khz_and_no_length() -> None:
    header = sound.wav_header()
    assert len(header) == 44 and struct.unpack("<I", header[24:28]) == (24_000,)
    assert header[4:8] == header[40:44] == b"\xff" * 4


def segment(start: float, end: float, text: str) -> Any:
    return SimpleNamespace(start=start, end=end, text=text)


def test_an_arrow_in_a_text_does_not_end_its_cue() -> None:
    asked: Any = SimpleNamespace(form="vtt")
    written = transcript.written(asked, Heard(3700, "en"), [segment(3599.9996, 3661.5, " a --> b\n\nc")])
    assert written == b"WEBVTT\n\n01:00:00.000 --> 01:01:01.500\na -> b c\n\n"


def test_a_second_that_has_begun_is_counted() -> None:
    assert transcript.usage(Heard(5.01, "en")) == {"type": "duration", "seconds": 6}
    assert transcript.usage(Heard(5, "en"))["seconds"] == 5


@pytest.mark.parametrize(
    ("parse", "arg", "remedy"),
    [
        (whisper_args.parse, "--compute-type=int4", "int8_float16"),
        (whisper_args.parse, "--device=tpu", "auto, cpu, cuda"),
        (whisper_args.parse, "--max-audio-s=0", "from 1"),
        (onnx_args.parse, "--pooling=max", "cls, mean, last"),
        (onnx_args.parse, "--ctx-size=5", "--max-tokens"),
        (onnx_args.parse, "--normalize", "Write --normalize="),
    ],
)
def test_a_bad_argument_is_named_with_what_to_write_instead(parse: Any, arg: str, remedy: str) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        parse((arg,))
    assert f"engine argument {arg}: " in str(refused.value) and remedy in str(refused.value)
