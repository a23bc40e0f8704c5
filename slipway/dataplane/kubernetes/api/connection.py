"""Where a data plane's API server is: a kubeconfig per name, or the pod's own ServiceAccount.

Belongs here: SLIPWAY_KUBECONFIG and its relatives. Does not: calls (client.py).
"""

from __future__ import annotations

from pathlib import Path

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.transport import PATIENCE_S, Say
from slipway.environment import Environment, MissingSettingError

IN_CLUSTER = "in-cluster"
_POOL = 16


def connect(
    environment: Environment,
    data_plane: str = "default",
    *,
    patience_s: float = PATIENCE_S,
    say: Say | None = None,
) -> KubernetesApi:
    """A client of the data plane's API server; opens no connection yet.

    `SLIPWAY_KUBECONFIG` (for another data plane than `default`: `SLIPWAY_KUBECONFIG_<NAME>`) is a file, or
    `in-cluster`; `SLIPWAY_KUBE_CONTEXT[_<NAME>]` picks a context of it. The ambient ~/.kube/config is never
    read: a cluster that nobody named must not be changed. Raises MissingSettingError or DataPlaneError.
    """
    from kubernetes import client, config
    from yaml import YAMLError

    source = environment.get(setting("SLIPWAY_KUBECONFIG", data_plane))
    context = environment.get(setting("SLIPWAY_KUBE_CONTEXT", data_plane))
    configuration = client.Configuration()
    try:
        if source == IN_CLUSTER:
            config.load_incluster_config(client_configuration=configuration)
        elif source is None:
            raise MissingSettingError(setting("SLIPWAY_KUBECONFIG", data_plane))
        else:
            path = str(Path(source).expanduser())
            config.load_kube_config(path, context=context, client_configuration=configuration)
    except (config.ConfigException, YAMLError, TypeError, AttributeError) as error:  # as files are malformed
        raise DataPlaneError(
            f"{setting('SLIPWAY_KUBECONFIG', data_plane)}={source}: {' '.join(str(error).split())}. Name a "
            f"kubeconfig file and, with {setting('SLIPWAY_KUBE_CONTEXT', data_plane)}, one of its contexts."
        ) from error
    configuration.connection_pool_maxsize = _POOL
    return KubernetesApi(client.ApiClient(configuration), patience_s, say)


def setting(name: str, data_plane: str) -> str:
    """The variable's name for a data plane: the plain one for `default`."""
    if data_plane == "default":
        return name
    return f"{name}_{data_plane.upper().replace('-', '_')}"
