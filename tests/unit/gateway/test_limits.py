import asyncio
import random
from collections import defaultdict

import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.gateway.admission.bounds import Bound, bounds_of
from slipway.gateway.admission.limits import WINDOW_S, Denied, MemoryLimiter, Reservation
from slipway.records.usage import NO_UNITS, Units

REQUESTS = Bound("org", ("chat", "a"), "requests", 2)
TOKENS = Bound("org", ("chat", "a"), "tokens", 100)


class Clocked:
    """The limiter, asked at moments that the test chooses."""

    def __init__(self) -> None:
        self.limiter = MemoryLimiter()

    def ask(self, bounds, prompt=0, least=0, most=None, *, at, units=NO_UNITS):
        most = least if most is None else most
        return _now(self.limiter.reserve(bounds, prompt, least, most, at, units))

    def settle(self, reservation, tokens, *, at, units=NO_UNITS):
        _now(self.limiter.settle(reservation, tokens, at, units))

    def refund(self, reservation, *, at, request):
        _now(self.limiter.refund(reservation, at, request=request))


@pytest.fixture
def clocked() -> Clocked:
    return Clocked()


def test_a_request_counts_for_sixty_seconds_and_not_longer(clocked):
    assert isinstance(clocked.ask([REQUESTS], at=0.0), Reservation)
    assert isinstance(clocked.ask([REQUESTS], at=30.0), Reservation)
    denied = clocked.ask([REQUESTS], at=59.9)
    assert isinstance(denied, Denied)
    assert denied.retry_after_s == pytest.approx(0.1)
    assert isinstance(clocked.ask([REQUESTS], at=60.0), Reservation)
    assert isinstance(clocked.ask([REQUESTS], at=60.0), Denied)


def test_tokens_are_held_at_their_bound_until_the_real_count_is_known(clocked):
    first = clocked.ask([TOKENS], prompt=40, least=40, at=0.0)
    assert isinstance(clocked.ask([TOKENS], prompt=11, least=10, at=1.0), Denied)
    clocked.settle(first, 30, at=2.0)
    assert isinstance(clocked.ask([TOKENS], prompt=60, least=10, at=3.0), Reservation)


@pytest.mark.parametrize(
    ("dimension", "limit", "bound", "used", "left"),
    [
        ("audio_seconds", 60, Units(input_audio_ms=45_000), Units(input_audio_ms=10_001), 49),
        ("characters", 100, Units(characters=90), Units(characters=10, output_audio_ms=10**6), 90),
        ("documents", 50, Units(documents=50, searches=1), Units(documents=20, searches=1), 30),
    ],
)
def test_units_are_held_at_their_bound_until_the_real_count_is_known(
    clocked, dimension, limit, bound, used, left
):
    limits = [Bound("org", ("d", "a"), dimension, limit), TOKENS]
    first = clocked.ask(limits, units=bound, at=0.0)
    denied = clocked.ask(limits, units=bound, at=1.0)
    assert isinstance(denied, Denied) and denied.standing.bound.dimension == dimension
    assert denied.retry_after_s == pytest.approx(60)
    clocked.settle(first, 0, units=used, at=2.0)
    now = clocked.ask(limits, at=3.0)  # of tokens alone: units are no obstacle for it
    assert [standing.remaining for standing in now.standings] == [left, 100]
    clocked.settle(now, 0, at=3.0)
    assert clocked.limiter.held_tokens == 0
    assert clocked.ask(limits, at=62.1).standings[0].remaining == limit


def test_what_never_fits_says_what_it_needs_in_the_limits_own_unit(clocked):
    denied = clocked.ask(
        [Bound("user", ("w",), "audio_seconds", 60)], units=Units(input_audio_ms=60_001), at=0.0
    )
    assert (denied.needed, denied.retry_after_s) == (61, None)


def test_bounds_of_every_unit_come_from_the_routes_limits():
    limits = Limits(org=Limit(audio_seconds_per_minute=1, characters_per_minute=2, documents_per_minute=3))
    bounds = bounds_of(limits, "d", "a", "u", "k")
    assert [(each.dimension, each.limit) for each in bounds] == [
        ("audio_seconds", 1),
        ("characters", 2),
        ("documents", 3),
    ]
    assert Limit(requests_per_minute=1).model_dump() == {"requests_per_minute": 1, "tokens_per_minute": None}


def test_tokens_run_down_from_the_end_of_their_request(clocked):
    first = clocked.ask([TOKENS], prompt=50, least=50, at=0.0)
    clocked.settle(first, 100, at=90.0)
    assert isinstance(clocked.ask([TOKENS], prompt=1, at=149.9), Denied)
    assert isinstance(clocked.ask([TOKENS], prompt=1, at=150.0), Reservation)


def test_a_denied_request_costs_nothing_in_any_scope(clocked):
    key = Bound("api_key", ("chat", "k"), "requests", 10)
    for _ in range(2):
        clocked.ask([key, REQUESTS], at=0.0)
    for _ in range(50):
        assert isinstance(clocked.ask([key, REQUESTS], at=1.0), Denied)
    left = clocked.ask([key], at=1.0).standings[0].remaining
    assert left == 10 - 2 - 1


@pytest.mark.parametrize(("request_too", "left"), [(True, 2), (False, 1)])
def test_a_refund_returns_tokens_and_the_request_only_when_told_to(clocked, request_too, left):
    reservation = clocked.ask([REQUESTS, TOKENS], prompt=100, at=0.0)
    clocked.refund(reservation, at=1.0, request=request_too)
    again = clocked.ask([REQUESTS, TOKENS], prompt=100, at=1.0)
    assert isinstance(again, Reservation)
    assert again.standings[0].remaining == left - 1


def test_settling_or_refunding_twice_changes_nothing_the_second_time(clocked):
    reservation = clocked.ask([TOKENS], prompt=60, at=0.0)
    clocked.settle(reservation, 60, at=1.0)
    clocked.settle(reservation, 60, at=1.0)
    clocked.refund(reservation, at=1.0, request=True)
    assert clocked.ask([TOKENS], prompt=40, at=1.0).standings[0].remaining == 0


def test_a_refund_of_what_time_has_returned_already_returns_it_once(clocked):
    old = clocked.ask([REQUESTS], at=0.0)
    clocked.refund(old, at=61.0, request=True)
    admitted = [clocked.ask([REQUESTS], at=61.0) for _ in range(3)]
    assert [isinstance(each, Reservation) for each in admitted] == [True, True, False]


@pytest.mark.parametrize(
    ("used", "granted"),
    [(0, 25), (60, 25), (70, 20), (85, 5)],
    ids=["a quarter", "a quarter still fits", "what is left", "the least"],
)
def test_an_answer_of_open_length_is_granted_what_is_left_between_its_bounds(clocked, used, granted):
    if used:
        clocked.settle(clocked.ask([TOKENS], prompt=used, at=0.0), used, at=0.0)
    reservation = clocked.ask([TOKENS], prompt=10, least=5, most=25, at=1.0)
    assert reservation.output_tokens == granted


def test_when_even_the_least_answer_does_not_fit_the_request_waits(clocked):
    clocked.settle(clocked.ask([TOKENS], prompt=86, at=0.0), 86, at=0.0)
    denied = clocked.ask([TOKENS], prompt=10, least=5, most=25, at=20.0)
    assert isinstance(denied, Denied)
    assert denied.retry_after_s == pytest.approx(40.0)


def test_a_request_larger_than_the_limit_is_told_that_waiting_does_not_help(clocked):
    denied = clocked.ask([TOKENS], prompt=90, least=11, at=0.0)
    assert (denied.retry_after_s, denied.needed) == (None, 101)


def test_a_changed_limit_does_not_forget_what_was_used(clocked):
    for _ in range(2):
        clocked.ask([REQUESTS], at=0.0)
    raised = Bound(REQUESTS.scope, REQUESTS.subject, "requests", 3)
    assert clocked.ask([raised], at=1.0).standings[0].remaining == 0


def test_idle_windows_are_forgotten(clocked):
    for number in range(1000):
        clocked.ask([Bound("api_key", (str(number),), "requests", 1)], at=0.0)
    clocked.ask([REQUESTS], at=0.0)
    clocked.ask([REQUESTS], at=2 * WINDOW_S)
    assert len(clocked.limiter._windows) <= 2


def test_each_scope_has_its_own_subject_and_absent_limits_have_no_bound():
    limits = Limits(org=Limit(requests_per_minute=5), api_key=Limit(tokens_per_minute=7))
    assert bounds_of(limits, "chat", "a", "u", "k") == (
        Bound("org", ("chat", "a"), "requests", 5),
        Bound("api_key", ("chat", "k"), "tokens", 7),
    )
    assert bounds_of(Limits(), "chat", "a", "u", "k") == ()


@pytest.mark.parametrize("seed", range(20))
def test_no_window_of_sixty_seconds_is_overshot_whenever_its_tokens_are_counted(seed):
    """Thousands of interleaved requests; tokens are counted at their start, their end, or in between."""
    chance = random.Random(seed)
    limiter, limit = MemoryLimiter(), 500
    tokens = Bound("org", ("chat", "a"), "tokens", limit)
    requests = Bound("user", ("chat", "a", "u"), "requests", 20)
    now, running, used, admitted = 0.0, [], [], []
    for _ in range(3000):
        now += chance.expovariate(2.0)
        for job in [job for job in running if job[0] <= now]:
            running.remove(job)
            ends, started, reservation, bound = job
            if chance.random() < 0.1:
                _now(limiter.refund(reservation, ends, request=False))
                continue
            real = chance.randint(1, bound)
            _now(limiter.settle(reservation, real, ends))
            used.append((started, ends, real))
        prompt, output = chance.randint(1, 60), chance.randint(1, 120)
        verdict = _now(limiter.reserve([tokens, requests], prompt, output, output, now))
        if isinstance(verdict, Reservation):
            admitted.append(now)
            running.append((now + chance.expovariate(0.1), now, verdict, prompt + output))
    assert len(admitted) > 200
    for moment in (lambda start, _: start, lambda _, end: end, lambda start, end: (start + end) / 2):
        counted = sorted((moment(start, end), real) for start, end, real in used)
        assert _busiest(counted) <= limit
    assert _busiest([(moment, 1) for moment in admitted]) <= 20


def test_of_many_concurrent_requests_no_more_than_the_limit_get_in():
    async def many() -> dict[bool, int]:
        limiter, verdicts = MemoryLimiter(), defaultdict(int)

        async def one() -> None:
            await asyncio.sleep(random.random() / 100)
            verdict = await limiter.reserve([TOKENS, REQUESTS], 10, 10, 10, 0.0)
            verdicts[isinstance(verdict, Reservation)] += 1
            await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(200)))
        return verdicts

    assert asyncio.run(many()) == {True: 2, False: 198}


def _now(step):
    """The result of a coroutine that never waits: check and take are one step, or this fails."""
    try:
        step.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("the limiter waited in the middle")


def _busiest(counted: list[tuple[float, int]]) -> int:
    """The largest sum in any window of 60 s, open at its start."""
    busiest = total = first = 0
    for moment, amount in counted:
        total += amount
        while counted[first][0] <= moment - WINDOW_S:
            total -= counted[first][1]
            first += 1
        busiest = max(busiest, total)
    return busiest
