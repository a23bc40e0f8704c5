"""Where one embedded stack keeps what on disk.

Belongs here: paths, all of them functions of the home directory. Does not: creating or reading them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The files and directories of the stack whose home this is."""

    home: Path

    @classmethod
    def of(cls, home: Path) -> Layout:
        """Layout of a home given in any form; symbolic links are followed, so that one home has one name."""
        return cls(home.expanduser().resolve())

    @property
    def state_file(self) -> Path:
        """Ports and main processes, as JSON."""
        return self.home / "stack.json"

    @property
    def env_file(self) -> Path:
        """The `SLIPWAY_*` environment of the stack; holds secrets, so mode 0600."""
        return self.home / "stack.env"

    @property
    def lock_file(self) -> Path:
        """Held by the one `up` or `down` at work."""
        return self.home / "stack.lock"

    def log(self, service: str) -> Path:
        """Standard output and error of a service."""
        return self.home / "log" / f"{service}.log"

    @property
    def s3_data(self) -> Path:
        """The object store's volumes."""
        return self.home / "s3"

    @property
    def s3_logs(self) -> Path:
        """The object store's own log files."""
        return self.home / "log" / "weed"

    @property
    def hub_cache(self) -> Path:
        """Files that the stand-in hub makes once."""
        return self.home / "hub"

    @property
    def dagster_home(self) -> Path:
        """`DAGSTER_HOME`: SQLite storage, run and compute logs."""
        return self.home / "dagster"

    @property
    def spool(self) -> Path:
        """The gateway's write-ahead spool of usage events."""
        return self.home / "gateway" / "spool"

    @property
    def node_cache(self) -> Path:
        """Verified copies of weights on this node."""
        return self.home / "node-cache"

    @property
    def warehouse(self) -> Path:
        """The live DuckDB file and its published copy."""
        return self.home / "warehouse"

    @property
    def tenants_db(self) -> Path:
        """The tenants' SQLite database."""
        return self.home / "tenants.db"

    @property
    def ray_dir(self) -> Path:
        """Ray's sessions and sockets. Unix sockets allow some 100 characters, so it lies outside of home."""
        return Path("/tmp") / f"slipway-{hashlib.sha256(str(self.home).encode()).hexdigest()[:8]}"  # noqa: S108
