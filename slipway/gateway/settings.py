"""The settings of one gateway replica, from the environment.

Belongs here: names, defaults and checks of SLIPWAY_GATEWAY_*, SLIPWAY_USAGE_SHIP_S and SLIPWAY_ROUTES_POLL_S.
Does not: what all of Slipway shares (slipway.environment).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from slipway.environment import Environment, S3Location

_SHIPPING_S = 25


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
    token: str = field(repr=False)
    tenants_db_url: str = field(repr=False)
    s3: S3Location

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
            token=environment.gateway_token,
            tenants_db_url=environment.tenants_db_url,
            s3=environment.s3,
        )


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
