"""What is known of a model's weights without asking any server: for the fit check of `slipway check`.

Belongs here: sizes and config.json of a source on this disk, and what an earlier `slipway plan` read from the
store and kept under home. Does not: judging (slipway.control.fit.arithmetic), pulling (slipway.artifacts).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.artifacts.weights.paths import matches
from slipway.catalog.documents import Model
from slipway.catalog.fields import is_pinned, split_revision
from slipway.catalog.resolved import digest_of

if TYPE_CHECKING:
    from slipway.objectstore import ObjectStore

CONFIG = "config.json"
_FILE = "file://"


@dataclass(frozen=True)
class KnownWeights:
    """Bytes of the files that an engine loads, and the model's config.json."""

    weights_bytes: int
    config: Mapping[str, Any]


def loaded_bytes(sizes: Iterable[tuple[str, int]]) -> int:
    """Of the files of a repository, what vLLM loads: safetensors, else PyTorch's; never both, no subfolders.

    Where a repository has the same weights twice, under other names, the `model*` files are those counted.
    """
    root = [(path, size) for path, size in sizes if "/" not in path]
    for prefix, suffix in (("model", ".safetensors"), ("", ".safetensors"), ("", ".bin")):
        weights_bytes = sum(size for path, size in root if path.startswith(prefix) and path.endswith(suffix))
        if weights_bytes:
            return weights_bytes
    return 0


def offline(model: Model, home: Path) -> KnownWeights | None:
    """What this disk says of a model; None when it says nothing."""
    if model.source.startswith(_FILE):
        location = split_revision(model.source)[0]
        return _of_directory(Path(location.removeprefix(_FILE)), model)
    try:
        kept = json.loads(_place(home, model).read_text())
        return KnownWeights(int(kept["weights_bytes"]), dict(kept["config"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_store(store: ObjectStore, name: str, commit: str) -> KnownWeights | None:
    """What published weights say; None before they are published. Raises ObjectStoreError."""
    from slipway.artifacts.weights.manifest import Manifest

    manifest = Manifest.read(store, name, commit)
    body = store.get(f"{manifest.prefix}{CONFIG}") if manifest is not None else None
    if manifest is None or body is None:
        return None
    return _known(((each.path, each.size_bytes) for each in manifest.files), body)


def keep(home: Path, model: Model, known: KnownWeights) -> None:
    """Keep what was read of a pinned source, which never changes; of a moving one nothing is kept."""
    if not is_pinned(model.source):
        return
    place = _place(home, model)
    new = place.with_suffix(".new")
    with suppress(OSError):  # a home that cannot be written to is no reason not to plan
        place.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"weights_bytes": known.weights_bytes, "config": dict(known.config)}))
        new.replace(place)


def _of_directory(path: Path, model: Model) -> KnownWeights | None:
    """The files that a pull would take."""
    try:
        sizes = [
            (file.name, file.stat().st_size)
            for file in path.iterdir()
            if (not model.include or matches(file.name, model.include))
            and not matches(file.name, model.exclude)
        ]
        return _known(sizes, (path / CONFIG).read_bytes())
    except OSError:
        return None


def _known(sizes: Iterable[tuple[str, int]], config: bytes) -> KnownWeights | None:
    try:
        parsed = json.loads(config)
    except ValueError:
        return None
    return KnownWeights(loaded_bytes(sizes), parsed) if isinstance(parsed, dict) else None


def _place(home: Path, model: Model) -> Path:
    """By the source and what is taken of it."""
    identity = [model.source, model.include, model.exclude]
    return home / "known-weights" / f"{digest_of(identity)[:32]}.json"
