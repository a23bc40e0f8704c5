"""Edits of the demo's copy of the catalog, as a person would make them in a text editor.

Belongs here: changing YAML text in place. Does not: noticing (the drift sensor).
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

PRICE = {"input": "0.12", "cached_input": "0.03", "output": "0.48"}


def copy_catalog(source: Path, target: Path) -> None:
    """A fresh copy of a catalog directory."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def set_args(directory: Path, deployment: str, old: str, new: str) -> None:
    """Replace one engine argument of a deployment."""
    path = directory / "deployments.yaml"
    head, mark, tail = path.read_text().partition(f"name: {deployment}\n")
    if not mark or old not in tail:
        raise ValueError(f"{path}: {deployment} has no argument {old} to edit. Restore the demo's catalog.")
    _write(path, head + mark + tail.replace(old, new, 1))


def new_price(directory: Path, effective_from: datetime) -> datetime:
    """Append a price to the standard book, in force from an instant (cut to whole seconds); returns that."""
    start = effective_from.astimezone(UTC).replace(microsecond=0)
    path = directory / "tenants.yaml"
    fields = ", ".join(f'{name}: "{value}"' for name, value in PRICE.items())
    line = f"    - {{effective_from: {start:%Y-%m-%dT%H:%M:%SZ}, {fields}}}\n"
    _write(path, path.read_text().rstrip("\n") + "\n" + line)
    return start


def _write(path: Path, text: str) -> None:
    """All at once: the sensor may read at any moment."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(text)
    fresh.replace(path)
