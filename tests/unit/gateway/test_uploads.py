"""Memory for large bodies: what there is, in order, and no org has all of it."""

import asyncio
import itertools

import pytest

from slipway.gateway.api.asgi import MAX_BODY_BYTES
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.uploads import MAX_COMMAS, MAX_OPENED, SMALL_BYTES, BodyMemory, Upload

LARGEST = MAX_BODY_BYTES


def upload(memory, *sizes, org="acme", announced=True):
    """An upload of pieces of these sizes."""
    pieces = iter(sizes)
    left = [len(sizes)]

    async def receive():
        size = next(pieces, None)
        if size is None:
            return {"type": "http.disconnect"}
        left[0] -= 1
        return {"type": "http.request", "body": bytes(size), "more_body": left[0] > 0}

    headers = [(b"content-length", b"%d" % sum(sizes))] if announced else []
    return Upload(receive, headers, org, memory)


async def read(body):
    while (await body()).get("more_body"):
        pass
    return body


async def test_a_small_body_takes_nothing_and_a_large_one_its_length_until_the_request_ends():
    memory = BodyMemory(4 * LARGEST)
    small = await read(upload(memory, SMALL_BYTES))
    assert memory.used_bytes == 0
    large = await read(upload(memory, SMALL_BYTES, 1))
    assert memory.used_bytes == SMALL_BYTES + 1
    small.close()
    large.close()
    large.close()
    assert memory.used_bytes == 0


async def test_one_in_chunks_takes_what_it_could_become_and_one_too_large_nothing():
    memory = BodyMemory(4 * LARGEST)
    chunked = await read(upload(memory, SMALL_BYTES, 1, announced=False))
    assert memory.used_bytes == LARGEST
    chunked.close()
    announced = upload(memory, 1)
    announced._length = LARGEST + 1
    with pytest.raises(ApiError) as refused:
        await read(announced)
    assert (refused.value.status, memory.used_bytes) == (413, 0)


@pytest.mark.parametrize(("value", "most"), [(b"{},", MAX_OPENED), (b"[],", MAX_OPENED), (b"1,", MAX_COMMAS)])
async def test_one_of_more_values_than_the_loop_has_time_for_is_refused(value, most):
    memory, pieces = BodyMemory(4 * LARGEST), 8

    def body(count):
        parts = iter([b'{"x":"' + b"x" * SMALL_BYTES + b'",'] + [value * (count // pieces)] * pieces)

        async def receive():
            part = next(parts)
            return {"type": "http.request", "body": part, "more_body": parts.__length_hint__() > 0}

        return Upload(receive, [], "acme", memory)

    await read(body(most - 8))
    with pytest.raises(ApiError) as refused:
        await read(body(most + 8))
    assert refused.value.status == 413


async def test_who_finds_no_memory_waits_in_order_and_is_refused_after_its_patience():
    memory = BodyMemory(2 * LARGEST, patience_s=0.05)
    held = [await read(upload(memory, LARGEST, org=org)) for org in ("a", "b")]
    with pytest.raises(ApiError) as refused:
        await read(upload(memory, LARGEST, org="c"))
    assert (refused.value.status, refused.value.code) == (503, "gateway_busy")
    memory._patience_s = 60
    order = []

    async def wait(org):
        body = await read(upload(memory, LARGEST, org=org))
        order.append(org)
        body.close()

    waiting = [asyncio.create_task(wait(org)) for org in ("c", "d", "e")]
    await asyncio.sleep(0)
    held[0].close()
    await asyncio.gather(*waiting)
    assert order == ["c", "d", "e"]
    held[1].close()
    assert memory.used_bytes == 0


async def test_an_org_that_has_its_half_lets_others_pass():
    memory = BodyMemory(4 * LARGEST, patience_s=60)
    held = [await read(upload(memory, LARGEST)) for _ in range(2)]
    third = asyncio.create_task(read(upload(memory, LARGEST)))
    await asyncio.sleep(0)
    other = await asyncio.wait_for(read(upload(memory, LARGEST, org="other")), 10)
    assert not third.done()
    held[0].close()
    for each in (held[1], other, await third):
        each.close()
    assert memory.used_bytes == 0


async def test_who_hangs_up_while_it_waits_holds_nothing():
    memory = BodyMemory(LARGEST, patience_s=60)
    first = await read(upload(memory, LARGEST))
    gone = asyncio.create_task(read(upload(memory, LARGEST)))
    later = asyncio.create_task(read(upload(memory, LARGEST)))
    await asyncio.sleep(0)
    gone.cancel()
    first.close()  # in the same turn of the loop
    (await later).close()
    assert gone.cancelled()
    assert memory.used_bytes == 0


async def test_between_two_large_bodies_the_loop_does_what_else_there_is():
    memory, turns = BodyMemory(8 * LARGEST), []

    async def work(number):
        body = await read(upload(memory, LARGEST // 8, org=f"{number}"))
        turns.append(f"large {number}")
        body.close()

    async def tick():
        while len(turns) - turns.count("tick") < 3:
            turns.append("tick")
            await asyncio.sleep(0.001)

    await asyncio.gather(tick(), *(work(number) for number in range(3)))
    large = [n for n, turn in enumerate(turns) if turn != "tick"]
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(large))
