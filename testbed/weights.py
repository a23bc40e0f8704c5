"""Published weights, as a pull leaves them in a store.

Belongs here: files and their manifest under one commit.
Does not: stores (stores.py), how weights are pulled (slipway.artifacts).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.objectstore import ObjectStore

COMMIT = "1" * 40


def publish(
    store: ObjectStore,
    name: str,
    files: Mapping[str, bytes],
    *,
    source: str = "file:///test",
    commit: str = COMMIT,
) -> Manifest:
    """Put files and their manifest there."""
    described = tuple(
        ManifestFile(path=path, size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
        for path, body in files.items()
    )
    now = datetime.now(UTC)
    manifest = Manifest(name=name, source=source, commit=commit, created_at=now, files=described)
    for path, body in files.items():
        store.put(manifest.prefix + path, body)
    manifest.publish(store)
    return manifest


def publish_file(store: ObjectStore, name: str, path: Path) -> Manifest:
    """Weights of one file."""
    return publish(store, name, {path.name: path.read_bytes()})
