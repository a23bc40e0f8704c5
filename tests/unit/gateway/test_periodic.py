"""Background jobs: nothing that a step raises ends one, and how long ago it worked is known."""

import json
import threading

import pytest

from slipway.gateway.periodic import Periodic
from slipway.gateway.telemetry import log


class Panic(BaseException):
    """As libraries written in Rust raise one."""


class SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def nested(depth=0):
    return nested(depth + 1)


def raising(error):
    def step():
        if callable(error) and not isinstance(error, type):
            error()
        raise error

    return step


@pytest.fixture
def lines(monkeypatch):
    """What is logged."""
    written = []
    monkeypatch.setattr(log.os, "write", lambda _, line: written.append(json.loads(line)))
    return written


UNEXPECTED = {
    "a missing field": KeyError("ETag"),
    "a recursion": nested,
    "a panic": Panic("called `Option::unwrap()` on a `None` value"),
    "an exit": SystemExit(3),
    "no memory": MemoryError(),
    "one that cannot say what it is": SpeechlessError(),
    "half a surrogate pair": ValueError("\ud800"),
    "a long story": ValueError("x" * 10_000_000),
    "the end of an iterator": StopIteration(),
}


@pytest.mark.parametrize("error", UNEXPECTED.values(), ids=UNEXPECTED)
def test_whatever_a_step_raises_it_is_said_once_and_the_next_round_comes(error, lines):
    rounds, third = [], threading.Event()

    def step():
        rounds.append(None)
        if len(rounds) < 3:
            raising(error)()
        third.set()

    job = Periodic("a job", step, 0.001, (OSError,), bound_s=60)
    job.start()
    assert third.wait(30)
    job.stop(30)
    assert [(line["level"], line["message"]) for line in lines] == [
        ("error", "a job breaks"),
        ("info", "a job works again"),
    ]
    assert lines[0]["error"]
    assert len(json.dumps(lines[0])) < 10_000


def test_each_change_of_the_reason_is_said_and_an_outage_is_no_fault(lines):
    outcomes = iter([OSError("away"), OSError("away"), KeyError("ETag"), OSError("away"), None])

    def step():
        outcome = next(outcomes)
        if outcome:
            raise outcome

    job = Periodic("a job", step, 1, (OSError,), bound_s=60)
    for _ in range(5):
        job.once()
    assert [(line["message"], line.get("error")) for line in lines] == [
        ("a job fails", "away"),
        ("a job breaks", "KeyError: 'ETag'"),
        ("a job fails", "away"),
        ("a job works again", None),
    ]


def test_failures_wait_longer_each_time_and_are_forgotten_after_a_success():
    outcomes = iter([OSError("x")] * 7 + [None])

    def step():
        outcome = next(outcomes)
        if outcome:
            raise outcome

    thread = Periodic("a step", step, 60, (OSError,), bound_s=60, backoff=True)
    delays = []
    for _ in range(8):
        thread.once()
        delays.append(thread._delay_s())
    assert delays == [1, 2, 4, 8, 16, 30, 30, 60]
    assert thread.error is None


def test_an_outage_of_days_is_waited_for_like_one_of_minutes():
    job = Periodic("a job", raising(OSError("away")), 60, (OSError,), bound_s=60, backoff=True)
    for _ in range(2_000):  # half a minute each
        job.once()
        assert job._delay_s() <= 30


@pytest.mark.parametrize(
    ("error", "age_s", "troubled"),
    [
        (None, 0, False),
        (KeyError("ETag"), 59, False),
        (KeyError("ETag"), 61, True),
        (Panic(), 61, True),
        (OSError("away"), 61, False),
        (OSError("away"), 86_400, False),
    ],
)
def test_a_job_that_breaks_for_longer_than_its_bound_is_trouble_and_an_outage_is_not(error, age_s, troubled):
    clock, outcome = Clock(), [None]

    def step():
        if outcome[0] is not None:
            raise outcome[0]

    job = Periodic("a job", step, 1, (OSError,), bound_s=60, clock=clock)
    job.once()
    outcome[0] = error
    clock.now += age_s
    job.once()
    assert job.state().age_s == (age_s if error else 0)
    expected = f"a job: last done {age_s} s ago, more than 60 s" if troubled else None
    assert job.state().trouble == expected
    outcome[0] = None
    job.once()
    assert (job.state().age_s, job.state().trouble) == (0, None)


def test_a_step_that_never_returns_is_trouble_after_its_bound_even_in_an_outage():
    clock = Clock()
    job = Periodic("a job", raising(OSError("away")), 1, (OSError,), bound_s=60, clock=clock)
    job.once()
    clock.now += 61  # no round has ended since
    assert job.state().trouble is not None


@pytest.mark.parametrize("value", ["\ud800", {"deep": None}, SpeechlessError(), {1: {2, 3}}, 2**70, b"\xff"])
def test_a_line_of_the_log_never_fails(value, lines):
    for _ in range(400 if isinstance(value, dict) else 0):
        value = [value]
    log.write("info", "said", value=value)
    assert (lines[0]["level"], lines[0]["message"], "value" in lines[0]) == ("info", "said", True)
