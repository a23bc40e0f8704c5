import threading

import pytest

from slipway.artifacts.transfer.parts import MIB, SMALLEST_PART_BYTES
from slipway.artifacts.transfer.ramp import Ramp, may_start
from slipway.artifacts.transfer.workers import Stop, StoppedError

PART = SMALLEST_PART_BYTES


@pytest.mark.parametrize(
    ("next_bytes", "under_way_bytes", "brought_bytes", "expected"),
    [
        (PART, 0, 0, True),
        (PART, PART, 0, False),  # one part at first
        (PART, PART, 7 * PART, False),
        (PART, PART, 8 * PART, True),  # one more for every eight
        (PART, 2 * PART, 8 * PART, False),
        (100 * PART, 0, 0, True),  # a part that is larger than the room comes alone
        (100 * 1024, 49 * 100 * 1024, 0, True),  # small files start together
    ],
)
def test_what_is_under_way_grows_with_what_was_brought(
    next_bytes: int, under_way_bytes: int, brought_bytes: int, expected: bool
) -> None:
    assert may_start(next_bytes, under_way_bytes, brought_bytes) is expected


def test_sixty_kills_cost_less_than_half_of_a_gibibyte_however_they_fall() -> None:
    """All that was under way at each kill is lost; lives differ as much as they can."""
    total, kills = 1024 * MIB, 60
    for lives in ([total // kills] * kills, [0] * (kills - 1) + [total], [total // 2, *[0] * 58, total // 2]):
        lost = sum(_most_under_way(brought) for brought in lives)
        assert total + lost < 1.5 * total


def _most_under_way(brought_bytes: int) -> int:
    under_way = 0
    while may_start(PART, under_way, brought_bytes):
        under_way += PART
    return under_way


def test_work_waits_until_there_is_room_and_ends_when_the_run_does() -> None:
    stop = Stop()
    ramp = Ramp(stop)
    ramp.begin(PART)
    begun = threading.Event()

    def second() -> None:
        ramp.begin(PART)
        begun.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not begun.wait(0.1)
    ramp.end(PART, brought=True)
    thread.join(timeout=60)
    assert begun.is_set()

    stop.set()
    with pytest.raises(StoppedError):
        ramp.begin(PART)
