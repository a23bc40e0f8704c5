import os

import pytest

from slipway.environment import Environment, MissingSettingError
from slipway.gateway.admission import auth
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.settings import GatewaySettings, SettingError

REQUIRED = {
    "SLIPWAY_S3_ENDPOINT": "http://127.0.0.1:1",
    "SLIPWAY_S3_ACCESS_KEY": "a",
    "SLIPWAY_S3_SECRET_KEY": "b",
    "SLIPWAY_GATEWAY_TOKEN": "token",
}


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        (b"Bearer sk-1", "sk-1"),
        (b"bearer  sk-1 ", "sk-1"),
        (b"Basic sk-1", None),
        (b"Bearer ", None),
        (b"Bearer", None),
        (b"", None),
        (b"Bearer \xff", "\xff"),
    ],
)
def test_the_secret_is_read_from_the_bearer_header_only(header, secret):
    assert auth.bearer([(b"x", b"y"), (b"authorization", header)]) == secret
    assert auth.bearer([(b"x-api-key", header)]) is None


def test_only_the_whole_token_is_the_operators():
    for sent, allowed in (
        (b"token", True),
        (b"toke", False),
        (b"tokens", False),
        (b"", False),
        (b"\xff", False),
    ):
        assert auth.is_operator([(b"authorization", b"Bearer " + sent)], "token") is allowed


def test_the_least_busy_upstream_is_taken_and_a_tried_one_only_without_another():
    gauge = Gauge()
    gauge.enter("a")
    assert gauge.least(["a", "b"]) == "b"
    assert gauge.least(["a", "b"], without=["b"]) == "a"
    assert gauge.least(["a"], without=["a"]) == "a"
    gauge.leave("a")
    assert gauge.counts() == {}


def test_settings_have_the_documented_defaults(tmp_path):
    settings = GatewaySettings.load(Environment.load({**REQUIRED, "SLIPWAY_HOME": str(tmp_path)}))
    assert (settings.host, settings.port, settings.replica) == ("127.0.0.1", 8080, "gateway-0")
    assert (settings.spool_dir, settings.ship_interval_s) == (tmp_path / "gateway" / "spool", 60)
    assert (settings.routes_interval_s, settings.drain_s) == (1, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLIPWAY_GATEWAY_PORT", "http"),
        ("SLIPWAY_GATEWAY_PORT", "70000"),
        ("SLIPWAY_USAGE_SHIP_S", "0"),
        ("SLIPWAY_USAGE_SHIP_S", "nan"),
        ("SLIPWAY_GATEWAY_REPLICA", "a/b"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_value(name, value, tmp_path):
    with pytest.raises(SettingError, match=f"{name} = '{value}'"):
        GatewaySettings.load(Environment.load({**REQUIRED, "SLIPWAY_HOME": str(tmp_path), name: value}))


def test_a_missing_setting_is_named_and_no_secret_is_in_the_settings_repr(tmp_path):
    for name in REQUIRED:
        with pytest.raises(MissingSettingError, match=name):
            GatewaySettings.load(Environment.load({**REQUIRED, "SLIPWAY_HOME": str(tmp_path), name: ""}))
    secrets = {**REQUIRED, "SLIPWAY_GATEWAY_TOKEN": "s3cr3t", "SLIPWAY_S3_SECRET_KEY": "s3cr3t"}
    settings = GatewaySettings.load(Environment.load({**secrets, "SLIPWAY_HOME": os.fspath(tmp_path)}))
    assert "s3cr3t" not in repr(settings)
