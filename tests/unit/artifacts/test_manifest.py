import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from slipway.artifacts.weights.manifest import Manifest, ManifestFile

COMMIT = "a" * 40


def manifest(path: str = "model.gguf") -> Manifest:
    return Manifest(
        name="tiny",
        source=f"hf://org/tiny@{COMMIT}",
        commit=COMMIT,
        licence="apache-2.0",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        include=("*.gguf",),
        files=(ManifestFile(path=path, size_bytes=3, sha256="b" * 64),),
    )


def test_a_manifest_is_written_by_the_contract_and_read_back_the_same() -> None:
    written = manifest().encode()
    assert json.loads(written) == {
        "schema": 1,
        "name": "tiny",
        "source": f"hf://org/tiny@{COMMIT}",
        "commit": COMMIT,
        "licence": "apache-2.0",
        "created_at": "2026-01-02T00:00:00Z",
        "include": ["*.gguf"],
        "exclude": [],
        "files": [{"path": "model.gguf", "size_bytes": 3, "sha256": "b" * 64}],
    }
    assert Manifest.model_validate_json(written) == manifest()
    assert manifest().prefix == f"weights/tiny/{COMMIT}/"
    assert manifest().size_bytes == 3


def test_a_manifest_of_a_newer_schema_is_refused() -> None:
    newer = json.loads(manifest().encode()) | {"schema": 2}
    with pytest.raises(ValidationError, match="schema"):
        Manifest.model_validate(newer)


def test_a_manifest_cannot_lead_out_of_its_prefix() -> None:
    with pytest.raises(ValidationError, match="leaves its folder"):
        manifest("../../secrets")
