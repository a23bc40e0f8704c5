"""Where this process finds its servers and its secrets: the `SLIPWAY_*` environment.

Belongs here: reading the environment, with `<home>/stack.env` (written by `slipway up`) behind it.
Does not: what should be served (the catalog), or any connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STACK_ENV = "stack.env"
MOST_SHARDS = 64  # each is a file that whoever asks the warehouse opens


class MissingSettingError(LookupError):
    """A `SLIPWAY_*` variable that this step needs is not set."""

    def __init__(self, name: str, remedy: str = "or start the embedded stack with `slipway up`") -> None:
        super().__init__(f"{name} is not set. Set it, {remedy}.")


class WrongSettingError(ValueError):
    """A `SLIPWAY_*` variable has a value that it cannot have."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name} = {value}: is not {wanted}. Set it to one, or leave it out.")


@dataclass(frozen=True)
class S3Location:
    """One bucket of one S3-compatible store. `ca_file`: PEM file of authorities; None: the system's."""

    endpoint_url: str
    bucket: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    ca_file: str | None = None


@dataclass(frozen=True)
class RegistryLocation:
    """The registry that images are mirrored to, and the path that Slipway owns in it."""

    host: str
    prefix: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    plain_http: bool = False

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


@dataclass(frozen=True)
class Environment:
    """All process-level settings; reading one that is absent raises `MissingSettingError`."""

    variables: Mapping[str, str] = field(repr=False)
    home: Path

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Environment:
        """Merge `<home>/stack.env` under the process environment; the environment wins."""
        environ = os.environ if environ is None else environ
        home = Path(environ.get("SLIPWAY_HOME", ".slipway")).absolute()
        return cls({**_read_env_file(home / STACK_ENV), **environ}, home)

    def get(self, name: str) -> str | None:
        """Return the variable, or None when it is absent or empty."""
        return self.variables.get(name) or None

    def require(self, name: str) -> str:
        """Return the variable, or raise `MissingSettingError` naming it."""
        value = self.get(name)
        if value is None:
            raise MissingSettingError(name)
        return value

    @property
    def catalog_dir(self) -> Path:
        """Directory of the catalog: `SLIPWAY_CATALOG`, by default `catalog` in the working directory."""
        return Path(self.get("SLIPWAY_CATALOG") or "catalog")

    @property
    def s3(self) -> S3Location:
        """The local store for weights, revisions, routes and usage."""
        return S3Location(
            endpoint_url=self.require("SLIPWAY_S3_ENDPOINT"),
            bucket=self.get("SLIPWAY_S3_BUCKET") or "slipway",
            region=self.get("SLIPWAY_S3_REGION") or "us-east-1",
            access_key=self.require("SLIPWAY_S3_ACCESS_KEY").strip(),
            secret_key=self.require("SLIPWAY_S3_SECRET_KEY").strip(),
        )

    @property
    def registry(self) -> RegistryLocation:
        """The local registry: `SLIPWAY_REGISTRY` is `host[:port]` or `host[:port]/path`."""
        named = self.get("SLIPWAY_REGISTRY")
        if named is None:
            raise MissingSettingError("SLIPWAY_REGISTRY", "to host[:port][/path] of a registry of yours")
        host, _, prefix = named.rstrip("/").partition("/")
        ca_file = self.get("SLIPWAY_REGISTRY_CA")
        return RegistryLocation(
            host=host,
            prefix=prefix,
            username=self.get("SLIPWAY_REGISTRY_USERNAME"),
            password=self.get("SLIPWAY_REGISTRY_PASSWORD"),
            ca_file=Path(ca_file) if ca_file else None,
            plain_http=self.get("SLIPWAY_REGISTRY_PLAIN_HTTP") == "1",
        )

    @property
    def hub_url(self) -> str | None:
        """The hub to pull `hf://` sources from; None means the real one."""
        return self.get("SLIPWAY_HUB_URL")

    @property
    def ngc_url(self) -> str | None:
        """The API to pull `ngc://` sources from; None means the real one."""
        return self.get("SLIPWAY_NGC_URL")

    @property
    def ngc_auth_url(self) -> str | None:
        """The server that gives tokens for NGC keys; None means the real one."""
        return self.get("SLIPWAY_NGC_AUTH_URL")

    @property
    def ray_dashboard_url(self) -> str:
        """Base URL of the Ray dashboard, whose REST API takes Serve configurations."""
        return self.require("SLIPWAY_RAY_DASHBOARD_URL")

    @property
    def ray_serve_url(self) -> str:
        """Base URL of the Ray Serve HTTP proxy."""
        return self.require("SLIPWAY_RAY_SERVE_URL")

    @property
    def ray_token(self) -> str | None:
        """Ray's token, where the cluster asks for one (RAY_AUTH_MODE=token); None where it does not."""
        return self.get("SLIPWAY_RAY_TOKEN")

    @property
    def gateway_urls(self) -> tuple[str, ...]:
        """Base URLs of all gateway replicas, comma separated in `SLIPWAY_GATEWAY_URLS`."""
        return tuple(url for url in (self.get("SLIPWAY_GATEWAY_URLS") or "").split(",") if url)

    @property
    def gateway_token(self) -> str:
        """Bearer token of the gateways' operator endpoints (`/-/...`)."""
        return self.require("SLIPWAY_GATEWAY_TOKEN")

    @property
    def tenants_db_url(self) -> str:
        """SQLAlchemy URL of the tenants' database; by default SQLite under home."""
        return self.get("SLIPWAY_TENANTS_DB") or f"sqlite:///{self.home / 'tenants.db'}"

    @property
    def warehouse_dir(self) -> Path:
        """Directory of the live DuckDB file and its published read-only copy."""
        return Path(self.get("SLIPWAY_WAREHOUSE") or self.home / "warehouse")

    @property
    def warehouse_shards(self) -> int:
        """Over how many files the warehouse's rows are spread, each with a writer of its own; by default 1.

        Raises WrongSettingError.
        """
        text = self.get("SLIPWAY_WAREHOUSE_SHARDS") or "1"
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_SHARDS:
            raise WrongSettingError("SLIPWAY_WAREHOUSE_SHARDS", text, f"a number from 1 to {MOST_SHARDS}")
        return int(text)

    @property
    def intake_workers(self) -> str | None:
        """Address of the Ray cluster that reads usage objects for shards; None: the step that needs them."""
        return self.get("SLIPWAY_INTAKE_RAY_ADDRESS")

    @property
    def node_cache_dir(self) -> Path:
        """Directory where engines on this node keep verified copies of weights."""
        return Path(self.get("SLIPWAY_NODE_CACHE") or self.home / "node-cache")


def _read_env_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not text. `slipway up` writes it anew where it is removed.") from None
    pairs = (line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}
