"""The settings of one gateway replica, from the environment.

Belongs here: names, defaults and checks of SLIPWAY_GATEWAY_*, SLIPWAY_USAGE_SHIP_S, SLIPWAY_ROUTES_POLL_S,
and of OpenTelemetry's own OTEL_* as far as they decide whether there are traces.
Does not: what all of Slipway shares (slipway.environment), where traces go (OpenTelemetry's exporter).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from slipway.environment import Environment, S3Location
from slipway.gateway.telemetry.trace_context import Sampling

_SHIPPING_S = 25
# Of requests whose client says nothing of its trace, where nobody says how many.
_SAMPLED = 0.05
_SAMPLERS = ("always_on", "always_off", "traceidratio")


class SettingError(ValueError):
    """A setting has a value that cannot be used."""


@dataclass(frozen=True)
class GatewaySettings:
    """Everything a replica needs to start."""

    host: str
    port: int
    replica: str
    endpoint: str | None
    spool_dir: Path
    ship_interval_s: float
    routes_interval_s: float
    drain_s: float
    stop_s: float
    bodies_bytes: int
    uploads_bytes: int
    cors_origins: frozenset[str]  # of browsers' pages that may ask; none by default
    metrics_host: str
    metrics_port: int | None  # None: nobody reads metrics
    sampling: Sampling | None  # None: no spans, as no collector is named
    token: str = field(repr=False)
    tenants_db_url: str = field(repr=False)
    s3: S3Location

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may read of these."""
        try:
            password = urlsplit(self.tenants_db_url).password
        except ValueError:
            password = None
        return (self.token, self.s3.secret_key, *([unquote(password), password] if password else ()))

    @classmethod
    def load(cls, environment: Environment) -> GatewaySettings:
        """Read the environment. Raises SettingError or MissingSettingError naming the variable."""
        replica = environment.get("SLIPWAY_GATEWAY_REPLICA") or "gateway-0"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", replica):
            raise SettingError(
                f"SLIPWAY_GATEWAY_REPLICA = {replica!r}: becomes part of object names. "
                "Use at most 63 letters, digits, dots, dashes and underscores."
            )
        spool = environment.get("SLIPWAY_GATEWAY_SPOOL")
        drain_s = _number(environment, "SLIPWAY_GATEWAY_DRAIN_S", 30)
        stop_s = _number(environment, "SLIPWAY_GATEWAY_STOP_S", drain_s + _SHIPPING_S)
        if stop_s <= drain_s:
            raise SettingError(
                f"SLIPWAY_GATEWAY_STOP_S = {stop_s:g}: not above SLIPWAY_GATEWAY_DRAIN_S = {drain_s:g}. "
                "Raise it: usage is shipped after requests have ended."
            )
        return cls(
            host=environment.get("SLIPWAY_GATEWAY_HOST") or "127.0.0.1",
            port=int(_number(environment, "SLIPWAY_GATEWAY_PORT", 8080)),
            replica=replica,
            endpoint=environment.get("SLIPWAY_GATEWAY_ENDPOINT"),
            spool_dir=Path(spool) if spool else environment.home / "gateway" / "spool",
            ship_interval_s=_number(environment, "SLIPWAY_USAGE_SHIP_S", 60),
            routes_interval_s=_number(environment, "SLIPWAY_ROUTES_POLL_S", 1),
            drain_s=drain_s,
            stop_s=stop_s,
            bodies_bytes=int(_number(environment, "SLIPWAY_GATEWAY_BODIES_MIB", 64) * 2**20),
            uploads_bytes=int(_number(environment, "SLIPWAY_GATEWAY_UPLOADS_MIB", 1024) * 2**20),
            cors_origins=_origins(environment),
            metrics_host=environment.get("SLIPWAY_GATEWAY_METRICS_HOST") or "127.0.0.1",
            metrics_port=_metrics_port(environment),
            sampling=_sampling(environment),
            token=environment.gateway_token,
            tenants_db_url=environment.tenants_db_url,
            s3=environment.s3,
        )


def _origins(environment: Environment) -> frozenset[str]:
    text = environment.get("SLIPWAY_GATEWAY_CORS_ORIGINS") or ""
    origins = frozenset(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins - {"*"}:
        if not re.fullmatch(r"https?://[a-z0-9.\[\]:-]+", origin):
            raise SettingError(
                f"SLIPWAY_GATEWAY_CORS_ORIGINS = {origin!r}: not an origin. Use such as "
                "https://chat.example.com, in lower case and without a path, several with commas, or *."
            )
    return origins


def _metrics_port(environment: Environment) -> int | None:
    if environment.get("SLIPWAY_GATEWAY_METRICS_PORT") is None:
        return None
    return int(_number(environment, "SLIPWAY_GATEWAY_METRICS_PORT", 0))


def _sampling(environment: Environment) -> Sampling | None:
    """Which requests have spans, by OpenTelemetry's own variables."""
    named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    disabled = (environment.get("OTEL_SDK_DISABLED") or "").lower() == "true"
    if disabled or not any(environment.get(name) for name in named):
        return None
    sampler = environment.get("OTEL_TRACES_SAMPLER") or "parentbased_traceidratio"
    kind = sampler.removeprefix("parentbased_")
    if kind not in _SAMPLERS:
        known = ", ".join((*_SAMPLERS, *(f"parentbased_{each}" for each in _SAMPLERS)))
        raise SettingError(f"OTEL_TRACES_SAMPLER = {sampler!r}: not known here. Use one of {known}.")
    ratio = _ratio(environment) if kind == "traceidratio" else float(kind == "always_on")
    return Sampling(ratio, parent_decides=kind != sampler)


def _ratio(environment: Environment) -> float:
    text = environment.get("OTEL_TRACES_SAMPLER_ARG")
    try:
        ratio = _SAMPLED if text is None else float(text)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise SettingError(
            f"OTEL_TRACES_SAMPLER_ARG = {text!r}: not a number from 0 to 1. Set one, or leave it out for "
            f"{_SAMPLED:g}."
        )
    return ratio


def _number(environment: Environment, name: str, default: float) -> float:
    text = environment.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1
    if not 0 < value < 65_536:
        raise SettingError(
            f"{name} = {text!r}: not a number above 0. Set one, or leave it out for {default}."
        )
    return value
