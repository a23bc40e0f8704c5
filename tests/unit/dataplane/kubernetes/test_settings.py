"""Files that say where a cluster is and what it is like: malformed ones are told, in one line."""

from pathlib import Path

import pytest

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.connection import connect
from slipway.dataplane.kubernetes.settings import cluster_settings
from slipway.environment import Environment

S3 = {"SLIPWAY_S3_ENDPOINT": "http://s3:1", "SLIPWAY_S3_ACCESS_KEY": "a", "SLIPWAY_S3_SECRET_KEY": "s"}


@pytest.mark.parametrize("text", ["not: [yaml", "hello", "clusters: 3\n", "[1, 2]"])
def test_a_kubeconfig_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(DataPlaneError, match=r"SLIPWAY_KUBECONFIG=.*config: .*Name a kubeconfig file"):
        connect(Environment({"SLIPWAY_KUBECONFIG": str(path)}, tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("store: 3\n", r"settings: store: not a mapping"),
        ("gateway: 7\nray_head_image: 5\n", r"settings: gateway: .*; ray_head_image: .*Correct it"),
        ("stores: {}\n", r"settings: stores: no such setting. Known are store, "),
    ],
)
def test_wrong_settings_are_told_all_at_once(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "settings"
    path.write_text(text)
    with pytest.raises(DataPlaneError, match=said):
        cluster_settings(Environment({**S3, "SLIPWAY_KUBE_SETTINGS": str(path)}, tmp_path))
