"""Whether published weights are still what their manifest says.

Belongs here: reading them back, in full or a drawn sample. Does not: repairing anything.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.progress import Meter, Report
from slipway.artifacts.transfer.stored import sha256_of
from slipway.artifacts.weights.inspection import Inspection
from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.artifacts.weights.paths import MANIFEST_NAME
from slipway.objectstore import ObjectStore

_READERS = 4
# Of all bytes, what a sampled check reads as whole files.
SAMPLED_SHARE = 0.1

How = Literal["full", "sampled"]


@dataclass(frozen=True)
class Mismatch:
    """A published file that is not what its manifest says."""

    path: str
    problem: str


def verify(
    manifest: Manifest,
    store: ObjectStore,
    progress: Report,
    how: How = "full",
    *,
    seed: int = 0,
) -> list[Mismatch]:
    """Compare what the store holds with the manifest; an empty list means that all is well.

    All sizes, and objects that the manifest does not name. `full` reads every file back for its sha256;
    `sampled` reads the beginnings of all weights, and whole files drawn by `seed` until they are a tenth
    of all bytes. Raises ObjectStoreError when the store cannot be read.
    """
    stored = {item.key.removeprefix(manifest.prefix): item.size_bytes for item in store.list(manifest.prefix)}
    mismatches = listed_wrong(manifest, stored)
    whole = [file for file in manifest.files if stored.get(file.path) == file.size_bytes]
    drawn = whole if how == "full" else draw(whole, SAMPLED_SHARE, seed)
    meter = Meter(sum(file.size_bytes for file in drawn), len(drawn))
    inspection = Inspection(store, manifest.prefix)

    def read(file: ManifestFile) -> None:
        count, sha256 = sha256_of(store, manifest.prefix + file.path, file.size_bytes, meter.moved)
        if (count, sha256) != (file.size_bytes, file.sha256):
            mismatches.append(Mismatch(file.path, f"sha256 {sha256}; the manifest says {file.sha256}"))
        meter.file_done()

    def look(file: ManifestFile) -> None:
        problem = inspection.problem_with(file.path, file.size_bytes)
        if problem:
            mismatches.append(Mismatch(file.path, problem))

    workers.each(drawn, read, workers=_READERS, tick=lambda: progress(meter.look()))
    # A file whose sha256 is right is what was inspected when it was published.
    unread = [file for file in whole if file not in drawn]
    workers.each(unread, look, workers=_READERS, tick=lambda: progress(meter.look()))
    progress(meter.look())
    return sorted(mismatches, key=lambda mismatch: mismatch.path)


def listed_wrong(manifest: Manifest, stored: Mapping[str, int]) -> list[Mismatch]:
    """What a listing alone shows; `stored` has sizes in bytes by path under the manifest's prefix."""
    mismatches = []
    for file in manifest.files:
        if stored.get(file.path) != file.size_bytes:
            size = f"{stored[file.path]} bytes" if file.path in stored else "missing"
            mismatches.append(Mismatch(file.path, f"{size}; the manifest says {file.size_bytes} bytes"))
    named = {file.path for file in manifest.files} | {MANIFEST_NAME}
    return mismatches + [Mismatch(path, "is not in the manifest") for path in sorted(stored.keys() - named)]


def draw(files: Sequence[ManifestFile], share: float, seed: int) -> list[ManifestFile]:
    """Files in the order of the seed, until they hold that share of all bytes; at least one if there is any.

    Another seed draws others, so a check that runs often comes to every file.
    """
    # Nothing depends on nobody foreseeing the draw.
    order = random.Random(seed).sample(list(files), len(files))  # noqa: S311
    enough = share * sum(file.size_bytes for file in files)
    drawn: list[ManifestFile] = []
    for file in order:
        if drawn and sum(file.size_bytes for file in drawn) >= enough:
            break
        drawn.append(file)
    return drawn
