from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.control.check import check_catalog
from slipway.metering.queries import BillLine
from slipway.records.price_history import UNIT_PRICES, PriceRow
from slipway.records.usage import Units
from slipway.stack.demo.tasks import PATHS, SENTENCE, TasksRecord, Used
from slipway.stack.demo.tasks_claims import heard, judge

AT = datetime(2026, 5, 1, tzinfo=UTC)
CATALOG = Path(__file__).parents[2] / "catalog-tasks"

# What a client counted, by deployment: each in its unit.
COUNTED: dict[str, dict[str, int]] = {
    "llm": {"input_uncached": 30, "input_cached": 7, "output": 24},
    "whisper": {"input_audio_ms": 6000},
    "tts": {"characters": 70},
    "embeddings": {"input_uncached": 40},
    "reranker": {"input_uncached": 50, "documents": 3, "searches": 1},
}


def record() -> TasksRecord:
    made = TasksRecord(transcript=SENTENCE, nearest=1, best=1, best_score=0.99)
    made.upstreams = {name: f"http://127.0.0.1:8000{path}/v1" for name, path in PATHS.items()}
    made.used = [Used(name, AT, counted, "") for name, counted in COUNTED.items()]
    return made


def prices() -> list[PriceRow]:
    pico = {each.name: 7 for each in UNIT_PRICES}
    return [PriceRow(name, None, AT, None, "b", 2, 1, 5, "EUR", "never", **pico) for name in PATHS]


def line(name: str) -> BillLine:
    counted = COUNTED[name]
    tokens = {each: counted.get(each, 0) for each in ("input_uncached", "input_cached", "output")}
    units = {each: count for each, count in counted.items() if each not in tokens}
    pico = (
        2 * tokens["input_uncached"] + tokens["input_cached"] + 5 * tokens["output"] + 7 * sum(units.values())
    )
    return BillLine("acme", name, "b", "EUR", 1, **tokens, units=Units(**units), cost=f"{pico / 10**12:.12f}")


def lines() -> list[BillLine]:
    return [line(name) for name in PATHS]


def broken(found: TasksRecord, billed: list[BillLine]) -> list[str]:
    return [claim.text for claim in judge(found, billed, prices()) if not claim.held]


def test_all_holds_where_bills_are_what_clients_counted() -> None:
    assert broken(record(), lines()) == []


@pytest.mark.parametrize(
    ("deployment", "billed", "claim"),
    [
        ("llm", {"output": 23}, "llm: billed = counted by its client"),
        ("whisper", {"units": Units(input_audio_ms=5999)}, "whisper: billed = counted by its client"),
        ("tts", {"units": Units()}, "tts: billed = counted by its client"),
        ("reranker", {"units": Units(documents=3, searches=2)}, "reranker: billed = counted by its client"),
        ("embeddings", {"requests": 2}, "embeddings: every request is counted once"),
        ("embeddings", {"cost": None}, "embeddings: cost = units x the price in force"),
        ("tts", {"cost": "0.000000000001"}, "tts: cost = units x the price in force"),
    ],
)
def test_a_bill_that_differs_in_one_unit_is_seen(deployment: str, billed: dict[str, Any], claim: str) -> None:
    changed = [replace(each, **billed) if each.deployment == deployment else each for each in lines()]
    assert claim in broken(record(), changed)


@pytest.mark.parametrize(
    ("changed", "claim"),
    [
        ({"transcript": "Whales sing."}, "speech of one model is transcribed by another"),
        ({"nearest": 0}, "the right passage is the nearest by its embedding"),
        ({"best": None}, "the right passage is the best by its rank"),
        ({"upstreams": {}}, "five tasks on one Ray cluster, a path each"),
    ],
)
def test_an_answer_without_sense_is_seen(changed: dict[str, Any], claim: str) -> None:
    assert claim in broken(replace(record(), **changed), lines())


def test_a_word_that_was_misheard_is_counted() -> None:
    assert heard(SENTENCE.replace("Paris", "parrots")) == (12, 13)


def test_the_catalog_is_good_and_has_what_is_asked_for() -> None:
    loaded = check_catalog(CATALOG)
    assert loaded.warnings == ()
    assert {each.name: each.path for each in loaded.catalog.deployments} == dict(PATHS)
    tasks = {loaded.catalog.model(each.model).task for each in loaded.catalog.deployments}
    assert tasks == {"text-generation", "speech-to-text", "text-to-speech", "embedding", "rerank"}
