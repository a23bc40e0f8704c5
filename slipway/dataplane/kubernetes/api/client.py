"""What Slipway asks of an API server: list, read, apply, delete, watch, logs; for any kind.

Belongs here: paths of kinds, server-side apply under one field manager, the call log.
Does not: HTTP (transport.py), what a refusal means (refusals.py), which objects
(slipway.dataplane.kubernetes.objects).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.dataplane.kubernetes.api.errors import MissingKindError, NotFoundError
from slipway.dataplane.kubernetes.api.refusals import Call
from slipway.dataplane.kubernetes.api.transport import PATIENCE_S, Say, Transport
from slipway.runtimes.judging.objects import Object, Ref, ref_of

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

FIELD_MANAGER = "slipway"

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_FIELD_VALIDATION = {"fieldValidation": "Strict"}  # an unknown field is an error, never silently dropped
_WATCH_S = 300


@dataclass(frozen=True)
class Kind:
    """One kind that the API server serves, in one version."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool


@dataclass(frozen=True)
class Listed:
    """Objects, and the resource version from which a watch goes on."""

    objects: tuple[Object, ...]
    resource_version: str


class KubernetesApi:
    """One API server. `calls` counts calls by (verb, plural, namespace): what a plan costs."""

    def __init__(self, api: ApiClient, patience_s: float = PATIENCE_S, say: Say | None = None) -> None:
        self._transport = Transport(api, patience_s, say)
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._lock = threading.Lock()
        self.calls: Counter[tuple[str, str, str]] = Counter()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._transport.url

    def kinds(self, *, again: bool = False) -> Mapping[tuple[str, str], Kind]:
        """Every kind served, by (apiVersion, kind); read once, or `again` when a CRD may have come."""
        with self._lock:
            if again or not self._kinds:
                served: dict[tuple[str, str], Kind] = {}
                for root in ("/api", "/apis"):
                    answer = self._transport.call(Call("GET", root), root, accept=_DISCOVERY)
                    served.update(_discovered(answer))
                self._kinds = served
            return self._kinds

    def kind(self, api_version: str, kind: str) -> Kind:
        """One kind; raises MissingKindError, naming the versions that are served instead."""
        key = (api_version, kind)
        served = self.kinds().get(key) or self.kinds(again=True).get(key)
        if served is None:
            raise MissingKindError(_missing(api_version, kind, self.kinds()))
        return served

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the kind is there, by what was read last."""
        return (api_version, kind) in self.kinds()

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
    ) -> Listed:
        """Objects of a namespace, or of all where it is empty; each says its apiVersion and kind."""
        query = {
            name: value for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value
        }
        answer = self._call("GET", "list", api_version, kind, namespace, query=query)
        objects = tuple(
            {"apiVersion": api_version, "kind": kind, **item} for item in answer.get("items") or ()
        )
        return Listed(objects, str(answer["metadata"].get("resourceVersion", "")))

    def get(self, ref: Ref) -> Object | None:
        """One object; None when it is not there."""
        try:
            obj: Object = self._call("GET", "get", ref.api_version, ref.kind, ref.namespace, ref.name)
        except NotFoundError:
            return None
        return obj

    def apply(self, obj: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply: every field of `obj` is Slipway's afterwards. Returns what is stored.

        Raises FieldConflictError unless forced, ImmutableFieldError, MissingKindError, ConfigRefusedError.
        """
        ref = ref_of(obj)
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower(), **_FIELD_VALIDATION}
        if dry_run:
            query["dryRun"] = "All"
        applied: Object = self._call(
            "PATCH", "patch", ref.api_version, ref.kind, ref.namespace, ref.name, query=query, body=obj
        )
        return applied

    def delete(self, ref: Ref, *, expect_uid: str = "", propagation: str = "Background") -> bool:
        """Ask for an object's end; False when it is not there, or is another one of that name by now."""
        body: dict[str, Any] = {"propagationPolicy": propagation}
        if expect_uid:
            body["preconditions"] = {"uid": expect_uid}
        try:
            self._call("DELETE", "delete", ref.api_version, ref.kind, ref.namespace, ref.name, body=body)
        except NotFoundError:
            return False
        return True

    def events(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Iterator[Mapping[str, Any]]:
        """Changes since a resource version, with bookmarks, until the server ends the stream.

        Raises GoneError when the version is too old, DataPlaneUnreachableError when the connection breaks.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(_WATCH_S),
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        self.calls["watch", kind, namespace] += 1
        path = self.path(api_version, kind, namespace)
        given = {name: value for name, value in query.items() if value}
        what = f"watching {kind} in {namespace}"
        yield from self._transport.stream(path, given, _WATCH_S + 10, what, opened=opened)

    def log(
        self, namespace: str, pod: str, container: str, *, lines: int, previous: bool = False
    ) -> tuple[str, ...]:
        """Last lines of a container's output; `previous`: of the one before its last restart. None: empty."""
        path = f"{self.path('v1', 'Pod', namespace, pod)}/log"
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        self.calls["get", "pods/log", namespace] += 1
        call = Call("GET", f"log of {pod}/{container}", namespace)
        text = self._transport.call(call, path, query, accept="*/*")
        return tuple(str(text).splitlines())

    def merge(self, ref: Ref, body: Object, subresource: str = "") -> Object:
        """A JSON merge patch: for subresources, such as `scale`, where nothing is to be owned."""
        path = self.path(ref.api_version, ref.kind, ref.namespace, ref.name)
        path += f"/{subresource}" if subresource else ""
        self.calls["patch", f"{ref.kind}/{subresource}", ref.namespace] += 1
        patched: Object = self._transport.call(
            Call("PATCH", str(ref), ref.namespace),
            path,
            {"fieldManager": FIELD_MANAGER},
            body,
            content_type="application/merge-patch+json",
        )
        return patched

    def proxied(self, namespace: str, pod: str, port: int, path: str) -> Any:
        """What a pod's HTTP port answers to GET, through the API server. Needs `get` on pods/proxy."""
        root = self.path("v1", "Pod", namespace)
        self.calls["get", "pods/proxy", namespace] += 1
        return self._transport.call(
            Call("GET", f"{pod}:{port}", namespace), f"{root}/{pod}:{port}/proxy{path}"
        )

    def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """URL path of a kind, or of one object; raises MissingKindError."""
        served = self.kind(api_version, kind)
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        within = f"/namespaces/{namespace}" if namespace and served.namespaced else ""
        return f"{root}{within}/{served.plural}" + (f"/{name}" if name else "")

    def _call(
        self,
        method: str,
        verb: str,
        api_version: str,
        kind: str,
        namespace: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:
        path = self.path(api_version, kind, namespace, name)
        self.calls[verb, self.kind(api_version, kind).plural, namespace] += 1
        what = (
            str(Ref(api_version, kind, namespace, name))
            if name
            else f"{kind} in {namespace or 'all namespaces'}"
        )
        return self._transport.call(Call(method, what, namespace), path, query, body)


def _discovered(answer: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Kind]]:
    for group in answer.get("items") or ():
        name = group["metadata"].get("name") or ""
        for version in group.get("versions") or ():
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for resource in version.get("resources") or ():
                kind = (resource.get("responseKind") or {}).get("kind") or ""
                served = Kind(api_version, kind, resource["resource"], resource["scope"] == "Namespaced")
                yield (api_version, kind), served


def _missing(api_version: str, kind: str, kinds: Mapping[tuple[str, str], Kind]) -> str:
    others = sorted(version for version, name in kinds if name == kind)
    group = api_version.partition("/")[0]
    if others:
        return (
            f"{kind}: the API server serves it in {', '.join(others)}, and Slipway speaks {api_version}. "
            f"Install the operator in a version whose CRD serves {api_version}."
        )
    return (
        f"{kind} ({api_version}) is not served by the API server: its CRD is missing. Install the operator "
        f"of {group}, or choose another runtime for the deployment."
    )
