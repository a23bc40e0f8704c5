"""The marker beside an entry of the node cache: which manifest verified it, and how its files looked then.

Belongs here: the marker's content, and finding files that changed since.
Does not: deciding what follows from it (cache.py).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.artifacts.weights.manifest import Manifest, ManifestFile


class Marker(BaseModel):
    """Written when all files were verified; `mtimes_ns` are their modification times at that moment."""

    model_config = ConfigDict(frozen=True)

    manifest: Manifest
    mtimes_ns: dict[str, int]

    @classmethod
    def of(cls, manifest: Manifest, files: Path) -> Marker:
        """The marker of files that were just verified."""
        return cls(
            manifest=manifest,
            mtimes_ns={file.path: (files / file.path).stat().st_mtime_ns for file in manifest.files},
        )

    @classmethod
    def read(cls, path: Path) -> Marker | None:
        """The marker at this path; None when there is none, or none that can be read."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, path: Path) -> None:
        """Write the marker so that it is there whole or not at all."""
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as target:
            target.write(self.model_dump_json(by_alias=True).encode())
            target.flush()
            os.fsync(target.fileno())
        part.replace(path)

    def changed(self, files: Path) -> list[ManifestFile] | None:
        """Files touched since they were verified; None when one is missing, no file, or of another size."""
        touched = []
        for file in self.manifest.files:
            try:
                status = (files / file.path).lstat()
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(status.st_mode) or status.st_size != file.size_bytes:
                return None
            if status.st_mtime_ns != self.mtimes_ns.get(file.path):
                touched.append(file)
        return touched
