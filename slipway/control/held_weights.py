"""The first step of a rollout: hold its weights, so that no garbage collection takes them from under it.

Belongs here: claiming what a spec names until its revision's record does.
Does not: the protocol with the collector (slipway.artifacts.weights.claims), the rollout itself (rollout.py).
"""

from __future__ import annotations

from collections.abc import Callable

from slipway.artifacts.errors import NotPublishedError
from slipway.artifacts.weights.claims import Terms, claim
from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog.resolved import ResolvedDeployment
from slipway.control.fit import known_formats
from slipway.objectstore import ObjectStore

# Beyond the deadlines of the rollout and of undoing it: for the time between them and the record.
_MARGIN_S = 3600.0


class WeightsNotHeldError(NotPublishedError):
    """Weights that a rollout needs are not in the store (or not any more)."""

    def __init__(self, artifact: str, prefix: str, bucket: str, deployment: str) -> None:
        super().__init__(
            f"{prefix}: not published in bucket {bucket}, so {deployment} cannot serve it. Pull it with "
            f"`slipway weights pull {artifact}`, then roll out again."
        )
        self.artifact = artifact


class WeightsNotLoadableError(NotPublishedError):
    """Published weights that the deployment's engine could not load."""

    def __init__(self, deployment: str, prefix: str, reason: str) -> None:
        super().__init__(f"{prefix}: {reason}, so {deployment} cannot serve it.")


def hold_weights(
    store: ObjectStore,
    resolved: ResolvedDeployment,
    report: Callable[[str], None],
    terms: Terms | None = None,
) -> None:
    """Claim model and adapters, then see that they are published; the claims outlast the rollout.

    Raises WeightsNotHeldError when they are not (or not any more), and WeightsNotLoadableError when the
    engine could not load what there is: a rollout could only fail, later.
    """
    holder = f"the rollout of {resolved.revision_name}"
    hold_s = 2 * resolved.deployment.rollout.deadline_s + _MARGIN_S
    artifacts = (resolved.model, *resolved.adapters)
    for artifact in artifacts:
        claim(store, artifact.name, artifact.commit, holder, hold_s=hold_s, terms=terms, report=report)
    for artifact in artifacts:
        manifest = Manifest.read_prefix(store, artifact.prefix)
        if manifest is None:
            raise WeightsNotHeldError(artifact.name, artifact.prefix, store.location.bucket, resolved.name)
        reason = known_formats.published(resolved, manifest) if artifact == resolved.model else None
        if reason is not None:
            raise WeightsNotLoadableError(resolved.name, artifact.prefix, reason)
