import pytest

from slipway.artifacts.transfer.pace import Pace, Paced
from slipway.artifacts.transfer.retry import TransientError

PACE = Pace(least_bytes_per_s=1000, window_s=10)


def bring(pace: Pace, bytes_per_s: int, seconds: int) -> int:
    """A connection that brings so much each second; returns for how many it was kept."""
    now_s, kept = 0.0, 0
    paced = Paced(pace, lambda: now_s)
    for second in range(1, seconds + 1):
        now_s = float(second)
        paced.moved(bytes_per_s, "hf://org/tiny file a")
        kept += 1
    return kept


def test_a_connection_that_trickles_is_given_up_at_the_end_of_a_window() -> None:
    bring(PACE, 999, 9)
    with pytest.raises(TransientError, match=r"hf://org/tiny file a: 9990 bytes in 10 s.*slower than 1000"):
        bring(PACE, 999, 10)


def test_a_connection_that_is_just_fast_enough_is_kept() -> None:
    assert bring(PACE, 1000, 1000) == 1000


def test_a_connection_that_was_fast_once_is_measured_by_its_last_window() -> None:
    now_s = 0.0
    paced = Paced(PACE, lambda: now_s)
    paced.moved(10**9, "a")
    now_s = 10.0
    paced.moved(10**6, "a")
    now_s = 20.0
    with pytest.raises(TransientError):
        paced.moved(1, "a")


def test_a_bound_of_zero_bears_with_anything() -> None:
    assert bring(Pace(least_bytes_per_s=0), 0, 1000) == 1000


def test_the_environment_states_the_bound_and_the_message_says_where() -> None:
    pace = Pace.of({"SLIPWAY_TRANSFER_LEAST_BYTES_PER_S": "5000"})
    with pytest.raises(TransientError, match=r"5000 bytes per second \(SLIPWAY_TRANSFER_LEAST_BYTES_PER_S\)"):
        bring(pace, 10, 30)
