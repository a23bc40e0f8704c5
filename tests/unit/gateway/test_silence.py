"""An engine that is silent is broken off; a client that takes its time is not taken for one."""

import asyncio

import pytest

from slipway.gateway.request.silence import Silence

LIMIT_S = 60.0


class FakeLoop:
    """A clock and timers that go when they are told to."""

    def __init__(self):
        self.now = 1000.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        timer = FakeTimer(when, callback)
        self.timers.append(timer)
        return timer

    def call_later(self, delay, callback):
        return self.call_at(self.now + delay, callback)

    def pass_s(self, seconds):
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            if not timer.is_cancelled:
                timer.callback()
        self.now = end


class FakeTimer:
    def __init__(self, when, callback):
        self.when, self.callback, self.is_cancelled = when, callback, False

    def cancel(self):
        self.is_cancelled = True


class FakeResponse:
    """Its connection and its content; keeps the exception that ends it."""

    def __init__(self):
        self.connection = self.protocol = self.content = self
        self.read_timeout = LIMIT_S
        self.ended_by = None

    def set_exception(self, error):
        self.ended_by = error


@pytest.fixture
def loop(monkeypatch):
    loop = FakeLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def test_silence_is_broken_off_when_it_has_lasted_and_not_before(loop):
    response = FakeResponse()
    silence = Silence(response, LIMIT_S)
    assert response.read_timeout is None  # the connection's own would start anew with each piece
    for _ in range(5):
        silence.begins()
        loop.pass_s(LIMIT_S - 1)
        silence.ends()
    silence.begins()
    loop.pass_s(LIMIT_S - 1)
    assert response.ended_by is None
    loop.pass_s(1)
    assert isinstance(response.ended_by, TimeoutError)


def test_a_client_that_takes_nothing_is_no_silence_of_the_engine(loop):
    response = FakeResponse()
    silence = Silence(response, LIMIT_S)
    silence.begins()
    silence.ends()
    loop.pass_s(10 * LIMIT_S)
    assert response.ended_by is None
    silence.begins()
    loop.pass_s(LIMIT_S - 1)
    assert response.ended_by is None
    loop.pass_s(LIMIT_S / 4 + 1)
    assert isinstance(response.ended_by, TimeoutError)


def test_nothing_is_looked_at_behind_the_end_of_a_stream(loop):
    response = FakeResponse()
    silence = Silence(response, LIMIT_S)
    silence.begins()
    silence.stop()
    loop.pass_s(10 * LIMIT_S)
    assert response.ended_by is None
