import asyncio
import threading

import pytest

from slipway.gateway import daemon
from slipway.gateway.admin.asked import Answer
from slipway.gateway.admin.repeats import Repeats
from slipway.gateway.admin.workers import Workers
from slipway.gateway.api.errors import ApiError

DONE = Answer(b"done", ())


def _workers(places: int, patience_s: float) -> Workers:
    return Workers("database", places, patience_s, daemon.call)


def test_a_call_that_hangs_is_told_of_in_time_and_keeps_its_place_until_it_ends():
    async def story():
        release, ran = threading.Event(), []
        workers = _workers(2, 0.2)  # one place per organization
        with pytest.raises(ApiError) as told:
            await workers.call("acme", release.wait)
        assert (told.value.status, dict(told.value.headers)[b"retry-after"]) == (503, b"5")
        with pytest.raises(ApiError):  # there is no place for it, so that it does not begin later either
            await workers.call("acme", lambda: ran.append("acme"))
        await workers.call("other", lambda: ran.append("other"))
        release.set()
        await workers.call("acme", lambda: ran.append("acme, again"))
        assert ran == ["other", "acme, again"]

    asyncio.run(story())


def test_one_organization_takes_no_more_than_half_of_the_places():
    async def story():
        release, at_once, most = threading.Event(), [], []
        workers = _workers(4, 5)

        def work():
            at_once.append(1)
            most.append(len(at_once))
            release.wait(5)
            at_once.pop()

        jobs = [workers.start("acme", work) for _ in range(6)]
        assert await workers.call("other", lambda: "served") == "served"
        release.set()
        for job in jobs:
            await workers.result(job)
        assert max(most) <= 2

    asyncio.run(story())


def test_what_a_call_raises_is_raised():
    with pytest.raises(TimeoutError, match="of its own"):
        asyncio.run(_raising())


async def _raising():
    def fails():
        raise TimeoutError("of its own")

    await _workers(1, 5).call("acme", fails)


def test_requests_with_one_idempotency_key_make_one_change_also_while_it_is_under_way():
    async def story():
        made, release = [], threading.Event()
        workers, repeats = _workers(2, 0.1), Repeats()

        def change() -> Answer:
            release.wait(5)
            made.append(1)
            return DONE

        def once(request=b"POST projects"):
            return repeats.once("acme", b"key", request, lambda: workers.start("acme", change))

        with pytest.raises(ApiError, match="A change may have been made"):
            await workers.result(once())
        release.set()
        assert await workers.result(once()) == await workers.result(once()) == DONE
        assert made == [1]
        with pytest.raises(ApiError) as refused:
            once(b"POST something else")
        assert refused.value.status == 409
        other = repeats.once("other", b"key", b"x", lambda: workers.start("other", lambda: DONE))
        assert await workers.result(other) == DONE  # another organization's key is another key

    asyncio.run(story())


def test_a_change_that_failed_is_made_when_it_is_asked_for_again():
    async def story():
        workers, repeats = _workers(2, 5), Repeats()

        def fails() -> Answer:
            raise ValueError("no")

        def once(change):
            return workers.result(repeats.once("acme", b"key", b"x", lambda: workers.start("acme", change)))

        with pytest.raises(ValueError, match="no"):
            await once(fails)
        assert await once(lambda: DONE) == DONE

    asyncio.run(story())
