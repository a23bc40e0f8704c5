"""What a renderer gives back: objects, which of them tells of the rollout, and where requests go.

Belongs here: the values that slipway.dataplane works with, for every runtime alike, and making plain JSON of
the kubernetes client's typed models. Does not: any runtime's objects.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """The object whose status, with its pods, says whether a revision serves."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Address:
    """Where requests go inside the cluster; `path` comes before `/v1`."""

    namespace: str
    service: str
    port: int
    path: str = ""

    @property
    def base_url(self) -> str:
        """OpenAI base URL, ending in /v1."""
        return f"http://{self.service}.{self.namespace}.svc:{self.port}{self.path}/v1"


@dataclass(frozen=True)
class Rendered:
    """One revision on one runtime.

    `objects` are in the order of applying. `public` are those under stable names, to be applied when traffic
    moves to this revision. `engine_names` maps a served name to the engine's own.
    `operator_values` are Helm values that the runtime's operator takes from nowhere else.
    """

    workload: Workload
    objects: tuple[Object, ...]
    address: Address
    public: tuple[Object, ...] = ()
    engine_names: Mapping[str, str] = field(default_factory=dict)
    operator_values: Mapping[str, Any] = field(default_factory=dict)


def workload_of(rendered: Object) -> Workload:
    """The reference to an object that was rendered."""
    named = rendered["metadata"]
    return Workload(rendered["apiVersion"], rendered["kind"], named["namespace"], named["name"])


def plain(typed: Any) -> Any:
    """A typed model of the kubernetes client, or a tree with such in it, as plain JSON values."""
    return _api_client().sanitize_for_serialization(typed)


@functools.cache
def _api_client() -> Any:
    """Only for serialization; it opens no connection. Importing the client takes half a second."""
    from kubernetes import client

    return client.ApiClient(client.Configuration())
