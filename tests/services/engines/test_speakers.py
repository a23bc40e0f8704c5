"""Processes that speak, with eSpeak NG's own data: what becomes of one that dies or hangs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.engines.errors import EngineRefusedError
from slipway.engines.espeak import speakers
from slipway.engines.espeak.speakers import Speakers, SpeakingError
from slipway.stack.standin_hub import tasks


@pytest.fixture
def two() -> Iterator[Speakers]:
    """A pool of two."""
    pool = Speakers(tasks.installed(tasks.VOICE)["phondata"].parent, 2)
    yield pool
    pool.close()


def spoken(pool: Speakers) -> bytes:
    with pool.one() as speaker:
        return b"".join(speaker.speak("Hello.", "en-us", 160))


def test_one_that_died_is_replaced(two: Speakers) -> None:
    with two.one() as speaker:
        first = speaker._process
    first.kill()
    first.wait()
    with pytest.raises(SpeakingError, match="ended with status -9"):
        spoken(two)
    assert len(spoken(two)) > 10_000


def test_one_that_hangs_is_given_up_and_stopped(two: Speakers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speakers, "_SILENCE_S", 0.2)
    with two.one() as speaker:
        first = speaker._process
    os.kill(first.pid, signal.SIGSTOP)
    with pytest.raises(SpeakingError, match=r"said nothing for 0\.2 s"):
        spoken(two)
    assert first.returncode == -signal.SIGKILL
    monkeypatch.undo()
    assert len(spoken(two)) > 10_000


def test_a_voice_that_is_not_there_is_said_and_the_process_goes_on(two: Speakers) -> None:
    with pytest.raises(SpeakingError, match="voice nonsense is not in its data"), two.one() as speaker:
        list(speaker.speak("Hello.", "nonsense", 160))
    assert len(spoken(two)) > 10_000


def test_data_of_something_else_do_not_start(tmp_path: Path) -> None:
    with pytest.raises(EngineRefusedError, match="does not read the data"):
        Speakers(tmp_path, 1)
