"""Rules between documents: names and contradictions. Each is a function that yields findings.

A rule judges one thing: of a document that is known in part, rules that need the other part say nothing.

Belongs here: what can be judged offline from the whole catalog, for every runtime alike.
Does not: what needs a runtime's adapter (slipway.runtimes.rules), reading files (slipway.catalog.files).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Autoscaling, Deployment, Limit, LoadBalancing
from slipway.catalog.documents import Adapter, Document, Model
from slipway.catalog.fields import cpu_in_millicores, size_in_bytes, split_revision
from slipway.catalog.pods import Quantities
from slipway.catalog.problems import Finding
from slipway.catalog.rules import pods, references
from slipway.catalog.rules.billing import prices_in_force, unpriced_units
from slipway.catalog.rules.cluster import aliases, labels, variables
from slipway.catalog.rules.endpoints import addresses, gateways, hosts
from slipway.catalog.rules.model_names import engine_names, requested_names
from slipway.catalog.servers import SERVERS

Rule = Callable[[Catalog], Iterable[Finding]]

_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|API_?KEY|ACCESS_?KEY)$", re.IGNORECASE)


def adapters_fit_their_base(catalog: Catalog) -> Iterator[Finding]:
    """An adapter is only listed by deployments of the model that it was trained on."""
    bases = {adapter.name: adapter.base for adapter in catalog.adapters}
    for deployment in catalog.deployments:
        for n, served in enumerate(deployment.adapters):
            base = bases.get(served.adapter, deployment.model)
            if base != deployment.model:
                message = (
                    f"adapter for another base: it was made for {base}, this deployment serves "
                    f"{deployment.model}. Remove the adapter, or deploy its base"
                )
                yield Finding("Deployment", deployment.name, ("adapters", n), message)


def weights_names(catalog: Catalog) -> Iterator[Finding]:
    """Models and adapters share `weights/<name>` in the store."""
    models = _names(catalog.models)
    for adapter in catalog.adapters:
        if adapter.name in models:
            message = "the name of a model, too; their weights would lie in one place. Rename the adapter"
            yield Finding("Adapter", adapter.name, ("name",), message)


def scaling_bounds(catalog: Catalog) -> Iterator[Finding]:
    """The fewest replicas are not more than the most."""
    for name, auto in _scaled(catalog):
        if auto.min_replicas > auto.max_replicas:
            message = (
                f"larger than max_replicas = {auto.max_replicas}. Lower min_replicas or raise max_replicas"
            )
            yield Finding("Deployment", name, ("autoscaling", "min_replicas"), message)


def scaling_idle(catalog: Catalog) -> Iterator[Finding]:
    """Zero when idle, and never fewer than one, contradict each other."""
    for name, auto in _scaled(catalog):
        if auto.idle == "zero" and auto.min_replicas > 0:
            message = f"contradicts min_replicas = {auto.min_replicas}. Set that to 0, or idle to keep"
            yield Finding("Deployment", name, ("autoscaling", "idle"), message)


def scaling_target(catalog: Catalog) -> Iterator[Finding]:
    """There is something to keep."""
    for name, auto in _scaled(catalog):
        if not auto.target.model_dump(exclude_none=True):
            message = "says no target. Give one of cpu_percent, memory_percent, ongoing_requests, queue_depth"
            yield Finding("Deployment", name, ("autoscaling", "target"), message)


def scaling_count(catalog: Catalog) -> Iterator[Finding]:
    """How many is said once."""
    for deployment in catalog.deployments:
        is_given = deployment.replicas != Deployment.model_fields["replicas"].default
        if is_given and deployment.autoscaling is not None:
            message = "given beside autoscaling, which decides the count. Remove replicas"
            yield Finding("Deployment", deployment.name, ("replicas",), message)


def _scaled(catalog: Catalog) -> Iterator[tuple[str, Autoscaling]]:
    for deployment in catalog.deployments:
        if deployment.autoscaling is not None:
            yield deployment.name, deployment.autoscaling


def resources(catalog: Catalog) -> Iterator[Finding]:
    """A limit is not below its request."""
    for deployment in catalog.deployments:
        requests, limits = deployment.resources.requests, deployment.resources.limits
        for name in ("cpu", "memory"):
            asked, most = _amount(requests, name), _amount(limits, name)
            if asked is not None and most is not None and asked > most:
                message = f"larger than limits.{name} = {getattr(limits, name)}. Lower it or raise the limit"
                yield Finding("Deployment", deployment.name, ("resources", "requests", name), message)


def licences(catalog: Catalog) -> Iterator[Finding]:
    """An engine that needs a key names its secret."""
    for engine in catalog.engines:
        licence = SERVERS[engine.server].licence
        if licence is not None and engine.api_key is None:
            yield Finding("Engine", engine.name, ("api_key",), f"{licence}. Name its secret here")


def load_balancing(catalog: Catalog) -> Iterator[Finding]:
    """Settings of a strategy go with it."""
    for deployment in catalog.deployments:
        for name in ("prefix_length", "load_factor_percent"):
            is_given = getattr(deployment.load_balancing, name) != LoadBalancing.model_fields[name].default
            if is_given and deployment.load_balancing.strategy != "prefix-hash":
                message = "goes with strategy = prefix-hash. Set that, or remove it"
                yield Finding("Deployment", deployment.name, ("load_balancing", name), message)


_ENVIRONMENT_ALONE = "Slipway reads it where it pulls, from the environment alone. Name a variable in env"


def sources(catalog: Catalog) -> Iterator[Finding]:
    """A hub source names a revision, and a token is one that Slipway can read and has a use for."""
    artifacts: list[tuple[str, Model | Adapter]] = [("Model", each) for each in catalog.models]
    artifacts += [("Adapter", each) for each in catalog.adapters]
    for kind, artifact in artifacts:
        if artifact.source.startswith("hf://") and split_revision(artifact.source)[1] is None:
            message = "names no revision. Add @<commit> to pin it, or @main to follow it"
            yield Finding(kind, artifact.name, ("source",), message)
        if artifact.token is not None and artifact.source.startswith(("s3://", "file://")):
            message = "this source takes no token. Remove it; a bucket's keys are in Settings.s3_sources"
            yield Finding(kind, artifact.name, ("token",), message)
        elif artifact.token is not None and artifact.token.env is None:
            yield Finding(kind, artifact.name, ("token",), _ENVIRONMENT_ALONE)
    for model in catalog.models:
        if not model.host_locally:
            message = "the engine downloads at every start, which is slow and fails with the hub. Prefer true"
            yield Finding("Model", model.name, ("host_locally",), message, severity="warning")


def buckets(catalog: Catalog) -> Iterator[Finding]:
    """What is said of a bucket that artifacts are read from is complete."""
    settings = catalog.settings
    for name, bucket in settings.s3_sources.items():
        for field in ("access_key", "secret_key"):
            if getattr(bucket, field).env is None:
                yield Finding("Settings", settings.name, ("s3_sources", name, field), _ENVIRONMENT_ALONE)


def registries(catalog: Catalog) -> Iterator[Finding]:
    """What is said of a registry fits together."""
    settings = catalog.settings
    for name, registry in settings.registries.items():
        where = ("registries", name)
        if registry.insecure_http and registry.ca_file:
            message = "plain http has no certificate to verify. Remove ca_file or insecure_http"
            yield Finding("Settings", settings.name, (*where, "ca_file"), message)
        if registry.pull_secret is not None and registry.pull_secret.env is None:
            message = "Slipway reads it where it mirrors, from the environment alone. Name a variable in env"
            yield Finding("Settings", settings.name, (*where, "pull_secret"), message)


def secrets(catalog: Catalog) -> Iterator[Finding]:
    """What looks like a secret is not written down in the catalog."""
    for kind, documents in (("Deployment", catalog.deployments), ("Engine", catalog.engines)):
        for document in documents:
            for name in document.env:
                if _SECRET_NAME.search(name):
                    message = "looks like a secret in plain text. Move it to secrets, by reference"
                    yield Finding(kind, document.name, ("env", name), message, show_value=False)


def limits(catalog: Catalog) -> Iterator[Finding]:
    """A narrower scope's limit above a wider one's can never be reached."""
    scopes = ("api_key", "user", "org")
    for deployment in catalog.deployments:
        for n, narrow in enumerate(scopes):
            for wide in scopes[n + 1 :]:
                yield from _unreachable(deployment, narrow, wide)


def _unreachable(deployment: Deployment, narrow: str, wide: str) -> Iterator[Finding]:
    inner: Limit | None = getattr(deployment.limits, narrow)
    outer: Limit | None = getattr(deployment.limits, wide)
    for name in Limit.model_fields:
        low, high = getattr(inner, name, None), getattr(outer, name, None)
        if low is not None and high is not None and low > high:
            message = f"above limits.{wide}.{name} = {high}, so never reached. Lower it or raise that one"
            yield Finding("Deployment", deployment.name, ("limits", narrow, name), message)


def prices(catalog: Catalog) -> Iterator[Finding]:
    """One price per scope and instant."""
    for book in catalog.price_books:
        seen: set[tuple[object, ...]] = set()
        for n, price in enumerate(book.prices):
            scope = (price.org, price.model, price.effective_from)
            if scope in seen:
                message = "a second price of this scope from the same instant. Remove one or move it"
                yield Finding("PriceBook", book.name, ("prices", n, "effective_from"), message)
            seen.add(scope)


def cached_prices(catalog: Catalog) -> Iterator[Finding]:
    """Cached input is not dearer than uncached."""
    for book in catalog.price_books:
        for n, price in enumerate(book.prices):
            if price.cached_input > price.input:
                message = f"dearer than input = {price.input}. Cached input costs at most as much as input"
                yield Finding("PriceBook", book.name, ("prices", n, "cached_input"), message)


def paths(catalog: Catalog) -> Iterator[Finding]:
    """A public path belongs to one deployment."""
    owners: dict[str, str] = {}
    for deployment in catalog.deployments:
        if deployment.path is None:
            continue
        if deployment.path in owners:
            message = f"the path of {owners[deployment.path]}, too. Change one of them"
            yield Finding("Deployment", deployment.name, ("path",), message)
        owners.setdefault(deployment.path, deployment.name)


RULES: tuple[Rule, ...] = (
    *references.RULES,
    adapters_fit_their_base,
    requested_names,
    engine_names,
    weights_names,
    aliases,
    labels,
    variables,
    *pods.RULES,
    scaling_bounds,
    scaling_idle,
    scaling_target,
    scaling_count,
    resources,
    licences,
    load_balancing,
    sources,
    buckets,
    registries,
    secrets,
    limits,
    prices,
    prices_in_force,
    unpriced_units,
    cached_prices,
    paths,
    gateways,
    hosts,
    addresses,
)


def _names(documents: Iterable[Document]) -> set[str]:
    return {document.name for document in documents}


def _amount(quantities: Quantities, name: str) -> int | None:
    written: str | None = getattr(quantities, name)
    if written is None:
        return None
    return cpu_in_millicores(written) if name == "cpu" else size_in_bytes(written)
