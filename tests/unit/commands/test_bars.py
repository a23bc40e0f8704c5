import io
import sys

import pytest

from slipway.artifacts.transfer.progress import Progress
from slipway.commands.bars import shown

HALF = Progress(5_000_000, 10_000_000, 1, 2, rate_bytes_per_s=1e6, elapsed_s=5)
WHOLE = Progress(10_000_000, 10_000_000, 2, 2, rate_bytes_per_s=1e6, elapsed_s=10)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_with_bytes_rate_and_time_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with shown("tiny") as report:
        report(HALF)
        report(WHOLE)
    assert "tiny:  50%|" in screen.getvalue()
    assert "| 5.00M/10.0M, 1.0 MB/s, 00:05 to go" in screen.getvalue()
    assert "tiny: 100%|" in screen.getvalue()


def test_elsewhere_a_line_is_printed_at_a_steady_rate_and_the_last_one_always(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown("tiny", line_every_s=60) as report:
        for _ in range(100):
            report(HALF)
        report(WHOLE)
        report(WHOLE)
    assert capsys.readouterr().err == "tiny: 10.0 of 10.0 MB (100%), 1.0 MB/s, 0 s to go\n"
