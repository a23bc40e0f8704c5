"""Calls of OpenAI's administration API that nothing here answers to, each with its reason.

Belongs here: the list, by the first segments of the path below /v1/organization. Does not: words around it.

Each is refused whatever its ids are, so that it tells nothing about them.
"""

from __future__ import annotations

_OPERATOR = "it is the operator's, who sets it in the catalog"
_NOT_KEPT = "neither prompts nor answers are kept"
ROLES = (
    "an admin key may do everything in its organization and an API key of a project calls models; there are "
    "no other roles"
)
_SPEND = "budgets are not part of this version. Read `costs`, and set rate limits"
_CERTIFICATES = "clients are known by their keys alone"

UNSUPPORTED: tuple[tuple[str, str, str], ...] = (
    ("invites", "Invites", "users are added by the operator; make service accounts instead"),
    ("audit_logs", "Audit logs", "changes are in the gateway's log, which the operator has"),
    ("certificates", "Certificates", _CERTIFICATES),
    ("data_retention", "Data retention", _NOT_KEPT),
    ("external_keys", "External keys", _NOT_KEPT),
    ("external_storage", "External storage", _NOT_KEPT),
    ("roles", "Roles", ROLES),
    ("groups", "Groups", ROLES),
    ("spend_alerts", "Spend alerts", _SPEND),
    ("spend_limit", "A spend limit", _SPEND),
    ("workload_identity_providers", "Workload identity", _CERTIFICATES),
    ("users/*/roles", "Roles of users", ROLES),
    ("projects/*/certificates", "Certificates", _CERTIFICATES),
    ("projects/*/data_retention", "Data retention", _NOT_KEPT),
    ("projects/*/hosted_tool_permissions", "Hosted tools", "there are none"),
    (
        "projects/*/model_permissions",
        "Model permissions",
        f"which models an organization may use: {_OPERATOR}",
    ),
    ("projects/*/service_tier_settings", "Service tiers", "there are none"),
    ("projects/*/spend_alerts", "Spend alerts", _SPEND),
    ("projects/*/spend_limit", "A spend limit", _SPEND),
    ("projects/*/groups", "Groups", ROLES),
)


def reason(segments: tuple[str, ...]) -> tuple[str, str] | None:
    """What it is that cannot be managed, and why; None for a path that begins like none of these."""
    for pattern, what, why in UNSUPPORTED:
        wanted = pattern.split("/")
        if len(segments) >= len(wanted) and all(
            want in ("*", got) for want, got in zip(wanted, segments, strict=False)
        ):
            return what, why
    return None
