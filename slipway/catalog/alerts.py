"""Who is told of what goes wrong: receivers of alerts, by severity, owner and name.

Belongs here: the fields of a receiver, the names and severities that alerts have.
Does not: finding what is wrong (slipway.control.alerting), telling of it (slipway.alerts).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from slipway.catalog.fields import Name, SecretRef, Spec

# Those of PagerDuty's events, from the least to the worst.
Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

AlertName = Literal[
    "catalog_broken", "certificate_expires", "check_failed", "gpu_idle", "no_price_in_force",
    "observation_failed", "repair_given_up", "rollout_failed", "rollup_stale", "run_failed", "sensor_failed",
    "unpriced_usage",
]  # fmt: skip

Owner = Annotated[str, Field(pattern=r"^(team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+\.[A-Za-z]{2,7})$")]
Address = Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]


class AlertReceiver(Spec):
    """Somebody who is told when something is wrong, and when it is over."""

    name: Name
    kind: Literal["slack", "webhook", "email", "pagerduty"] = Field(
        description="`slack`: an incoming webhook, also of Mattermost and others that take the same JSON; "
        "`webhook`: JSON of our own; `email`: through the server in `SLIPWAY_SMTP_URL`; `pagerduty`: "
        "Events API v2."
    )
    webhook: SecretRef | None = Field(
        None, description="Where to post; of `pagerduty` only where it is not the public address."
    )
    routing_key: SecretRef | None = Field(None, description="Integration key of a PagerDuty service.")
    to: tuple[Address, ...] = Field((), description="Addresses of an `email`.")
    least: Severity = Field("warning", description="The least severity that is told.")
    owners: tuple[Owner, ...] = Field(
        (), description="Only what these own, and what nobody owns; empty tells whoever owns it."
    )
    alerts: tuple[AlertName, ...] = Field((), description="Only alerts of these names; empty tells of all.")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needed = {"slack": "webhook", "webhook": "webhook", "email": "to", "pagerduty": "routing_key"}[
            self.kind
        ]
        given = {"webhook": self.webhook, "to": self.to or None, "routing_key": self.routing_key}
        if given[needed] is None:
            raise ValueError(f"a receiver of kind {self.kind} needs {needed}. Add it")
        allowed = {needed, "webhook"} if self.kind == "pagerduty" else {needed}
        for name, value in given.items():
            if value is not None and name not in allowed:
                raise ValueError(f"{name} means nothing to a receiver of kind {self.kind}. Remove it")
        for name, ref in (("webhook", self.webhook), ("routing_key", self.routing_key)):
            if ref is not None and ref.env is None:
                raise ValueError(f"{name} is read from the environment. Write {name}: {{env: VARIABLE}}")
        return self
