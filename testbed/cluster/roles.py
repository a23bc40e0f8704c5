"""Clients with less than the administrator's rights, for tests of least privilege.

Belongs here: a ServiceAccount, its Role and its token. Does not: which rights Slipway needs.
"""

import uuid
from pathlib import Path

from kubernetes.client import ApiClient, Configuration
from kubernetes.config import new_client_from_config

from testbed.cluster.objects import Object, Objects

_RBAC = "rbac.authorization.k8s.io"


def client_of(
    objects: Objects, namespace: str, kubeconfig: Path, rules: list[Object], cluster_rules: list[Object]
) -> ApiClient:
    """A client of a new ServiceAccount with these rules in the namespace, and those in the whole cluster."""
    name = f"role-{uuid.uuid4().hex[:6]}"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    objects.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}], namespace)
    objects.apply(_bound("Role", name, rules, subject), namespace)
    if cluster_rules:
        objects.apply(_bound("ClusterRole", f"{namespace}-{name}", cluster_rules, subject))
    return client_with_token(kubeconfig, token(objects, namespace, name))


def token(objects: Objects, namespace: str, service_account: str) -> str:
    """A token of a ServiceAccount for an hour."""
    path = objects.path("v1", "ServiceAccount", namespace, service_account)
    body = {"spec": {"expirationSeconds": 3600}}
    return str(objects.call("POST", f"{path}/token", body)["status"]["token"])


def client_with_token(kubeconfig: Path, token: str) -> ApiClient:
    """A client of the same API server that shows a token instead of the administrator's certificate."""
    administrator = new_client_from_config(str(kubeconfig)).configuration
    configuration = Configuration(host=administrator.host)
    configuration.ssl_ca_cert = administrator.ssl_ca_cert
    configuration.api_key = {"BearerToken": token}
    configuration.api_key_prefix = {"BearerToken": "Bearer"}
    return ApiClient(configuration)


def _bound(kind: str, name: str, rules: list[Object], subject: Object) -> list[Object]:
    version = f"{_RBAC}/v1"
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": version,
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
            "subjects": [subject],
        },
    ]
