"""The manifest: what makes a prefix of the store into published weights.

Belongs here: its fields, its key, reading it, and publishing it once.
Does not: bringing the files (publishing.py), or checking them (verification.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.weights.paths import MANIFEST_NAME, problem_with
from slipway.catalog.fields import Name
from slipway.objectstore import ObjectStore

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ManifestFile(_Fields):
    """One published file; its key is the manifest's prefix and this path."""

    path: str
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _usable_path(self) -> Self:
        problem = problem_with(self.path)
        if problem:
            raise ValueError(f"path {self.path!r} {problem}")
        return self


class Manifest(_Fields):
    """Published weights of one commit. Never changes once it is written."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: Name
    source: str
    commit: Commit
    licence: str | None = None
    created_at: datetime
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[ManifestFile, ...]

    @property
    def prefix(self) -> str:
        """Key prefix of the files: `weights/<name>/<commit>/`."""
        return prefix(self.name, self.commit)

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.files)

    def encode(self) -> bytes:
        """The object that `publish` writes."""
        return self.model_dump_json(by_alias=True, indent=1).encode()

    def publish(self, store: ObjectStore) -> bool:
        """Write the manifest unless there is one; False when another was first."""
        return store.create(self.prefix + MANIFEST_NAME, self.encode())

    @classmethod
    def read(cls, store: ObjectStore, name: str, commit: str) -> Manifest | None:
        """The manifest of a commit, or None when it is not published.

        Raises CorruptFileError when it is not a manifest, ObjectStoreError when the store fails.
        """
        return cls.read_prefix(store, prefix(name, commit))

    @classmethod
    def read_prefix(cls, store: ObjectStore, key_prefix: str) -> Manifest | None:
        """The manifest under a prefix that ends with `/`, or None."""
        key = key_prefix + MANIFEST_NAME
        body = store.get(key)
        if body is None:
            return None
        try:
            manifest = cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"]) or "the document"
            raise CorruptFileError(
                f"{key} in bucket {store.location.bucket}: {where}: {first['msg']}. "
                "Remove this object, then pull the weights again."
            ) from error
        if manifest.prefix != key_prefix:
            raise CorruptFileError(
                f"{key} in bucket {store.location.bucket}: says that it is {manifest.prefix}. "
                "Remove this object, then pull the weights again."
            )
        return manifest


def prefix(name: str, commit: str) -> str:
    """Key prefix of the weights of that name at that commit."""
    return f"weights/{name}/{commit}/"
