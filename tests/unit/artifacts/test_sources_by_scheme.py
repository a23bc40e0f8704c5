from pathlib import Path

import pytest

from slipway.artifacts.errors import SourceError
from slipway.artifacts.sources.by_scheme import Sources
from slipway.catalog.documents import Settings
from slipway.environment import Environment


def sources() -> Sources:
    return Sources.of(Environment({}, Path("unused")), Settings(name="settings"))


def test_a_location_is_resolved_by_the_source_of_its_scheme(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    snapshot = sources().resolve(f"file://{tmp_path}", None, None)
    assert [(each.path, each.size_bytes) for each in snapshot.files()] == [("model.gguf", 4)]


def test_a_scheme_without_a_source_names_those_that_there_are() -> None:
    with pytest.raises(
        SourceError, match=r"ftp://host/x: no source for ftp://\. Use one of hf://, ngc://, s3://"
    ):
        sources().resolve("ftp://host/x", None, None)
