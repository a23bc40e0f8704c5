"""`slipway image ...`: engine images in the local registry, mirroring them, and removing what nothing names.

Belongs here: arguments, printing, exit codes. Does not: doing the work (slipway.artifacts.images).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.commands import options
from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.artifacts.images.mirror import ImageRequest
    from slipway.artifacts.images.record import ImageRecord
    from slipway.artifacts.images.registries import Registries
    from slipway.catalog import Catalog
    from slipway.objectstore import ObjectStore


@click.group()
def image() -> None:
    """Engine images in the local registry: mirror, list, see what moved, collect garbage."""


@image.command("mirror")
@click.argument("name", required=False)
@click.option("--accelerator", help="Only this one; otherwise all that the engine has images for.")
@click.option("--all", "every", is_flag=True, help="Every engine that has images.")
@options.CATALOG
def image_mirror(name: str | None, accelerator: str | None, every: bool, catalog: Path | None) -> None:
    """Bring the images of an engine NAME to the local registry; moves only what is missing there."""
    if (name is None) != every:
        raise click.UsageError("give one NAME, or --all")
    known = options.load(catalog).catalog
    chosen = list(_requests(known, name, accelerator))
    failed = [request.engine for request in chosen if not _mirrored(request, known)]
    if failed:
        raise RuntimeError(f"not mirrored: {', '.join(dict.fromkeys(failed))}. The causes are above.")


@image.command("list")
def image_list() -> None:
    """List what was mirrored, the last first."""
    from slipway.artifacts.images.record import ImageRecords

    records = ImageRecords(_store()).all()
    for record in records:
        tag = f":{record.tag}" if record.tag else ""
        platforms = ", ".join(record.platforms) or "no platform named"
        click.echo(
            f"{record.engine} ({record.accelerator})  {record.source}{tag}  {record.digest}  {platforms}  "
            f"{record.size_bytes / 1e6:.1f} MB  mirrored {record.resolved_at:%F %T} UTC  "
            f"at {record.reference}"
        )
    click.echo(f"{len(records)} mirrored")


@image.command("moved")
@options.CATALOG
def image_moved(catalog: Path | None) -> None:
    """Say which tags of the catalog are no longer what was mirrored. Exits 3 when one is not.

    Exits 1 when a registry could not be asked; the others are asked all the same.
    """
    from slipway.artifacts.errors import ArtifactError
    from slipway.artifacts.images.mirror import moved
    from slipway.artifacts.images.record import ImageRecords

    known = options.load(catalog).catalog
    registries, records = _registries(known), ImageRecords(_store())
    count, failed = 0, False
    for request in _requests(known, None, None):
        record = records.latest(request.engine, request.accelerator, str(request.repository), request.tag)
        if record is None and request.tag is not None and request.digest is None:
            click.echo(f"{request.engine} ({request.accelerator}): {request.tag} was never mirrored")
            count += 1
            continue
        try:
            move = moved(request, record, registries) if record else None
        except ArtifactError as error:
            click.echo(f"{request.engine} ({request.accelerator}): {error}", err=True)
            failed = True
            continue
        if move is not None:
            click.echo(f"{move.engine} ({move.accelerator}): {move.tag} was {move.mirrored}, is {move.now}")
            count += 1
    click.echo(f"{count} moved or never mirrored" if count else "nothing moved")
    sys.exit(options.FAILED if failed else options.DIFFERENT if count else 0)


@image.command("gc")
@click.option("--apply", is_flag=True, help="Remove it. Without this, only say what would go.")
@options.CATALOG
def image_gc(apply: bool, catalog: Path | None) -> None:
    """Say which mirrored images nothing names any more and, with --apply, remove them."""
    from slipway.artifacts.images.collection import collect

    known = options.load(catalog).catalog
    collected = collect(known, _store(), _registries(known), apply=apply)
    for word, fates in (
        ("removed" if apply else "would remove", collected.removed),
        ("waits", collected.waiting),
        ("kept", collected.kept),
    ):
        for fate in fates:
            due = f"; goes after {fate.due_at:%F %T} UTC" if word == "waits" and fate.due_at else ""
            click.echo(f"{word}  {_named(fate.stored)}: {fate.reason}{due}")
    for left in collected.unfinished:
        click.echo(f"left  {_named(left)}: mirrored again meanwhile")
    for registry in sorted({record.registry for record in collected.elsewhere}):
        count = sum(record.registry == registry for record in collected.elsewhere)
        click.echo(f"left  {count} in {registry}, which SLIPWAY_REGISTRY does not name")
    if not apply:
        click.echo(f"{len(collected.removed)} would be removed. Nothing was changed: --apply removes.")
        return
    click.echo(
        f"{len(collected.removed)} removed. Run the registry's own garbage collection to free their space."
    )


def _named(record: ImageRecord) -> str:
    return f"{record.engine} ({record.accelerator})  {record.source}@{record.digest}"


def _requests(catalog: Catalog, name: str | None, accelerator: str | None) -> Iterator[ImageRequest]:
    """The images that the catalog's engines have, of one engine or accelerator where these are given."""
    from slipway.artifacts.images.mirror import ImageRequest

    engines = {engine.name: engine for engine in catalog.engines if engine.images}
    if name is not None and name not in engines:
        known = ", ".join(sorted(engines)) or "none"
        raise LookupError(f"{name}: no engine of the catalog with images; it has {known}.")
    for engine in engines.values() if name is None else [engines[name]]:
        wanted = [offered for offered in engine.images if accelerator in {None, offered}]
        if name is not None and not wanted:
            raise LookupError(f"{name} has no image for {accelerator}; it has {', '.join(engine.images)}.")
        for offered in wanted:
            yield ImageRequest.of(engine, offered)


def _mirrored(request: ImageRequest, catalog: Catalog) -> bool:
    """Mirror one and say what became of it; False when it failed for a reason that was told."""
    from slipway.artifacts.errors import ArtifactError
    from slipway.artifacts.images.mirror import mirror
    from slipway.commands.bars import shown
    from slipway.objectstore import ObjectStoreError

    title = f"{request.engine} ({request.accelerator})"
    try:
        with shown(title) as report:
            mirrored = mirror(request, _store(), _registries(catalog), report)
    except (ArtifactError, ObjectStoreError) as error:
        click.echo(f"{title}: {error}", err=True)
        return False
    record = mirrored.record
    click.echo(
        f"{title}: {record.digest} at {record.reference} ({len(record.blobs)} blobs, "
        f"{record.size_bytes / 1e6:.1f} MB, {mirrored.moved_bytes / 1e6:.1f} MB moved in "
        f"{mirrored.seconds:.1f} s)"
    )
    for why in mirrored.left_out:
        click.echo(f"{title}: warning: {why}", err=True)
    return True


def _registries(catalog: Catalog) -> Registries:
    from slipway.artifacts.images.registries import Registries

    return Registries(Environment.load(), catalog.settings)


def _store() -> ObjectStore:
    from slipway.objectstore import ObjectStore

    return ObjectStore(Environment.load().s3)
