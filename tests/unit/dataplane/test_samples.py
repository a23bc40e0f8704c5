"""Replicas and GPUs of what runs, as rows for unit economics."""

from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.dataplane import samples
from slipway.dataplane.protocol import LiveApplication

NOON = datetime(2026, 1, 31, 12, 5, 9, tzinfo=UTC)


def live(ready: int) -> LiveApplication:
    """A revision with that many ready replicas."""
    return LiveApplication("chat-1", "chat", "d" * 64, "http://u/v1", "serving", "", ready, ready, ready > 0)


@pytest.mark.parametrize(
    ("deployment", "gpus", "gpu_class"),
    [
        ({"resources": {"gpu": {"count": 2, "class": "h100"}}}, 3 * 2, "h100"),
        ({"resources": {"gpu": {"count": 8}}, "nodes_per_replica": 2}, 3 * 8 * 2, None),
        ({"resources": {"gpu": {"count": 1, "fraction": 0.5}}}, 3 * 0.5, None),
        ({"resources": {}}, 0, None),
    ],
)
def test_cards_are_counted_over_replicas_and_nodes(
    deployment: dict[str, Any], gpus: float, gpu_class: str | None
) -> None:
    (row,) = samples.samples([live(3)], lambda *_: {"deployment": deployment}, NOON)
    assert (row.replicas, row.gpus, row.gpu_class) == (3, gpus, gpu_class)


def test_what_is_at_zero_costs_nothing() -> None:
    assert samples.samples([live(0)], lambda *_: None, NOON) == ()


def test_an_hour_is_one_listing() -> None:
    assert samples.key(NOON) == "samples/replicas/2026/01/31/12/0509.json"
