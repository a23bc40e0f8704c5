"""A model of the stand-in NGC: its versions over files that lie on disk.

Belongs here: what a version is, and how it and its files are described.
Does not: serving them (api.py).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.stack.standin_hub.repository import HubFile, describe


@dataclass
class NgcVersion:
    """One version. `digest_field`: the listing's field for digests; None lists none."""

    files: Mapping[str, HubFile]
    status: str = "UPLOAD_COMPLETE"
    digest_field: str | None = "sha256_base64"

    @classmethod
    def of_directory(cls, directory: Path) -> NgcVersion:
        """A version that holds every regular file under the directory."""
        found = sorted(path for path in directory.rglob("*") if path.is_file())
        paths = {path.relative_to(directory).as_posix(): path for path in found}
        return cls({path: describe(location, path) for path, location in paths.items()})

    def listed(self) -> list[dict[str, object]]:
        """The entries of the listing."""
        return [self._entry(path, file) for path, file in sorted(self.files.items())]

    def _entry(self, path: str, file: HubFile) -> dict[str, object]:
        entry: dict[str, object] = {
            "path": path,
            "sizeInBytes": file.size_bytes,
            "createdDate": "2026-01-01T00:00:00Z",
        }
        if self.digest_field:
            entry[self.digest_field] = base64.b64encode(bytes.fromhex(file.sha256)).decode()
        return entry


@dataclass
class NgcModel:
    """A model of an org, or of a team within it. Guests see and read the public ones."""

    org: str
    name: str
    team: str | None = None
    public: bool = False
    licence: str | None = None
    versions: dict[str, NgcVersion] = field(default_factory=dict)
    latest: str | None = None

    @property
    def described(self) -> dict[str, object]:
        """The model as every answer about it repeats it."""
        return {
            "name": self.name,
            "orgName": self.org,
            "teamName": self.team,
            "latestVersionIdStr": self.latest,
            "licenseTerms": [{"licenseId": self.licence}] if self.licence else [],
        }
