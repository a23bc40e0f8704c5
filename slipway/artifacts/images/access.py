"""What lets us into a registry: credentials, certificate authority, or plain http where that is allowed.

Belongs here: finding them, in the catalog's settings and the environment, and the remedy when they are wrong.
Does not: sending them (auth.py, transport.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from slipway.artifacts.errors import AccessError
from slipway.artifacts.images.errors import TargetError
from slipway.artifacts.images.references import Repository
from slipway.artifacts.transfer.secrets import secret_in
from slipway.catalog.documents import Registry, Settings
from slipway.catalog.image_names import DOCKER, split_registry
from slipway.environment import Environment, RegistryLocation

# The one registry whose name is not the host that answers for it.
_ANSWERS_FOR = {DOCKER: f"registry-1.{DOCKER}"}


@dataclass(frozen=True)
class RegistryAccess:
    """One registry, and how it is spoken to. `username` and `password` are both given or both None."""

    host: str
    side: Literal["source", "target"]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credentials_in: str = ""  # where they were found, for messages
    ca_file: Path | None = None
    plain_http: bool = False

    @property
    def base_url(self) -> str:
        """Scheme and host, without a path."""
        scheme = "http" if self.plain_http else "https"
        return f"{scheme}://{_ANSWERS_FOR.get(self.host, self.host)}"

    @property
    def refused(self) -> str:
        """What to do when the registry refuses us."""
        if self.side == "target":
            return "Set SLIPWAY_REGISTRY_USERNAME and SLIPWAY_REGISTRY_PASSWORD to an account that may push."
        if self.credentials_in:
            return f"Correct {self.credentials_in}, or give that account access."
        return f"Name its credentials in the Settings field registries[{self.host}].pull_secret."

    @property
    def untrusted(self) -> str:
        """What to do when its certificate cannot be verified."""
        if self.side == "target":
            return "Set SLIPWAY_REGISTRY_CA to the PEM file of the authority that signed it."
        return f"Name the PEM file of the authority that signed it in registries[{self.host}].ca_file."

    @property
    def plain(self) -> str:
        """How to allow plain http."""
        if self.side == "target":
            return "If it is meant to speak plain http, set SLIPWAY_REGISTRY_PLAIN_HTTP=1."
        return f"If it is meant to speak plain http, set registries[{self.host}].insecure_http: true."


def of_target(location: RegistryLocation) -> RegistryAccess:
    """Access to the local registry. Raises TargetError when its name is none."""
    try:
        split_registry(str(location))
    except ValueError as error:
        raise TargetError(f"SLIPWAY_REGISTRY = {location}: {error}.") from error
    given = location.username is not None and location.password is not None
    return RegistryAccess(
        host=location.host,
        side="target",
        username=location.username if given else None,
        password=location.password if given else None,
        credentials_in="SLIPWAY_REGISTRY_USERNAME and SLIPWAY_REGISTRY_PASSWORD" if given else "",
        ca_file=location.ca_file,
        plain_http=location.plain_http,
    )


def of_source(repository: Repository, settings: Settings, environment: Environment) -> RegistryAccess:
    """Access to an image's own registry, as the longest fitting name in `Settings.registries` says.

    Raises AccessError when its credentials are not there or not readable.
    """
    name = registry_name(repository, settings)
    registry = settings.registries[name] if name else Registry()
    username, password = _credentials(name or "", registry, environment)
    secret = registry.pull_secret
    return RegistryAccess(
        host=repository.host,
        side="source",
        username=username,
        password=password,
        credentials_in=f"the credentials in {secret.env}" if secret else "",
        ca_file=Path(registry.ca_file) if registry.ca_file else None,
        plain_http=registry.insecure_http,
    )


def registry_name(repository: Repository, settings: Settings) -> str | None:
    """The longest name in `Settings.registries` that the repository lies under."""
    fitting = [name for name in settings.registries if f"{repository}/".startswith(f"{name.lower()}/")]
    return max(fitting, key=len, default=None)


def _credentials(name: str, registry: Registry, environment: Environment) -> tuple[str | None, str | None]:
    secret = registry.pull_secret
    if secret is None:
        return None, None
    field_name = f"registries[{name}].pull_secret"
    if secret.env is None:
        raise AccessError(
            f"{field_name}: a Kubernetes Secret is for the cluster; this process reads its environment "
            "alone. Name a variable in pull_secret.env that holds user:password."
        )
    value = secret_in(environment.variables, secret.env)
    if value is None:
        raise AccessError(f"{field_name} names {secret.env}, which is not set. Set it to user:password.")
    username, colon, password = value.partition(":")
    if not (username and colon and password):
        raise AccessError(
            f"{field_name}: {secret.env} does not hold user:password. For NGC write $oauthtoken:<API key>."
        )
    return username, password
