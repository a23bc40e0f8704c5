"""The public side of an endpoint as its controllers tell of it.

Belongs here: reading conditions and addresses off a Gateway and a Certificate. Pure.
Does not: waiting for them (slipway.dataplane.kubernetes.cluster_parts): there may be no controller, and
Slipway's gateway serves without.
Source: https://gateway-api.sigs.k8s.io/reference/spec/#gatewaystatus, cert-manager's CertificateStatus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slipway.runtimes.judging.objects import Object, condition, is_true


@dataclass(frozen=True)
class EdgeStatus:
    """Whether the load balancer has taken the Gateway, its addresses, and the certificate (None: named).

    `is_seen`: some controller looks after it.
    """

    is_programmed: bool
    gateway_says: str
    addresses: tuple[str, ...]
    is_certified: bool | None
    certificate_says: str
    is_seen: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether requests from outside find it."""
        return self.is_programmed and self.is_certified is not False


def status_of(objects: Iterable[Object]) -> EdgeStatus:
    """Of the objects of one endpoint."""
    by_kind = {each["kind"]: each for each in objects}
    gateway, certificate = by_kind.get("Gateway", {}), by_kind.get("Certificate")
    given = (gateway.get("status") or {}).get("addresses") or ()
    return EdgeStatus(
        is_programmed=is_true(gateway, "Programmed"),
        gateway_says=_said(gateway, "Programmed"),
        addresses=tuple(str(each["value"]) for each in given if each.get("value")),
        is_certified=None if certificate is None else is_true(certificate, "Ready"),
        certificate_says="" if certificate is None else _said(certificate, "Ready"),
        is_seen=is_true(gateway, "Accepted"),
    )


def _said(obj: Object, kind: str) -> str:
    seen = condition(obj, kind)
    if seen is None:
        return f"no condition {kind}: no controller has seen it"
    return f"{kind} {seen.get('status')}: {seen.get('message') or seen.get('reason') or ''}".rstrip(": ")
