"""Transfers as Kubernetes jobs of their own: the tags on their ops that say what each pod gets.

Belongs here: tags. Does not: the executor that reads them (pipelines.jobs).
"""

from typing import Any

from slipway.catalog import Settings

# Parts in flight and an interpreter fit well within 1 GiB; beyond two cores nothing gets faster.
_TRANSFER_POD = {
    "container_config": {
        "resources": {
            "requests": {"cpu": "1", "memory": "1Gi"},
            "limits": {"cpu": "2", "memory": "1Gi"},
        }
    }
}


def transfer_tags(settings: Settings) -> dict[str, Any]:
    """Tags for an op that moves weights or images; none where transfers run within the Dagster run."""
    return {"dagster-k8s/config": _TRANSFER_POD} if settings.transfer_executor == "kubernetes" else {}
