"""Live metrics: objects of the Prometheus operator, where the cluster's settings have one.

Belongs here: PodMonitors of engines and gateways. Does not: what is measured, hours (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object

INTERVAL = "15s"


def wanted(resolved: ResolvedDeployment, cluster: ClusterSettings) -> bool:
    """Whether to scrape: asked for, and somebody there to do it (an unknown kind would fail the rollout)."""
    return resolved.deployment.telemetry and cluster.prometheus is not None


def pod_monitor(
    resolved: ResolvedDeployment,
    cluster: ClusterSettings,
    selected: Mapping[str, str],
    port: str | int,
) -> list[Object]:
    """A PodMonitor over the pods with these labels and a port's name or number; none when it is off."""
    if not wanted(resolved, cluster):
        return []
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": identity.metadata(resolved, cluster),
            "spec": {
                "selector": {"matchLabels": dict(selected)},
                "podTargetLabels": [identity.DEPLOYMENT, identity.REVISION],
                "podMetricsEndpoints": [
                    {
                        "portNumber" if isinstance(port, int) else "port": port,
                        "path": "/metrics",
                        "interval": INTERVAL,
                    }
                ],
            },
        }
    ]


def gateway_monitor(metadata: Object, selected: Mapping[str, str], cluster: ClusterSettings) -> list[Object]:
    """A PodMonitor over gateways, whose metrics have a port of their own; none without Prometheus.

    Autoscaling by requests depends on it (scaling.py), so it is not the catalog's to switch off.
    """
    if cluster.prometheus is None:
        return []
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": dict(selected)},
                "podMetricsEndpoints": [
                    {
                        "port": "metrics",
                        "path": "/metrics",
                        "interval": INTERVAL,
                        # Its samples name the deployment and revision that they are about.
                        "honorLabels": True,
                    }
                ],
            },
        }
    ]
