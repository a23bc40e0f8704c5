from slipway.artifacts.transfer.progress import Meter


class HandClock:
    """A clock that a test moves by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_eta_follow_what_was_moved_and_not_what_was_found() -> None:
    clock = HandClock()
    meter = Meter(1000, 3, clock)
    meter.found(400)
    meter.file_done()
    clock.now += 2
    meter.moved(200)
    look = meter.look()
    assert (look.done_bytes, look.total_bytes, look.done_files, look.total_files) == (600, 1000, 1, 3)
    assert look.rate_bytes_per_s == 200 / 2
    assert look.eta_s == (1000 - 600) / (200 / 2)
    assert look.fraction == 0.6
    assert look.elapsed_s == 2


def test_the_rate_forgets_what_is_long_past() -> None:
    clock = HandClock()
    meter = Meter(10_000, 1, clock)
    for _ in range(30):
        clock.now += 1
        meter.moved(100)
        meter.look()
    for _ in range(30):
        clock.now += 1
        look = meter.look()
    assert look.rate_bytes_per_s == 0
    assert look.eta_s is None


def test_an_attempt_that_failed_is_taken_back() -> None:
    meter = Meter(100, 1)
    meter.moved(60)
    meter.moved(-60)
    assert meter.look().done_bytes == 0


def test_nothing_to_do_is_done() -> None:
    look = Meter(0, 0).look()
    assert (look.fraction, look.eta_s) == (1.0, 0.0)
