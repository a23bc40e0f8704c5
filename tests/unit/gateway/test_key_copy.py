"""The keys on a replica's disk: what was written is read, and nothing else is taken."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.gateway.admission.key_copy import KeyCopy
from slipway.tenants.admin_keys import AdminKeyRecord
from slipway.tenants.keys import KeyRecord
from slipway.tenants.projects import RateLimitRecord

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
DATABASE = "postgresql://slipway:***@db/tenants"


def key(name: str, **fields: object) -> KeyRecord:
    given: dict[str, object] = {
        "id": name, "org": "acme", "user": "ann", "label": "ä", "sha256": name.encode().ljust(32, b"\0"),
        "prefix": "sk-slipway-ab", "created_at": AT, "revoked_at": None, "org_active": True, "project": "p",
        **fields,
    }  # fmt: skip
    return KeyRecord(**given)  # type: ignore[arg-type]


KEYS = (
    key("plain"),
    key("expires", expires_at=AT, deployments=frozenset({"b", "a"}), tasks=frozenset({"rerank"})),
    key("limited", project_limits={"chat": RateLimitRecord("chat", 5, None)}),
)
ADMIN_KEYS = (AdminKeyRecord("a", "acme", "ann", "x", b"\xff" * 32, "sk", AT, AT, None, True),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.cached"
    KeyCopy(path, "token", DATABASE).write(KEYS, ADMIN_KEYS)
    return path


def test_what_was_written_is_read(path: Path) -> None:
    read = KeyCopy(path, "token", DATABASE).read()
    assert read is not None
    assert (read.keys, read.admin_keys) == (KEYS, ADMIN_KEYS)
    assert (datetime.now(UTC) - read.written_at).total_seconds() < 60
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_of_another_database_or_token_is_not_taken(path: Path) -> None:
    assert KeyCopy(path, "token", "sqlite:///other.db").read() is None
    assert KeyCopy(path, "other", DATABASE).read() is None


@pytest.mark.parametrize("kept", [0, 1, 64, 65, 200, -1])
def test_a_torn_one_is_not_taken(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    assert KeyCopy(path, "token", DATABASE).read() is None


def test_one_in_which_a_key_was_added_is_not_taken(path: Path) -> None:
    seal, head, first, *rest = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join((seal, head, first, first, *rest)))
    assert KeyCopy(path, "token", DATABASE).read() is None


def test_without_one_or_with_a_directory_in_its_place_there_are_none(tmp_path: Path) -> None:
    copy = KeyCopy(tmp_path / "keys.cached", "token", DATABASE)
    assert copy.read() is None
    (tmp_path / "keys.cached").mkdir()
    copy.write(KEYS, ADMIN_KEYS)
    assert copy.read() is None
