"""A data plane under Slipway's own rights, for rollouts that doubles of operators carry out."""

from collections.abc import Callable

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.runtimes.cluster import rbac


@pytest.fixture
def own_api(as_role: Callable[..., ApiClient], crds: Callable[..., None], namespace: str) -> KubernetesApi:
    """Slipway's client with the rights of its own Role and ClusterRole, and no others."""
    crds("monitoring.coreos.com_podmonitors")  # every runtime here is watched by Prometheus
    rules = rbac.role(namespace, "slipway-s3")["rules"]
    return KubernetesApi(as_role(rules, rbac.cluster_role()["rules"]), patience_s=10)
