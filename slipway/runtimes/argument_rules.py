"""Rules of a catalog about engine arguments and variables: readable, not Slipway's own, cards as they are.

Belongs here: findings of a whole catalog. Does not: what is Slipway's own, how cards are divided
(slipway.runtimes.arguments), fields that a runtime refuses (its room).
"""

from __future__ import annotations

from collections.abc import Iterator

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.fields import Task
from slipway.catalog.problems import FieldPath, Finding
from slipway.catalog.rules.documents import Rule
from slipway.catalog.servers import SERVERS, ServerName
from slipway.runtimes import registry
from slipway.runtimes.arguments import divided, loading, owned, parsing


def arguments_are_readable(catalog: Catalog) -> Iterator[Finding]:
    """Every word belongs to an option, and every option has what it takes."""
    for deployment, server, _ in _with_engines(catalog):
        for word in parsing.parse(deployment.args, owned.options(server)).unreadable:
            yield Finding("Deployment", deployment.name, ("args", word.at), word.reason)


def arguments_are_the_deployments(catalog: Catalog) -> Iterator[Finding]:
    """No argument and no variable says what Slipway says itself."""
    for deployment, server, task in _with_engines(catalog):
        parsed = parsing.parse(deployment.args, owned.options(server))
        owns = registry.adapter(deployment.runtime).owns
        for mine in owned.owned(parsed.arguments, deployment, server, task, owns):
            yield Finding(
                "Deployment",
                deployment.name,
                ("args", mine.given.at),
                f"{parsing.spelled(mine.given)} {mine.reason}",
                show_value=False,
            )
        names: list[tuple[FieldPath, str]] = [(("env", name), name) for name in deployment.env]
        names += [(("secrets", n, "name"), secret.name) for n, secret in enumerate(deployment.secrets)]
        for path, name in names:
            yield from _variable(
                "Deployment", deployment.name, path, name, owned.variable(name, server, owns)
            )


def variables_of_engines_are_theirs(catalog: Catalog) -> Iterator[Finding]:
    """The same of an engine's variables, which all its deployments have."""
    for engine in catalog.engines:
        runtimes = {each.runtime for each in catalog.deployments if each.engine == engine.name}
        every = [registry.adapter(runtime).owns for runtime in sorted(runtimes)] or [owned.Owns()]
        for name in engine.env:
            reasons = [owned.variable(name, engine.server, owns) for owns in every]
            yield from _variable(
                "Engine", engine.name, ("env", name), name, next(filter(None, reasons), None)
            )


def cards_are_divided(catalog: Catalog) -> Iterator[Finding]:
    """Sizes of a division multiply to the cards of a replica."""
    for deployment, server, _ in _with_engines(catalog):
        for path, reason in (
            divided.contradictions(deployment) if SERVERS[server].fills_memory_as_vllm else ()
        ):
            yield Finding("Deployment", deployment.name, path, reason, show_value=path[0] != "args")


def weights_are_read_as_they_lie(catalog: Catalog) -> Iterator[Finding]:
    """No argument has an engine read from a disk what it is to stream from the store."""
    for deployment, server, _ in _with_engines(catalog):
        streams = registry.adapter(deployment.runtime).streams.get(server)
        found = loading.reader(deployment, streams)
        if found is not None:
            yield Finding("Deployment", deployment.name, ("args", found[0]), found[1], show_value=False)


def _variable(kind: str, owner: str, path: FieldPath, name: str, reason: str | None) -> Iterator[Finding]:
    if reason is not None:
        yield Finding(kind, owner, path, f"{name} {reason}", show_value=False)


def _with_engines(catalog: Catalog) -> Iterator[tuple[Deployment, ServerName, Task]]:
    """Deployments of which the engine is known; one of ours has a table of its own, in its room."""
    servers = {engine.name: engine.server for engine in catalog.engines}
    tasks = {model.name: model.task for model in catalog.models}
    for deployment in catalog.deployments:
        server = servers.get(deployment.engine)
        if server is not None and not SERVERS[server].is_ours:
            yield deployment, server, tasks.get(deployment.model, "text-generation")


RULES: tuple[Rule, ...] = (
    arguments_are_readable,
    arguments_are_the_deployments,
    variables_of_engines_are_theirs,
    cards_are_divided,
    weights_are_read_as_they_lie,
)
