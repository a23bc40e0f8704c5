"""Bringing the files of one commit and publishing them, or repairing what is published of it.

Belongs here: what is delivered, and the manifest that makes it exist.
Does not: which commit and files those are (pull.py), bringing bytes (delivery.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slipway.artifacts.errors import ArtifactError, CorruptFileError
from slipway.artifacts.source import Snapshot, SourceFile
from slipway.artifacts.transfer.progress import Meter, Progress, Report
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights.claims import Claim
from slipway.artifacts.weights.delivery import Delivery
from slipway.artifacts.weights.manifest import Manifest, ManifestFile, prefix
from slipway.objectstore import ObjectStore


class OvertakenError(ArtifactError):
    """Another run published the same weights while ours was under way."""

    retriable = True


@dataclass(frozen=True)
class Shown:
    """What a manifest says of its weights beyond their files."""

    licence: str | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]


@dataclass(frozen=True)
class Publication:
    """One commit of one artifact on its way; `source` is its location with the commit, for people too."""

    name: str
    source: str
    snapshot: Snapshot
    store: ObjectStore
    claim: Claim
    progress: Report
    settings: TransferSettings = field(default_factory=TransferSettings)

    def publish(
        self, offered: tuple[SourceFile, ...], files: tuple[SourceFile, ...], shown: Shown
    ) -> Manifest:
        """Bring what is missing and create the manifest; returns the one that is there in the end.

        Raises ArtifactError or ObjectStoreError; then nothing was published by this call.
        """
        delivery = self._delivery(self._overtaken)
        digests, last_look = self._deliver(delivery, files)
        patterns = f"include={list(shown.include)} and exclude={list(shown.exclude)}"
        delivery.inspection.require(files, offered, self.source, patterns)
        manifest = Manifest(
            name=self.name,
            source=self.source,
            commit=self.snapshot.commit,
            licence=shown.licence or self.snapshot.licence,
            created_at=datetime.now(UTC),
            include=shown.include,
            exclude=shown.exclude,
            files=tuple(
                ManifestFile(path=file.path, size_bytes=file.size_bytes, sha256=digests[file.path])
                for file in files
            ),
        )
        self.claim.renew()
        first = manifest.publish(self.store)
        last_look()
        return manifest if first else self._published() or manifest

    def repair(self, published: Manifest, offered: Sequence[SourceFile], paths: frozenset[str]) -> None:
        """Read these published files back, and fetch again those that are missing or wrong.

        The manifest stays as it is: what comes must be what it says. Raises CorruptFileError where the
        source no longer has that, ArtifactError or ObjectStoreError.
        """
        published_sha256 = {file.path: file.sha256 for file in published.files if file.path in paths}
        files = tuple(file for file in offered if file.path in published_sha256)
        digests, last_look = self._deliver(self._delivery(_nothing), files)
        last_look()
        lost = sorted(path for path in published_sha256 if digests.get(path) != published_sha256[path])
        if lost:
            raise CorruptFileError(
                f"{published.prefix}{lost[0]}: its source has it no more as it was published"
                f"{f', nor {len(lost) - 1} others' if len(lost) > 1 else ''}. It cannot be repaired: pin "
                "another commit, or restore the object from a backup."
            )

    def _delivery(self, overtaken: Callable[[], None]) -> Delivery:
        key_prefix = prefix(self.name, self.snapshot.commit)
        return Delivery(self.snapshot, self.store, self.settings, self.source, key_prefix, overtaken)

    def _deliver(
        self, delivery: Delivery, files: tuple[SourceFile, ...]
    ) -> tuple[dict[str, str], Callable[[], None]]:
        """sha256 by path once all files are there, and what reports the end."""
        meter = Meter(sum(file.size_bytes for file in files), len(files))

        def look(now: Progress) -> None:
            self.progress(now)
            self.claim.renew()

        return delivery.run(files, meter, look), lambda: self.progress(meter.look())

    def _overtaken(self) -> None:
        if self._published() is not None:
            raise OvertakenError(f"{self.source}: published by another run. Run this again.")

    def _published(self) -> Manifest | None:
        return Manifest.read(self.store, self.name, self.snapshot.commit)


def _nothing() -> None:
    """What is published already cannot be published by another."""
