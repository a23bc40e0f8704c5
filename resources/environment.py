"""The process environment as a resource, so that a test can give its own.

Belongs here: loading slipway.environment when a run starts. Does not: connections.
"""

from __future__ import annotations

import os

import dagster as dg

from slipway.environment import Environment
from slipway.objectstore import ObjectStore


class EnvironmentResource(dg.ConfigurableResource[None]):
    """`SLIPWAY_*` variables of this process; `overrides` go before them."""

    overrides: dict[str, str] = {}

    def read(self) -> Environment:
        """Read the environment now, not at import."""
        return Environment.load({**os.environ, **self.overrides})


class StoreResource(dg.ConfigurableResource[None]):
    """The local S3-compatible store."""

    environment: EnvironmentResource

    def connect(self) -> ObjectStore:
        """A view of Slipway's bucket; connects on first use."""
        return ObjectStore(self.environment.read().s3)
