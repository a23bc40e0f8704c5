"""Stands for an API server: stores what is applied, with the record of who did, and lists by labels."""

from __future__ import annotations

import copy
from typing import Any

from slipway.dataplane.kubernetes.api.client import FIELD_MANAGER, Listed
from slipway.dataplane.kubernetes.serving.live import selects
from slipway.runtimes.judging.objects import Object, Ref, ref_of
from slipway.runtimes.judging.verdict import Target


class FakeApi:
    """One cluster in memory. `merged` are the patches that it was sent, `deleted` what went, in order."""

    def __init__(self) -> None:
        self.objects: dict[Ref, Object] = {}
        self.merged: list[tuple[Ref, Object, str]] = []
        self.deleted: list[Ref] = []

    def serves(self, api_version: str, kind: str) -> bool:
        return True

    def list(
        self, api_version: str, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listed:
        # `in (a,b)` is all that is asked besides equality.
        plain, _, among = labels.partition(f",{'slipway.dev/instance'} in (")
        names = among.removesuffix(")").split(",") if among else None
        target = Target(api_version, kind, namespace, plain, fields)
        found = [
            copy.deepcopy(each)
            for ref, each in self.objects.items()
            if (ref.api_version, ref.kind, ref.namespace) == (api_version, kind, namespace)
            and selects(target, each)
            and (names is None or each["metadata"]["labels"]["slipway.dev/instance"] in names)
        ]
        return Listed(tuple(found), "1")

    def get(self, ref: Ref) -> Object | None:
        return copy.deepcopy(self.objects.get(ref))

    def apply(self, obj: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        made = copy.deepcopy(obj)
        if not dry_run:
            entry = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": owned(obj)}
            made["metadata"] |= {"managedFields": [entry], "uid": str(len(self.objects)), "generation": 1}
            self.objects[ref_of(obj)] = made
        return made

    def merge(self, ref: Ref, body: Object, subresource: str = "") -> Object:
        self.merged.append((ref, body, subresource))
        return {}

    def delete(self, ref: Ref, *, expect_uid: str = "", propagation: str = "Background") -> bool:
        self.deleted.append(ref)
        return self.objects.pop(ref, None) is not None


def owned(value: Any) -> dict[str, Any]:
    """fieldsV1 of everything in an object; lists are owned whole."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{name}": owned(inner) for name, inner in value.items() if name not in ("apiVersion", "kind")}
