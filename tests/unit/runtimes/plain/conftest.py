"""Rendering of plain Deployments, and of LeaderWorkerSets for several nodes."""

from collections.abc import Callable

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object, Rendered
from slipway.runtimes.vllm import render as vllm

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]


@pytest.fixture
def render(resolved: Resolve, cluster: ClusterSettings, accepted: Accept) -> Callable[..., dict[str, Object]]:
    """Objects of these fields of the catalog by kind; the API server accepts them."""
    return lambda **fields: accepted(vllm.render(resolved(**fields), cluster))
