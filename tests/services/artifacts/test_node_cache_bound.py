"""`Settings.node_cache_size` on its way from the catalog to the cache that an engine's process opens."""

import pytest

from slipway.artifacts.errors import NoSpaceError
from slipway.catalog import Settings
from slipway.engines.fetch import fetched
from slipway.objectstore import ObjectStore
from slipway.runtimes.ray import render as ray
from testbed import stores

from .keeping import commit, deployment, publish


def test_the_bound_that_the_catalog_gives_is_the_one_that_a_replica_keeps_to(
    store: ObjectStore, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = publish(store, "m", commit(1))
    at = store.location
    node = {
        "SLIPWAY_HOME": str(tmp_path),
        **stores.variables(at),
    }
    for bound_bytes, fits in ((manifest.size_bytes - 1, False), (manifest.size_bytes, True)):
        settings = Settings(name="s", node_cache_size=str(bound_bytes))
        rendered = ray.render(deployment("chat", "m", commit(1)), settings.node_cache_bytes)
        replica = rendered["deployments"][0]["ray_actor_options"]["runtime_env"]["env_vars"]
        for name, value in {**node, **replica}.items():
            monkeypatch.setenv(name, value)
        if fits:
            assert (fetched(manifest.prefix) / "config.json").exists()
        else:
            with pytest.raises(NoSpaceError, match=f"bound {bound_bytes} bytes"):
                fetched(manifest.prefix)
