"""The tenants' database on both kinds that it may be of; every test runs on each."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.tenants import TenantsDatabase
from testbed.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the two."""
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'tenants.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """By kind, a migrated database with acme and its user ann, and evil and its user eve; to copy."""
    made: dict[str, str] = {}

    def of(kind: str) -> str:
        if kind not in made:
            directory = tmp_path_factory.mktemp("template")
            server: PostgresServer | None = (
                request.getfixturevalue("postgres") if kind == "postgresql" else None
            )
            url = server.new_database() if server else f"sqlite:///{directory / 'tenants.db'}"
            database = TenantsDatabase(url)
            database.migrate()
            database.sync_orgs(["acme", "evil"])
            database.add_user("acme", "ann")
            database.add_user("evil", "eve")
            database.close()
            made[kind] = url
        return made[kind]

    return of


@pytest.fixture
def database(
    kind: str, template: Callable[[str], str], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[TenantsDatabase]:
    """A migrated database with acme and its user ann, and evil and its user eve."""
    ready = template(kind)
    if kind == "sqlite":
        shutil.copy(ready.removeprefix("sqlite:///"), tmp_path / "tenants.db")
        database = TenantsDatabase(f"sqlite:///{tmp_path / 'tenants.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        database = TenantsDatabase(server.new_database(like=ready))
    yield database
    database.close()
