"""One Kubernetes data plane from the environment: its connection, and what renderers must know of it.

Belongs here: SLIPWAY_KUBE_* and the settings file. Does not: secrets (only names of Secrets are known here).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.connection import connect, setting
from slipway.dataplane.kubernetes.api.transport import Say
from slipway.dataplane.kubernetes.kubernetes import Beside, Kubernetes, Reach
from slipway.environment import Environment
from slipway.runtimes.rendering.cluster_settings import ClusterSettings

SETTINGS = "SLIPWAY_KUBE_SETTINGS"
_REACHES = ("dns", "cluster-ip")


def open_plane(
    environment: Environment, name: str = "default", *, say: Say | None = None, beside: Beside = lambda _: ()
) -> Kubernetes:
    """The data plane of that name. Opens no connection yet; raises MissingSettingError or DataPlaneError.

    `SLIPWAY_KUBE_REACH=cluster-ip` is for processes on a node that cannot resolve the cluster's names;
    `SLIPWAY_KUBE_FORCE=1` takes over fields that others own.
    """
    reach = environment.get(setting("SLIPWAY_KUBE_REACH", name)) or "dns"
    if reach not in _REACHES:
        variable = setting("SLIPWAY_KUBE_REACH", name)
        raise DataPlaneError(f"{variable}={reach}: not one of {', '.join(_REACHES)}. Correct it.")
    return Kubernetes(
        connect(environment, name, say=say),
        cluster_settings(environment, name),
        reach=cast(Reach, reach),
        force=environment.get(setting("SLIPWAY_KUBE_FORCE", name)) == "1",
        beside=beside,
    )


def cluster_settings(environment: Environment, name: str = "default") -> ClusterSettings:
    """What renderers must know of the cluster: the file `SLIPWAY_KUBE_SETTINGS[_<NAME>]`, in YAML.

    Its keys are the fields of ClusterSettings. Without it pods find the store where this process does, and
    nothing is installed in the cluster. Raises DataPlaneError naming the file and the field.
    """
    path = environment.get(setting(SETTINGS, name))
    given = _read(Path(path).expanduser()) if path else {}
    store = {"endpoint_url": environment.s3.endpoint_url, "bucket": environment.s3.bucket}
    their_store = given.get("store") or {}
    if not isinstance(their_store, dict):
        raise DataPlaneError(
            f"{path}: store: not a mapping. Write endpoint_url, bucket, region or secret in it."
        )
    store |= {"region": environment.s3.region, **their_store}
    try:
        return TypeAdapter(ClusterSettings).validate_python({**given, "store": store})
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise DataPlaneError(f"{path}: {'; '.join(problems)}. Correct it.") from error


def _read(path: Path) -> Mapping[str, Any]:
    try:
        given = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise DataPlaneError(f"{path}: {error}. Name a YAML file of settings, or none.") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise DataPlaneError(f"{path}: not a mapping of settings. Write `name: value` lines.")
    unknown = sorted(set(given) - set(ClusterSettings.__dataclass_fields__))
    if unknown:
        known = ", ".join(ClusterSettings.__dataclass_fields__)
        raise DataPlaneError(f"{path}: {unknown[0]}: no such setting. Known are {known}.")
    return given
