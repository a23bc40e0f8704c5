"""Rendering for a cluster with operators, and what these tests ask for by type."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.runtimes import registry
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object, Rendered


@pytest.fixture
def cluster(cluster: ClusterSettings) -> ClusterSettings:
    """One whose registry asks for a password."""
    return replace(cluster, pull_secrets=("local-registry",))


@pytest.fixture
def render(
    resolved: Callable[..., ResolvedDeployment],
    cluster: ClusterSettings,
    accepted: Callable[[Rendered], dict[str, Object]],
) -> Callable[..., dict[str, Object]]:
    """Objects of these fields of the catalog by kind; the API server accepts them."""

    def rendered(**fields: Any) -> dict[str, Object]:
        return accepted(registry.on_cluster(fields["runtime"]).render(resolved(**fields), cluster))

    return rendered
