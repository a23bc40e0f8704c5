"""Whether models fit the GPU memory that their deployments ask for, where enough is known to tell.

Belongs here: which deployments are judged, and the message.
Does not: the arithmetic (arithmetic.py), what is known of weights (known_weights.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Model
from slipway.catalog.problems import Finding
from slipway.catalog.servers import SERVERS
from slipway.control.fit import arithmetic as fit
from slipway.control.fit import known_weights
from slipway.control.fit.known_weights import KnownWeights
from slipway.environment import Environment

Known = Callable[[Model], KnownWeights | None]


def models_fit(catalog: Catalog) -> Iterator[Finding]:
    """A model that cannot fit is refused, from what this disk knows; asks no server."""
    asked = [each for each in catalog.deployments if _is_judged(catalog, each)]
    if asked:
        home = Environment.load().home
        yield from _findings(catalog, asked, lambda model: known_weights.offline(model, home))


def refusals(catalog: Catalog, known: Known) -> Iterator[tuple[str, str]]:
    """The same by deployment, for who knows more, such as the manifests in the store."""
    asked = [each for each in catalog.deployments if _is_judged(catalog, each)]
    for finding in _findings(catalog, asked, known):
        yield finding.name, finding.message


def keeping(home: Path, known: Known) -> Known:
    """As `known`, and what it says is kept for checks without a server."""

    def kept(model: Model) -> KnownWeights | None:
        weights = known(model)
        if weights is not None and home.is_dir():  # not at a place that was mistyped
            known_weights.keep(home, model, weights)
        return weights

    return kept


def _is_judged(catalog: Catalog, deployment: Deployment) -> bool:
    gpu = deployment.resources.gpu
    server = next((each.server for each in catalog.engines if each.name == deployment.engine), None)
    if gpu is None or gpu.memory is None or server is None:
        return False
    return SERVERS[server].fills_memory_as_vllm


def _findings(catalog: Catalog, asked: list[Deployment], known: Known) -> Iterator[Finding]:
    models = {each.name: each for each in catalog.models}
    for deployment in asked:
        model = models.get(deployment.model)
        weights = known(model) if model is not None else None
        if model is None or weights is None:
            continue
        fitting = fit.judge(deployment, weights.weights_bytes, weights.config, model.context_length)
        if fitting is not None and not fitting.fits:
            message = (
                f"{model.name} cannot fit: {fitting.arithmetic}. Ask for more cards (gpu.count) or larger "
                "ones, or give a shorter --max-model-len"
            )
            yield Finding("Deployment", deployment.name, ("resources", "gpu", "memory"), message)
