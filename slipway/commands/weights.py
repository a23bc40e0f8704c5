"""`slipway weights ...`: what is in the local store, whether it is whole, and bringing or removing it.

Belongs here: arguments, printing, exit codes. Does not: doing the work (slipway.artifacts).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from slipway.commands import options, stored_weights
from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.artifacts.garbage import Fate
    from slipway.artifacts.weights.collection import Collected
    from slipway.artifacts.weights.inventory import Stored
    from slipway.artifacts.weights.manifest import Manifest
    from slipway.catalog import Adapter, Catalog, Model
    from slipway.objectstore import ObjectStore

T = TypeVar("T")

_UNREADABLE = "manifest unreadable"


@click.group()
def weights() -> None:
    """Weights in the local store: list, pull, verify, collect garbage."""


@weights.command("list")
@options.CATALOG
@options.JSON
def weights_list(catalog: Path | None, as_json: bool) -> None:
    """List what is published or half pulled, and who names it."""
    from slipway.artifacts.weights.collection import collect

    store, known = _store(), options.load(catalog).catalog
    collected = collect(store, known, apply=False, log=_say)
    arrived = stored_weights.arrived(store)
    artifacts = {each.name: kind for kind, each in _artifacts(known)}
    every = sorted(collected.fates, key=lambda fate: (fate.stored.name, fate.stored.commit))
    sources = {fate.stored.prefix: _source(store, fate.stored.prefix) for fate in every}
    rows = [{**_row(fate), "source": sources[fate.stored.prefix]} for fate in every]
    for row in rows:
        row["arriving_bytes"] = arrived.get(row["prefix"], 0)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        sys.exit(int(_UNREADABLE in sources.values()))
    for row in rows:
        click.echo(stored_weights.line(row, artifacts.get(row["name"])))
    total = sum(row["bytes"] + row["arriving_bytes"] for row in rows)
    click.echo(f"{len(rows)} in the store, {total / 1e6:.1f} MB")
    sys.exit(int(_UNREADABLE in sources.values()))


def _artifacts(catalog: Catalog) -> list[tuple[str, Model | Adapter]]:
    """Models and adapters, whose names never meet."""
    return [*(("Model", each) for each in catalog.models), *(("Adapter", each) for each in catalog.adapters)]


@weights.command("pull")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every model that is hosted locally, and every adapter.")
@click.option("--repair", is_flag=True, help="Read back what is published, and fetch again what is wrong.")
@options.CATALOG
def weights_pull(name: str | None, every: bool, repair: bool, catalog: Path | None) -> None:
    """Bring a model or an adapter of the catalog into the store; goes on where an interrupted pull ended."""
    _check_choice(name, every)
    known = options.load(catalog).catalog
    artifacts = {each.name: each for _, each in _artifacts(known)}
    if every:
        chosen = [each for each in artifacts.values() if getattr(each, "host_locally", True)]
    else:
        chosen = [_known(artifacts, _one(name), "the catalog")]
    try:
        failed = [each.name for each in chosen if not _pulled(each, known, repair)]
    except KeyboardInterrupt:
        click.echo("\ninterrupted. What has arrived is kept: run the same again, and it goes on.", err=True)
        sys.exit(options.INTERRUPTED)
    if failed:
        raise RuntimeError(f"not pulled: {', '.join(failed)}. The causes are above.")


@weights.command("verify")
@click.argument("name", required=False)
@click.option("--commit", default="", help="Only this commit; its first digits suffice.")
@click.option("--sampled", is_flag=True, help="Every size, and the bytes of some files, not of all.")
@click.option("--all", "every", is_flag=True, help="Everything that is published.")
def weights_verify(name: str | None, commit: str, sampled: bool, every: bool) -> None:
    """Read published weights back from the store and compare them. Exits 1 when a file differs."""
    from slipway.artifacts.weights import inventory

    _check_choice(name, every)
    if every and commit:
        raise click.UsageError("--commit is of one NAME. Leave out --commit or --all")
    store = _store()
    published = [each for each in inventory.read(store).stored if each.published_at is not None]
    if not every:
        wanted = _one(name)
        _known({each.name: each for each in published}, wanted, "the store")
        published = [each for each in published if each.name == wanted and each.commit.startswith(commit)]
        if not published:
            raise LookupError(
                f"{wanted}: no published commit begins with {commit}. See `slipway weights list`."
            )
    whole = [_verified(store, each.name, each.commit, sampled) for each in published]
    sys.exit(0 if all(whole) else 1)


@weights.command("gc")
@click.option("--apply", is_flag=True, help="Remove it. Without this, only say what would go.")
@options.CATALOG
@options.JSON
def weights_gc(apply: bool, catalog: Path | None, as_json: bool) -> None:
    """Say what nobody names any more and, with --apply, remove it after its time of grace."""
    from slipway.artifacts.weights.collection import collect

    collected = collect(_store(), options.load(catalog).catalog, apply=apply, log=_say)
    if as_json:
        click.echo(json.dumps(_document(collected), indent=1))
        return
    for word, fates in (
        ("removed" if apply else "would remove", collected.removed),
        ("waits", collected.waiting),
        ("kept", collected.kept),
    ):
        for fate in fates:
            due = f"; goes after {fate.due_at:%F %T} UTC" if word == "waits" and fate.due_at else ""
            size = f"{fate.stored.size_bytes / 1e6:.1f} MB"
            click.echo(f"{word}  {fate.stored.prefix}  {size}: {fate.reason}{due}")
    for left in collected.unfinished:
        click.echo(f"left for the next run  {left.prefix}")
    click.echo(_summary(collected))


def _summary(collected: Collected) -> str:
    count, size = len(collected.removed), f"{collected.removed_bytes / 1e6:.1f} MB"
    stays = (
        f"{len(collected.waiting)} wait, {len(collected.kept)} are kept ({collected.kept_bytes / 1e6:.1f} MB)"
    )
    if collected.applied:
        done = f"{count} removed ({size}), {collected.aborted_uploads} uploads aborted, {stays}"
        if not collected.stays:
            return done
        return f"{done}. Of what was removed, {collected.stays[0]}"
    return f"{count} would be removed ({size}), {stays}. Nothing was changed: --apply removes."


def _pulled(artifact: Model | Adapter, catalog: Catalog, repair: bool) -> bool:
    """Pull one and say what became of it; False when it failed for a reason that was told."""
    from slipway.artifacts.errors import ArtifactError
    from slipway.artifacts.sources.by_scheme import Sources
    from slipway.artifacts.transfer.watch import TransferSettings
    from slipway.artifacts.weights.pull import WeightsRequest, pull
    from slipway.commands.bars import shown
    from slipway.objectstore import ObjectStoreError

    environment = Environment.load()
    try:
        sources = Sources.of(environment, catalog.settings, _say)
        settings = TransferSettings.of(environment.variables)
        with shown(artifact.name) as report:
            request = WeightsRequest.of(artifact)
            manifest = pull(request, _store(), sources, report, settings, note=_say, repair=repair)
    except (ArtifactError, ObjectStoreError) as error:
        click.echo(f"{artifact.name}: {error}", err=True)
        return False
    click.echo(f"{_titled(manifest)} at {manifest.prefix}")
    return True


def _verified(store: ObjectStore, name: str, commit: str, sampled: bool) -> bool:
    """Verify one commit and print a line for each file that differs."""
    from slipway.artifacts.errors import CorruptFileError
    from slipway.artifacts.weights.manifest import Manifest
    from slipway.artifacts.weights.verification import verify
    from slipway.commands.bars import shown

    try:
        manifest = Manifest.read(store, name, commit)
    except CorruptFileError as error:
        click.echo(str(error))
        return False
    if manifest is None:
        return True  # removed since it was listed
    with shown(f"{name} {commit[:8]}") as report:
        wrong = verify(manifest, store, report, "sampled" if sampled else "full")
    for file in wrong:
        click.echo(f"{manifest.prefix}{file.path}: {file.problem}")
    verdict = f"{len(wrong)} problems" if wrong else "sample as published" if sampled else "as published"
    click.echo(f"{_titled(manifest)}: {verdict}")
    if wrong:
        click.echo(f"To fetch again what is wrong: slipway weights pull {name} --repair")
    return not wrong


def _titled(manifest: Manifest) -> str:
    size = f"{manifest.size_bytes / 1e6:.1f} MB"
    return f"{manifest.name} {manifest.commit[:8]} ({len(manifest.files)} files, {size})"


def _document(collected: Collected) -> dict[str, Any]:
    return {
        "applied": collected.applied,
        "removed": [_row(each) for each in collected.removed],
        "waiting": [_row(each) for each in collected.waiting],
        "kept": [_row(each) for each in collected.kept],
        "unfinished": [each.prefix for each in collected.unfinished],
        "removed_bytes": collected.removed_bytes,
        "kept_bytes": collected.kept_bytes,
        "aborted_uploads": collected.aborted_uploads,
    }


def _row(fate: Fate[Stored]) -> dict[str, Any]:
    stored = fate.stored
    return {
        "name": stored.name,
        "commit": stored.commit,
        "prefix": stored.prefix,
        "files": stored.files,
        "bytes": stored.size_bytes,
        "published_at": stored.published_at.isoformat() if stored.published_at else None,
        "named_by": list(fate.named_by),
        "reason": fate.reason,
        "due_at": fate.due_at.isoformat() if fate.due_at else None,
    }


def _source(store: ObjectStore, key_prefix: str) -> str:
    """What the manifest says; one that cannot be read is told, and hides nothing else."""
    from slipway.artifacts.errors import CorruptFileError
    from slipway.artifacts.weights.manifest import Manifest

    try:
        manifest = Manifest.read_prefix(store, key_prefix)
    except CorruptFileError as error:
        _say(str(error))
        return _UNREADABLE
    return manifest.source if manifest else "no manifest"


def _check_choice(name: str | None, every: bool) -> None:
    if name is not None and every:
        raise click.UsageError(f"both NAME ({name}) and --all are given. Leave out one of them")


def _one(name: str | None) -> str:
    if name is None:
        raise click.UsageError("give one NAME, or --all")
    return name


def _known(known: Mapping[str, T], name: str, where: str) -> T:
    if name not in known:
        names = ", ".join(sorted(known)) or "nothing"
        raise LookupError(f"{name}: not in {where}, which has {names}.")
    return known[name]


def _store() -> ObjectStore:
    from slipway.objectstore import ObjectStore

    return ObjectStore(Environment.load().s3)


def _say(line: str) -> None:
    click.echo(line, err=True)
