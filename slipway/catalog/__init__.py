"""What should be served: typed documents, their loader, their checks and what a change means.

Belongs here: the catalog's kinds and fields, reading a directory of YAML, semantic checks, digests, plans.
Does not: talking to a hub, a store or a cluster.
"""

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Adapter, Endpoint, Engine, Model, Organization, PriceBook, Settings
from slipway.catalog.resolved import ResolvedArtifact, ResolvedDeployment

__all__ = [
    "Adapter",
    "Catalog",
    "Deployment",
    "Endpoint",
    "Engine",
    "Model",
    "Organization",
    "PriceBook",
    "ResolvedArtifact",
    "ResolvedDeployment",
    "Settings",
]
