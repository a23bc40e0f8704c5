"""The public side of an endpoint, as its controllers tell of it or do not."""

from typing import Any

from slipway.runtimes.cluster.edge_status import status_of


def told(kind: str, condition: str, status: str, **more: Any) -> dict[str, Any]:
    said = [{"type": condition, "status": status, "reason": "R", "message": "said"}]
    return {"kind": kind, "metadata": {"name": "api"}, "status": {"conditions": said, **more}}


def test_without_controllers_nothing_is_claimed() -> None:
    found = status_of([{"kind": "Gateway", "metadata": {"name": "api"}}])
    assert (found.is_programmed, found.addresses, found.is_certified) == (False, (), None)
    assert "no controller has seen it" in found.gateway_says


def test_addresses_and_conditions_are_those_of_the_controllers() -> None:
    gateway = told("Gateway", "Programmed", "True", addresses=[{"type": "IPAddress", "value": "203.0.113.7"}])
    pending = status_of([gateway, told("Certificate", "Ready", "False")])
    assert (pending.is_programmed, pending.addresses) == (True, ("203.0.113.7",))
    assert not pending.is_complete and pending.certificate_says == "Ready False: said"
    assert status_of([gateway, told("Certificate", "Ready", "True")]).is_complete
    assert status_of([gateway]).is_complete
