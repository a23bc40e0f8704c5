"""The keys as they were last read, on the replica's disk: for a start while the tenants' database is away.

Belongs here: the file, what is in it, when it is not taken. Does not: following the database (auth.py).

It holds what the database holds of usable keys: the SHA-256 of secrets, never a secret. A seal over the whole
(HMAC-SHA256 with the operator's token) keeps out what was torn, damaged or written by somebody else, and the
name of the database what is of another one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from slipway.gateway.telemetry import log
from slipway.tenants.admin_keys import AdminKeyRecord
from slipway.tenants.keys import KeyRecord
from slipway.tenants.projects import RateLimitRecord

_PURPOSE = b"slipway keys\0"
_FORMAT = 1
_SETS = ("deployments", "tasks")


@dataclass(frozen=True)
class CopiedKeys:
    """Usable keys and when they were written down."""

    keys: tuple[KeyRecord, ...]
    admin_keys: tuple[AdminKeyRecord, ...]
    written_at: datetime


class KeyCopy:
    """The copy at one path, of one database (by its name without a password)."""

    def __init__(self, path: Path, token: str, database: str) -> None:
        self._path = path
        self._key = token.encode()
        self._database = database

    def write(self, keys: Iterable[KeyRecord], admin_keys: Iterable[AdminKeyRecord]) -> None:
        """Replace the copy. Without room on the disk the gateway serves on; a restart has an older one."""
        head = {"format": _FORMAT, "database": self._database, "written_at": datetime.now(UTC)}
        # A line each: one call for all would keep the event loop from the interpreter for its whole length.
        lines = [orjson.dumps(head)]
        lines += [_line("key", key) for key in keys]
        lines += [_line("admin_key", key) for key in admin_keys]
        body = b"\n".join(lines)
        new = self._path.with_suffix(".new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(self._seal(body) + b"\n" + body)
            new.replace(self._path)
        except OSError as error:
            log.write("warning", "keys not copied to disk", path=str(self._path), error=str(error))

    def read(self) -> CopiedKeys | None:
        """The copy; None where there is none, or none that can be taken, which is logged."""
        try:
            seal, _, body = self._path.read_bytes().partition(b"\n")
            if not hmac.compare_digest(seal, self._seal(body)):
                raise ValueError("its seal is broken, or of another SLIPWAY_GATEWAY_TOKEN")
            head, *lines = body.split(b"\n")
            return self._parsed(orjson.loads(head), [orjson.loads(line) for line in lines])
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever is in its place, the gateway starts
            reason = log.reason_of(error, (ValueError, OSError))
            log.write("warning", "keys on disk ignored", path=str(self._path), error=reason)
            return None

    def _parsed(self, head: Any, lines: list[Any]) -> CopiedKeys:
        if head["format"] != _FORMAT:
            raise ValueError(f"its format is {head['format']}, and this version reads {_FORMAT}")
        if head["database"] != self._database:
            raise ValueError(f"it is of another database, {head['database']}")
        return CopiedKeys(
            tuple(KeyRecord(**_fields(line["key"])) for line in lines if "key" in line),
            tuple(AdminKeyRecord(**_fields(line["admin_key"])) for line in lines if "admin_key" in line),
            datetime.fromisoformat(head["written_at"]),
        )

    def _seal(self, body: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + body, hashlib.sha256).hexdigest().encode()


def _line(kind: str, key: KeyRecord | AdminKeyRecord) -> bytes:
    written = dict(vars(key))
    written["sha256"] = key.sha256.hex()
    for name in _SETS:
        if written.get(name) is not None:
            written[name] = sorted(written[name])
    if "project_limits" in written:
        written["project_limits"] = list(written["project_limits"].values())
    return orjson.dumps({kind: written})


def _fields(written: dict[str, Any]) -> dict[str, Any]:
    fields = dict(written)
    fields["sha256"] = bytes.fromhex(written["sha256"])
    for name, value in written.items():
        if name.endswith("_at") and value is not None:
            fields[name] = datetime.fromisoformat(value)
        elif name in _SETS and value is not None:
            fields[name] = frozenset(value)
    if "project_limits" in written:
        limits = [RateLimitRecord(**limit) for limit in written["project_limits"]]
        fields["project_limits"] = {limit.model: limit for limit in limits}
    return fields
