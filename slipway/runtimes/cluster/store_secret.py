"""The Secret that all runtimes refer to: the store's credentials.

Belongs here: the one object with secrets in it, which is part of no rendering. Does not: what reads the store
with it (slipway.runtimes.rendering.weights_access).
"""

from __future__ import annotations

from slipway.runtimes import registry
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import StoreAddress
from slipway.runtimes.rendering.rendered import Object
from slipway.runtimes.rendering.weights_access import ACCESS_KEY, SECRET_KEY


def store_secret(store: StoreAddress, namespace: str, access_key: str, secret_key: str) -> Object:
    """The Secret of one namespace, with the annotations by which runtimes find the store."""
    annotations: dict[str, str] = {}
    for runtime in registry.on_kubernetes():
        if runtime.store_annotations is not None:
            annotations |= runtime.store_annotations(store)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": store.secret,
            "namespace": namespace,
            "labels": {identity.MANAGED_BY: identity.SLIPWAY},
            "annotations": annotations,
        },
        "type": "Opaque",
        "stringData": {ACCESS_KEY: access_key, SECRET_KEY: secret_key},
    }
