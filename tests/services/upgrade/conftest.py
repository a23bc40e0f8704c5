"""What the version before left, loaded for one test: objects on the running S3, a home in a directory."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.objectstore import ObjectStore
from testbed import stores

from .fake_ray import FakeRay

STATE = Path(__file__).parent / "version_0"
CATALOG = STATE / "catalog"


@pytest.fixture(scope="session")
def said() -> dict[str, Any]:
    """What the version before said of its own state."""
    answers: dict[str, Any] = json.loads((STATE / "said.json").read_text())
    return answers


@pytest.fixture
def old_store(store: ObjectStore) -> ObjectStore:
    """The version before's objects, in a bucket of the test's own."""
    for path in sorted((STATE / "objects").rglob("*")):
        if path.is_file():
            store.put(path.relative_to(STATE / "objects").as_posix(), path.read_bytes())
    return store


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    """The version before's `.slipway/`, but for its object store."""
    with tarfile.open(STATE / "home.tar.xz") as archive:
        archive.extractall(tmp_path / "home", filter="data")
    return tmp_path / "home"


@pytest.fixture
def variables(
    old_store: ObjectStore, old_home: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The environment of a process that opens it; Ray serves what the version before applied."""
    location = old_store.location
    with FakeRay(said["applications"]) as ray:
        given = {
            "SLIPWAY_HOME": str(old_home),
            "SLIPWAY_CATALOG": str(CATALOG),
            **stores.variables(location),
            "SLIPWAY_RAY_DASHBOARD_URL": ray.url,
            "SLIPWAY_RAY_SERVE_URL": ray.url,
            "SLIPWAY_GATEWAY_URLS": "",
            "SLIPWAY_TENANTS_DB": f"sqlite:///{old_home / 'tenants.db'}",
            "SLIPWAY_WAREHOUSE": str(old_home / "warehouse"),
            "SLIPWAY_NODE_CACHE": str(old_home / "node-cache"),
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield given
