"""A RayService that several deployments share: whose it is, and taking applications out of it.

Belongs here: what is particular about a shared workload. Pure. Does not: rendering it (render.py), applying.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import yaml

from slipway.runtimes.judging.objects import Object, ref_of
from slipway.runtimes.judging.verdict import Wanted
from slipway.runtimes.kuberay.judge import applications
from slipway.runtimes.rendering import identity


def revisions(service: Object) -> Iterator[Wanted]:
    """Those whose applications its config has."""
    for name, application in applications(service).items():
        told = _told_by(application)
        if told is not None:
            yield Wanted(name, *told, ref_of(service), service)


def _told_by(application: Mapping[str, Any]) -> tuple[str, str] | None:
    """Deployment and digest of an application of Ray: of our own engine's arguments, or Serve LLM's."""
    args: Mapping[str, Any] = application.get("args") or {}
    if "spec_digest" in args:
        return str(args["deployment"]), str(args["spec_digest"])
    for config in args.get("llm_configs") or ():
        env = (config.get("runtime_env") or {}).get("env_vars") or {}
        if identity.SPEC_DIGEST_ENV in env:
            return str(config["model_loading_config"]["model_id"]), str(env[identity.SPEC_DIGEST_ENV])
    return None


def endpoint(service: Object, wanted: Wanted, url: str) -> str:
    """The base URL of one application: the service's host, and the application's own path."""
    host = "/".join(url.split("/")[:3])
    return f"{host}{applications(service)[wanted.application].get('route_prefix', '')}/v1"


def without(applied: Object, gone: Collection[str]) -> Object | None:
    """The service, as it was applied, without these applications; None when none is left.

    Worker groups that nobody needs any more stay until the next rollout: taking them out would start a
    second cluster, and the autoscaler has them at zero.
    """
    config = yaml.safe_load(applied["spec"]["serveConfigV2"])
    left = [each for each in config["applications"] if each["name"] not in gone]
    if not left:
        return None
    config = {**config, "applications": left}
    spec = {**applied["spec"], "serveConfigV2": yaml.safe_dump(config, sort_keys=False)}
    return {**applied, "spec": spec}
