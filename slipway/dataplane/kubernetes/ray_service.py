"""A RayService that several deployments share: rendering it whole, and taking applications out of it.

Belongs here: what is particular about a shared workload.
Does not: its objects (slipway.runtimes.kuberay.render).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import yaml

from slipway.catalog.resolved import ResolvedDeployment
from slipway.dataplane.kubernetes.api.client import FIELD_MANAGER
from slipway.dataplane.kubernetes.objects import owned_fields
from slipway.dataplane.kubernetes.objects.diff import APPLIED
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.kuberay import render as kuberay
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Rendered


def render(
    resolved: ResolvedDeployment, cluster: ClusterSettings, beside: Sequence[ResolvedDeployment]
) -> Rendered:
    """The service with this revision and those beside it."""
    return kuberay.render(resolved, cluster, beside)


def without(service: Object, applications: Collection[str]) -> Object | None:
    """The service without these applications, as it is applied; None when it is to be removed as a whole.

    Worker groups that nobody needs any more stay until the next rollout: taking them out would start a
    second cluster, and the autoscaler has them at zero.
    """
    found = owned_fields.extract(service, FIELD_MANAGER)
    if found is None:
        return None
    config = yaml.safe_load(found["spec"]["serveConfigV2"])
    left = [each for each in config["applications"] if each["name"] not in applications]
    if not left:
        return None
    config["applications"] = left
    found["spec"]["serveConfigV2"] = yaml.safe_dump(config, sort_keys=False)
    found["metadata"].get("annotations", {}).pop(APPLIED, None)
    return found
