"""A short run of `make fuzz-gateway`: what holds for a million requests holds for these."""

import asyncio
import random
from pathlib import Path

from testbed.fuzz import gateway, judging, requests
from testbed.fuzz.client import NOTHING, Answer
from testbed.fuzz.judging import Ledger, Standing

SEED, REQUESTS = 12, 2_000


def test_no_request_and_no_engine_makes_the_gateway_fail_miscount_or_keep_anything(tmp_path: Path) -> None:
    run = asyncio.run(gateway.fuzz(SEED, REQUESTS, tmp_path))
    assert run.wrong == []
    assert sum(run.statuses.values()) == REQUESTS
    assert {200, 400, 401, 404, 429, 502} <= run.statuses.keys()  # it reached what it is to reach


def sent(**fields: object) -> requests.Sent:
    return requests.Sent(**{"raw": b"", "hangs_up": None, "is_http": True, **fields})


def answer(status: int, body: bytes, *, whole: bool = True, kind: str = "application/json") -> Answer:
    return Answer(status, {"x-request-id": "1", "content-type": kind}, body, is_whole=whole)


def error(code: str) -> bytes:
    return b'{"error": {"message": "m", "type": "t", "param": null, "code": "%s"}}' % code.encode()


def test_the_judge_finds_what_is_wrong_with_an_answer() -> None:
    stream = "text/event-stream; charset=utf-8"
    wrong = [
        NOTHING,
        answer(500, b"Internal Server Error"),
        answer(500, error("internal_error")),
        answer(503, error("usage_not_recorded")),
        answer(400, b'{"error": "text"}'),
        answer(200, b"[]"),
        answer(200, b"data: {}\n\n", kind=stream),
        answer(200, b"data: " + error("internal_error") + b"\n\n", kind=stream),
        answer(200, b"data: [DONE]\n\n", kind=stream, whole=False),
    ]
    assert [
        judging.of_answer(sent(), each) for each in wrong if judging.of_answer(sent(), each) is None
    ] == []
    right = [
        answer(200, b"{}"),
        answer(502, error("upstream_error")),
        answer(200, b"data: [DONE]\n\n", kind=stream),
        answer(200, b"data: " + error("upstream_error") + b"\n\n", kind=stream),
    ]
    assert [judging.of_answer(sent(), each) for each in right] == [None] * len(right)
    assert judging.of_answer(sent(hangs_up=1), NOTHING) is None


def event(request_id: str, tokens: object = 1) -> dict[str, object]:
    return {"request_id": request_id, "input_tokens": tokens, "cached_tokens": 0, "output_tokens": 0}


def test_the_judge_finds_events_that_are_missing_doubled_or_nobodys() -> None:
    ledger = Ledger()
    for request_id in "ab":
        ledger.note(Answer(200, {"x-request-id": request_id}, b"", is_whole=True))
    assert ledger.record([event("a"), event("a")]) == ["two events of a"]
    assert ledger.balance() == ["no event of b"]
    assert ledger.record([event("b"), event("c")]) == []
    assert ledger.balance() == ["1 events of 0 unanswered requests"]
    assert len(ledger.record([event("d", 2**63), event("e", True), event("f", -1)])) == 3


def test_the_judge_finds_what_does_not_come_back() -> None:
    first = Standing(memory_bytes=10**8, descriptors=20, in_flight=0, reserved_tokens=0)
    assert judging.of_standing(first, first) == []
    for kept in (Standing(2 * 10**8, 20, 0, 0), Standing(10**8, 60, 0, 0), Standing(10**8, 20, 0, 5)):
        assert len(judging.of_standing(first, kept)) == 1


def test_the_same_seed_makes_the_same_requests() -> None:
    one, other = ([requests.request(random.Random(seed), "sk") for _ in range(9)] for seed in (7, 7))
    assert one == other
