"""Replicas and GPUs of what runs, as rows for unit economics."""

from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.control import replica_samples as samples
from slipway.dataplane.protocol import LiveApplication
from slipway.records.replica_samples import Instant

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
        ({"resources": {"profile": "nvidia-gpu-l4:2"}}, 3 * 2, None),
        ({"resources": {"profile": "nvidia-gpu-l4:2", "gpu": {"count": 1, "class": "l4"}}}, 3 * 2, "l4"),
        ({"resources": {"profile": "google-tpu-v5e-2x2:4"}}, 3 * 4, None),
        ({"resources": {"profile": "ours:2", "profile_accelerator": "amd"}}, 3 * 2, None),
        ({"resources": {"profile": "cpu:4"}}, 0, None),
        ({"resources": {}}, 0, None),
    ],
)
def test_cards_are_counted_over_replicas_and_nodes(
    deployment: dict[str, Any], gpus: float, gpu_class: str | None
) -> None:
    (row,) = samples.sampled([live(3)], lambda *_: {"deployment": deployment}, NOON).samples
    assert (row.replicas, row.gpus, row.gpu_class) == (3, gpus, gpu_class)


def test_what_is_at_zero_costs_nothing() -> None:
    assert samples.sampled([live(0)], lambda *_: None, NOON).samples == ()


def test_a_minute_is_one_instant_and_an_hour_one_listing() -> None:
    early, late = (samples.sampled([], lambda *_: None, NOON.replace(second=second)) for second in (0, 59))
    assert early.key == late.key == "samples/replicas/2026/01/31/12/0500.json"


def test_what_is_written_is_read_again_and_nothing_else() -> None:
    made = samples.sampled([live(3)], lambda *_: {"deployment": {"resources": {"gpu": {"count": 2}}}}, NOON)
    assert Instant.decode(made.encode()) == made
    for other in (b"", b"[]", b"{}", b'{"at": "2026-01-31T12:05:00", "interval_s": 60, "samples": []}'):
        with pytest.raises(ValueError, match=r".+"):
            Instant.decode(other)
