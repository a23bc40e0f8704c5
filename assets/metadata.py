"""What Dagster shows beside a materialization: few stable keys, numbers where the UI should plot.

Belongs here: the translation from domain values to metadata. Does not: computing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets import keys
from resources.artifacts import Pulled, Verified
from resources.warehouse import Check, CompactedHour, Economics, HourSummary, Reported, SampledHour
from slipway.artifacts.images.mirror import Mirrored
from slipway.artifacts.weights.collection import Collected
from slipway.records.revisions import Revision

if TYPE_CHECKING:
    from slipway.control.cluster_parts import Prepared
    from slipway.dataplane.kubernetes.cluster_parts import Serving
    from slipway.dataplane.kubernetes.objects.plan import ObjectPlan
    from slipway.records.route_store import NumberedTable
    from slipway.runtimes.cluster.edge_status import EdgeStatus

# Digest of the part of the catalog that an asset mirrors: which state of it was brought.
CATALOG_DIGEST = "catalog_digest"


def of_weights(pulled: Pulled) -> dict[str, Any]:
    """Commit, size and speed of a pull; the speed is of what was moved."""
    manifest = pulled.manifest
    return {
        "commit": manifest.commit,
        "source": pulled.source,
        "licence": manifest.licence or "not stated",
        "files": len(manifest.files),
        "bytes": manifest.size_bytes,
        "bytes_moved": pulled.moved_bytes,
        "bytes_found": max(0, manifest.size_bytes - pulled.moved_bytes),
        "seconds": round(pulled.seconds, 3),
        "mb_per_s": round(pulled.moved_bytes / 1e6 / max(pulled.seconds, 1e-3), 1),
    }


def of_images(mirrored: Mapping[str, Mirrored]) -> dict[str, Any]:
    """Digest per accelerator, size and speed of all; the speed is of what was moved."""
    blobs = {blob: size for each in mirrored.values() for blob, size in each.record.blobs.items()}
    moved_bytes = sum(each.moved_bytes for each in mirrored.values())
    seconds = sum(each.seconds for each in mirrored.values())
    licences = {each.record.licence for each in mirrored.values() if each.record.licence}
    left_out = [why for each in mirrored.values() for why in each.left_out]
    return {
        **{f"digest_{name}": each.record.digest for name, each in mirrored.items()},
        **{f"reference_{name}": each.record.reference for name, each in mirrored.items()},
        "source": ", ".join(dict.fromkeys(_source_of(each) for each in mirrored.values())),
        "licence": ", ".join(sorted(licences)) or "not stated",
        "files": len(blobs),
        "bytes": sum(blobs.values()),
        "bytes_moved": moved_bytes,
        "seconds": round(seconds, 3),
        "mb_per_s": round(moved_bytes / 1e6 / max(seconds, 1e-3), 1),
        "attachments_left_out": "; ".join(left_out) or "none",
    }


def _source_of(mirrored: Mirrored) -> str:
    record = mirrored.record
    return f"{record.source}:{record.tag}" if record.tag else record.source


def of_verification(verified: Verified) -> dg.AssetCheckResult:
    """Which files differ, and how much was read to know it."""
    rows = [
        dg.TableRecord({"file": mismatch.path, "problem": mismatch.problem})
        for mismatch in verified.mismatches
    ]
    return dg.AssetCheckResult(
        passed=not verified.mismatches,
        description=f"{verified.mismatches[0].path}: {verified.mismatches[0].problem}" if rows else None,
        metadata={
            "commit": verified.commit,
            "how": verified.how,
            "bytes_read": verified.read_bytes,
            "seconds": round(verified.seconds, 3),
            "problems": len(rows),
            **({"mismatches": dg.MetadataValue.table(rows)} if rows else {}),
        },
    )


def of_collection(collected: Collected) -> dict[str, Any]:
    """What went, what stays, and why; numbers for the plots, a table for people."""
    rows = [
        dg.TableRecord({"weights": fate.stored.prefix, "verdict": fate.action, "why": fate.reason})
        for fate in collected.fates
    ]
    return {
        "removed": len(collected.removed),
        "removed_bytes": collected.removed_bytes,
        "waiting": len(collected.waiting),
        "kept": len(collected.kept),
        "kept_bytes": collected.kept_bytes,
        "aborted_uploads": collected.aborted_uploads,
        "left_for_next_run": len(collected.unfinished),
        **({"verdicts": dg.MetadataValue.table(rows)} if rows else {}),
    }


def of_compaction(compacted: Iterable[CompactedHour]) -> dict[str, Any]:
    """How many hours became one object each, of how many lines and objects, and how many objects went."""
    hours = list(compacted)
    made = [each.made for each in hours if each.made is not None]
    return {
        "hours": len(made),
        "lines": sum(each.contents.lines for each in made),
        "objects": sum(len(each.made_of) for each in made),
        "bytes": sum(each.stored.size_bytes for each in made),
        "removed": sum(each.removed for each in hours),
    }


def of_revision(revision: Revision) -> dict[str, Any]:
    """Which spec serves, where, and in which state."""
    return {
        "spec_digest": revision.spec_digest,
        "application": revision.application,
        "strategy": revision.strategy,
        "state": revision.state,
        "upstream": dg.MetadataValue.url(revision.upstream),
        "served_names": ", ".join(revision.served_names),
    }


def of_routes(published: NumberedTable, retired: Iterable[str]) -> dict[str, Any]:
    """The table's number and version, who is in it, and what was taken away."""
    number, table = published
    rows = [
        dg.TableRecord(
            {
                "model": route.model,
                "deployment": route.deployment,
                "revision": route.revision[:8],
                "sharing": route.sharing if isinstance(route.sharing, str) else ", ".join(route.sharing),
            }
        )
        for route in table.routes
    ]
    return {
        "number": number,
        "version": table.version,
        "models": len(table.routes),
        "retired": ", ".join(retired) or "nothing",
        **({"routes": dg.MetadataValue.table(rows)} if rows else {}),
    }


def of_mirror(digest: str, counts: Mapping[str, Any]) -> dict[str, Any]:
    """The digest of what was mirrored, and how much it was."""
    return {CATALOG_DIGEST: digest, **counts}


def of_plans(plans: Iterable[ObjectPlan]) -> dict[str, Any]:
    """What was made, changed and taken away of a cluster's objects, with the fields."""
    done = list(plans)
    counts = {
        "created": sum(each.action == "create" for each in done),
        "changed": sum(each.action in ("update", "replace") for each in done),
        "pruned": sum(each.action == "delete" for each in done),
    }
    rows = [
        dg.TableRecord(
            {
                "action": plan.action,
                "object": str(plan.ref),
                "fields": "; ".join(str(change) for change in plan.changes),
            }
        )
        for plan in done
    ]
    return {**counts, **({"objects": dg.MetadataValue.table(rows)} if rows else {})}


def of_serving(serving: Serving) -> dict[str, Any]:
    """What was done for a gateway, and where requests reach it."""
    return {
        **of_plans(serving.done),
        "base_url": dg.MetadataValue.url(serving.base_url),
        "addresses": ", ".join(serving.edge.addresses) or "none yet",
        "edge": serving.edge.gateway_says,
    }


def of_edge(edge: EdgeStatus, key: dg.AssetKey) -> list[dg.AssetCheckResult]:
    """Checks of the public side: warnings, as other controllers have to act; the gateway serves anyhow."""

    def warning(name: str, passed: bool, description: str) -> dg.AssetCheckResult:
        severity = dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            check_name=name, asset_key=key, passed=passed, description=description, severity=severity
        )

    named = "a secret of yours, or no TLS"
    return [
        warning("edge_programmed", edge.is_programmed, edge.gateway_says),
        warning("certificate_ready", edge.is_certified is not False, edge.certificate_says or named),
    ]


def of_store_secret(prepared: Prepared, name: str, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether pods find the store's credentials; what lacks them says how to bring them."""
    missing = prepared.without_secret
    remedy = (
        f"Secret {prepared.secret} is missing in {', '.join(missing)}. Make it with the keys "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for engines, reading weights/ is enough."
    )
    return dg.AssetCheckResult(
        check_name=name, asset_key=key, passed=not missing, description=remedy if missing else None
    )


# What the UI plots of the latency of an hour.
LATENCY_KEYS = ("ttft_p50_ms", "ttft_p95_ms", "itl_p50_ms", "itl_p95_ms")


def of_hour(key: dg.AssetKey, hour: HourSummary) -> dict[str, Any]:
    """Numbers of one hour for one metering asset, under the same keys in an hour without requests.

    0 where nothing was measured. Money is a number for the plot alone, with its exact text beside it.
    """
    shared = {"requests": hour.requests, "final": hour.final}
    if key == keys.REQUESTS:
        return {
            **shared,
            "objects": hour.objects,
            "duplicates": hour.duplicates,
            "conflicts": hour.conflicts,
            "quarantined": hour.quarantined,
        }
    if key == keys.LATENCY:
        latency = {name: round(hour.latency_ms.get(name, 0.0), 3) for name in LATENCY_KEYS}
        return {**shared, "output_tokens": hour.output_tokens, **latency}
    if key == keys.USAGE:
        return {
            **shared,
            "input_tokens": hour.input_tokens,
            "cached_tokens": hour.cached_tokens,
            "output_tokens": hour.output_tokens,
            **{unit: amount for unit, amount in asdict(hour.units).items() if amount},
        }
    if key == keys.COST:
        return {**shared, "unpriced": hour.unpriced, **_earned(hour)}
    return shared


def _earned(hour: HourSummary) -> dict[str, Any]:
    earned: dict[str, Any] = {}
    for currency in sorted({*hour.currencies, *hour.cost}):
        amount = hour.cost.get(currency, Decimal(0))
        earned[f"earned_{currency.lower()}"] = float(amount)
        earned[f"earned_{currency.lower()}_exact"] = format(amount, "f")
    return earned


def of_economics(rows: Iterable[Economics]) -> dict[str, Any]:
    """Numbers of one hour for plots, by currency; money is exact in `slipway economics`."""
    return {
        f"{name}_{row.currency.lower()}": float(getattr(row, name))
        for row in rows
        for name in ("earned", "gpu_cost", "margin")
    }


def of_report(reported: Reported) -> dict[str, Any]:
    """Where the page lies, and what it is of."""
    return {"key": reported.key, "bytes": reported.size_bytes, "period": str(reported.period)}


def of_sampled(hour: SampledHour) -> dict[str, Any]:
    """How much of an hour was sampled, and what ran."""
    return {
        "instants": hour.instants,
        "sampled_s": hour.sampled_s,
        "replica_seconds": hour.replica_seconds,
        "unreadable": len(hour.unreadable),
    }


def of_unreadable(hours: Iterable[SampledHour], name: str, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether all samples could be read; those that could not are named, and the rest counts."""
    unreadable = [sample for hour in hours for sample in hour.unreadable]
    remedy = f"not samples, and not counted: {', '.join(unreadable[:5])}. Remove them, or restore them."
    severity = dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=key,
        passed=not unreadable,
        severity=severity,
        description=remedy if unreadable else None,
    )


def check(result: Check, key: dg.AssetKey) -> dg.AssetCheckResult:
    """One metering check as an asset check."""
    severity = dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=result.name,
        asset_key=key,
        passed=result.passed,
        severity=severity,
        metadata=dict(result.evidence),
    )
