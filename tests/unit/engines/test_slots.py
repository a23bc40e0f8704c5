import asyncio
import threading
from collections.abc import Iterator

import pytest

from slipway.engines import slots
from slipway.engines.frontend import RefusedError
from slipway.engines.slots import Slots, Stop


async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0)


async def test_no_more_work_runs_at_once_than_there_are_slots() -> None:
    running, most, gate = 0, 0, threading.Event()

    def work(_: Stop) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        gate.wait(10)
        running -= 1

    two = Slots(2, "test")
    tasks = [asyncio.create_task(two.run(work)) for _ in range(6)]
    await until(lambda: running == 2)
    gate.set()
    await asyncio.gather(*tasks)
    assert most == 2


async def test_work_whose_client_is_gone_is_told_and_keeps_its_slot_to_its_end() -> None:
    seen: list[Stop] = []
    gate = threading.Event()

    def work(stop: Stop) -> None:
        seen.append(stop)
        gate.wait(10)

    one = Slots(1, "test")
    first = asyncio.create_task(one.run(work))
    await until(lambda: len(seen) == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert seen[0].requested
    second = asyncio.create_task(one.run(lambda _: 7))
    await asyncio.sleep(0)
    assert not second.done()
    gate.set()
    assert await second == 7


async def test_a_stream_that_is_left_is_closed_in_its_thread_and_frees_its_slot() -> None:
    closed: list[str] = []

    def items(stop: Stop) -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    one = Slots(1, "engine")
    stream = one.stream(items)
    assert await anext(stream) == 0
    await stream.aclose()
    assert await one.run(lambda _: "free") == "free"
    assert closed and closed[0].startswith("engine")


async def test_an_error_within_a_stream_reaches_whoever_reads_and_frees_the_slot() -> None:
    def items(_: Stop) -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    one = Slots(1, "engine")
    stream = one.stream(items)
    assert await anext(stream) == 1
    with pytest.raises(KeyError):
        await anext(stream)
    assert await one.run(lambda _: "free") == "free"


async def test_what_would_wait_behind_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST_WAITING", 1)
    gate = threading.Event()
    one = Slots(1, "engine")
    tasks = [asyncio.create_task(one.run(lambda _: gate.wait(10))) for _ in range(2)]
    await until(lambda: one._waiting == 1)
    with pytest.raises(RefusedError) as refused:
        await one.run(lambda _: None)
    assert (refused.value.status, refused.value.code) == (503, "engine_busy")
    gate.set()
    await asyncio.gather(*tasks)
