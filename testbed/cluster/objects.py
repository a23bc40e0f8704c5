"""Objects of any kind to the API server and back, by server-side apply.

Belongs here: paths of kinds, apply, get, delete, waiting for a condition. Does not: how Slipway applies.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from kubernetes import config
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

Object = dict[str, Any]
FIELD_MANAGER = "slipway-test-cluster"
_T = TypeVar("_T")  # Python 3.11 has no type parameters yet
_NOT_YET = (404, 409, 429, 500, 503)


def load(path: Path, **values: str) -> list[Object]:
    """The documents of a YAML file; `@NAME@` in it stands for a value given as `name=`."""
    lines = path.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("{{"))  # conditions of a Helm chart
    for name, value in values.items():
        text = text.replace(f"@{name.upper()}@", value)
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


def client(kubeconfig: Path) -> ApiClient:
    """A client of its own, so that tests do not share connections."""
    return config.new_client_from_config(str(kubeconfig))


class Objects:
    """The objects of one cluster, as one client may see them."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """One call by path; the decoded JSON, or the text where it is none. Raises ApiException."""
        apply = method == "PATCH"
        headers = {
            "Accept": "application/json, */*",
            "Content-Type": "application/apply-patch+yaml" if apply else "application/json",
        }
        answer = self.api.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
        )
        text = answer.data.decode()
        with contextlib.suppress(ValueError):
            return json.loads(text)
        return text

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str = "") -> str:
        """Path of an object or, without a name, of a collection; `namespace` is ignored for what has none.

        Raises LookupError when the API server does not know the kind.
        """
        plural, namespaced = self._kind(api_version, kind)
        scope = f"/namespaces/{namespace or 'default'}" if namespaced else ""
        return f"{_base(api_version)}{scope}/{plural}" + (f"/{name}" if name else "")

    def apply(self, objects: Iterable[Object], namespace: str | None = None) -> list[Object]:
        """Server-side apply in the order given; what the API server stored."""
        stored = []
        for each in objects:
            metadata = each["metadata"]
            path = self.path(
                each["apiVersion"], each["kind"], metadata.get("namespace") or namespace, metadata["name"]
            )
            stored.append(self.call("PATCH", path, each, fieldManager=FIELD_MANAGER, force="true"))
        return stored

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None when there is none."""
        try:
            found: Object = self.call("GET", self.path(api_version, kind, namespace, name))
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = ""
    ) -> list[Object]:
        """The objects of a kind in a namespace; `labels` is a selector."""
        query = {"labelSelector": labels} if labels else {}
        items: list[Object] = self.call("GET", self.path(api_version, kind, namespace), **query)["items"]
        return items

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, grace_s: int | None = None
    ) -> None:
        """Delete; harmless when it is gone."""
        body = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        try:
            self.call("DELETE", self.path(api_version, kind, namespace, name), body)
        except ApiException as error:
            if error.status != 404:
                raise

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        if kind not in self._kinds.get(api_version, {}):  # perhaps installed since it was asked for
            try:
                resources = self.call("GET", _base(api_version))["resources"]
            except ApiException as error:
                raise LookupError(f"the API server has no {api_version}: {error.reason}") from error
            self._kinds[api_version] = {
                each["kind"]: (each["name"], each["namespaced"])
                for each in resources
                if "/" not in each["name"]
            }
        if kind not in self._kinds[api_version]:
            raise LookupError(f"the API server has no {kind} in {api_version}")
        return self._kinds[api_version][kind]


def condition(found: Object | None, name: str) -> str | None:
    """Status of a condition, `True`, `False` or `Unknown`; None without it."""
    conditions = (found or {}).get("status", {}).get("conditions") or []
    return next((each["status"] for each in conditions if each["type"] == name), None)


def eventually(ask: Callable[[], _T], what: str, timeout_s: float = 60, every_s: float = 0.1) -> _T:
    """Ask until the answer is true, and return it; an API error counts as not yet. Raises AssertionError."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            if last := ask():
                return last
        except ApiException as error:
            if error.status not in _NOT_YET:
                raise
            last = f"{error.status} {error.body}"
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {timeout_s:g} s; the last answer was {last!r}")


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
