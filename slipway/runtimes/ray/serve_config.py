"""The one configuration document of a Ray Serve instance: read, changed in one place, written back.

Belongs here: pure functions over what `GET` and `PUT /api/serve/applications/` carry.
Does not: HTTP (slipway.dataplane.ray.serve_api), judging whether something serves (serve_status.py).
Schema: ServeInstanceDetails and ServeDeploySchema of Ray 2.60, ray/serve/schema.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

Document = Mapping[str, Any]

_OURS = "slipway.engines."

# Ray hides values from callers that look like a browser; writing that back would destroy them.
_REDACTED = "<redacted>"


def declared(details: Document) -> dict[str, dict[str, Any]]:
    """Configuration of every application that came by REST or file, by name.

    Those deployed from Python have no configuration and are no part of the document: a PUT leaves them alone.
    An application that is being deleted has none any more.
    """
    applications = details.get("applications") or {}
    return {
        name: dict(application["deployed_app_config"])
        for name, application in applications.items()
        if application.get("deployed_app_config")
    }


def merged(
    details: Document, serve_url: str, *, put: Mapping[str, Any] | None, remove: Collection[str] = ()
) -> dict[str, Any]:
    """The document to write: what is declared, with one application put and others removed.

    Other people's applications and options are kept as they are. A Serve instance that does not run yet
    will listen where `serve_url` points. Raises ValueError when the values of others were hidden from us.
    """
    applications = {
        name: application for name, application in declared(details).items() if name not in remove
    }
    if put is not None:
        applications[put["name"]] = dict(put)
    if _mentions(applications, _REDACTED):
        raise ValueError("Ray hid environment values of running applications, so they cannot be written back")
    document: dict[str, Any] = {**_instance_options(details, serve_url)}
    document["applications"] = list(applications.values())
    return document


def _instance_options(details: Document, serve_url: str) -> dict[str, Any]:
    running = {
        name: details[name]
        for name in ("proxy_location", "http_options", "grpc_options", "target_capacity")
        if details.get(name) is not None
    }
    if "http_options" in running:
        return running
    url = urlsplit(serve_url)
    options = {"host": url.hostname or "127.0.0.1", "port": url.port or 80}
    return {**running, "proxy_location": "HeadOnly", "http_options": options}


def is_applied(wanted: Mapping[str, Any], details: Document) -> bool:
    """Whether the instance holds this very configuration of the application."""
    return not differences(wanted, declared(details).get(wanted["name"], {}))


def differences(wanted: object, live: object, path: str = "") -> tuple[str, ...]:
    """Dotted paths at which `live` lacks or contradicts `wanted`; what Serve adds is no difference."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        below = (
            differences(value, live.get(key), f"{path}.{key}" if path else str(key))
            for key, value in wanted.items()
        )
        return tuple(field for paths in below for field in paths)
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        pairs = enumerate(zip(wanted, live, strict=True))
        below = (differences(one, other, f"{path}[{n}]") for n, (one, other) in pairs)
        return tuple(field for paths in below for field in paths)
    return () if wanted == live else (path,)


def owned(details: Document, deployment: str | None) -> Iterator[tuple[str, dict[str, Any], Document]]:
    """(name, configuration, status) of every application of a deployment of Slipway; None means of any."""
    configs = declared(details)
    for name, application in (details.get("applications") or {}).items():
        config = configs.get(name)
        if config is None or not str(config.get("import_path", "")).startswith(_OURS):
            continue
        owner = (config.get("args") or {}).get("deployment")
        if owner is not None and deployment in (None, owner):
            yield name, config, application


def longest_shutdown_s(details: Document, applications: Collection[str]) -> float:
    """How long Serve may take to stop these, when a replica of theirs does not end by itself."""
    configs = declared(details)
    times = (
        float(deployment.get("graceful_shutdown_timeout_s") or 0)
        for name in applications
        for deployment in configs.get(name, {}).get("deployments") or ()
    )
    return max(times, default=0.0)


def _mentions(value: object, text: str) -> bool:
    if isinstance(value, Mapping):
        return any(_mentions(each, text) for each in value.values())
    if isinstance(value, list):
        return any(_mentions(each, text) for each in value)
    return value == text
