"""Which formats a model's weights have, as far as it is known without asking any server.

Belongs here: formats by the catalog's own words, by files on this disk, by what a plan read of the store and
kept under home; and the rule that engines can load them. Does not: what an engine loads
(slipway.runtimes.arguments.loading), sizes (known_weights.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.artifacts.weights.paths import matches
from slipway.catalog.catalog import Catalog
from slipway.catalog.documents import Model
from slipway.catalog.fields import is_pinned, split_revision
from slipway.catalog.problems import Finding
from slipway.catalog.resolved import ResolvedDeployment, digest_of
from slipway.environment import Environment
from slipway.runtimes import registry
from slipway.runtimes.arguments import loading
from slipway.runtimes.arguments.loading import Format

if TYPE_CHECKING:
    from slipway.artifacts.weights.manifest import Manifest

Known = Callable[[Model], frozenset[Format]]

_FILE = "file://"


def weights_load(catalog: Catalog) -> Iterator[Finding]:
    """An engine loads the weights of its deployment, as far as this disk knows; asks no server."""
    if catalog.deployments:
        home = Environment.load().home
        for name, reason in refusals(catalog, lambda model: offline(model, home)):
            yield Finding("Deployment", name, ("model",), reason)


def refusals(catalog: Catalog, known: Known) -> Iterator[tuple[str, str]]:
    """Deployments whose engines could not load their weights, with the reason."""
    engines = {engine.name: engine for engine in catalog.engines}
    models = {model.name: model for model in catalog.models}
    for deployment in catalog.deployments:
        engine, model = engines.get(deployment.engine), models.get(deployment.model)
        if engine is None or model is None:
            continue
        streams = registry.adapter(deployment.runtime).streams.get(engine.server)
        reason = loading.refusal(deployment, engine.server, streams, known(model))
        if reason is not None:
            yield deployment.name, f"{model.name} {reason}"


def published(resolved: ResolvedDeployment, manifest: Manifest) -> str | None:
    """The same of one deployment whose weights are published: why it could not load them."""
    server = resolved.engine.server
    streams = registry.adapter(resolved.deployment.runtime).streams.get(server)
    return loading.refusal(resolved.deployment, server, streams, of_manifest(manifest))


def of_manifest(manifest: Manifest) -> frozenset[Format]:
    """Of all published files."""
    return loading.formats(each.path for each in manifest.files)


def offline(model: Model, home: Path) -> frozenset[Format]:
    """What the document, or this disk, says; nothing where it does not."""
    if model.include:
        told = loading.formats(model.include)
        if told or not any("*" in each or each.endswith("/") for each in model.include):
            return told
    location = split_revision(model.source)[0]
    if location.startswith(_FILE):
        return loading.formats(_taken(_listed(Path(location.removeprefix(_FILE))), model))
    try:
        kept = json.loads(_place(home, model).read_text())
        return loading.formats(f"x.{each}" for each in kept["suffixes"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def keep(home: Path, model: Model, paths: Iterable[str]) -> None:
    """Keep what files a pinned source has, by their endings; of a moving one nothing is kept."""
    if not is_pinned(model.source) or not home.is_dir():  # no home is made where one was mistyped
        return
    place = _place(home, model)
    new = place.with_suffix(".new")
    with suppress(OSError):  # a home that cannot be written to is no reason not to plan
        place.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"suffixes": sorted({path.rpartition(".")[2] for path in paths})}))
        new.replace(place)


def _listed(place: Path) -> list[str]:
    try:
        if not place.is_dir():
            return [place.name]
        return [str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()]
    except OSError:
        return []


def _taken(paths: Iterable[str], model: Model) -> list[str]:
    return [
        path
        for path in paths
        if (not model.include or matches(path, model.include)) and not matches(path, model.exclude)
    ]


def _place(home: Path, model: Model) -> Path:
    """By the source and what is taken of it."""
    identity = [model.source, model.include, model.exclude]
    return home / "known-formats" / f"{digest_of(identity)[:32]}.json"
