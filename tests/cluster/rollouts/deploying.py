"""One Dagster run over a catalog: what a person's click or the drift sensor starts, in this process.

Belongs here: materializing a deployment's assets; `python -m tests.cluster.rollouts.deploying CATALOG` is the
run that a test kills. Does not: what the run finds (the tests), the servers (the environment names them).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from assets import keys
from assets.endpoint_gateways import gateway_keys
from pipelines.definitions import build_definitions
from resources.all import resources
from slipway.catalog import data_planes
from slipway.control.check import check_catalog


def deploy(catalog: Path, variables: Mapping[str, str]) -> dg.ExecuteInProcessResult:
    """Data planes, every rollout and endpoint, then the routes; a failed run is returned, not raised."""
    loaded = check_catalog(catalog).catalog
    deployments = loaded.deployments
    return materialize(
        catalog,
        variables,
        [
            *(keys.data_plane(name) for name in data_planes.kubernetes(loaded)),
            *(keys.rollout(each.name) for each in deployments),
            *(keys.endpoint(each.name) for each in deployments),
            keys.ROUTES,
        ],
    )


def bring_around(catalog: Path, variables: Mapping[str, str]) -> dg.ExecuteInProcessResult:
    """Data planes and gateways alone."""
    loaded = check_catalog(catalog).catalog
    planes = [keys.data_plane(name) for name in data_planes.kubernetes(loaded)]
    return materialize(catalog, variables, [*planes, *gateway_keys(loaded)])


def materialize(
    catalog: Path,
    variables: Mapping[str, str],
    selection: Sequence[dg.AssetKey],
    partition: str | None = None,
) -> dg.ExecuteInProcessResult:
    """These assets in one run; pinned sources and digests need no earlier one."""
    definitions = build_definitions(catalog)
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            list(definitions.assets or ()),
            selection=list(selection),
            resources=resources(dict(variables)),
            instance=instance,
            partition_key=partition,
            raise_on_error=False,
        )


def failures(result: dg.ExecuteInProcessResult) -> str:
    """Why steps failed, as the run shows it."""
    failed = [each.step_failure_data for each in result.all_events if each.is_step_failure]
    descriptions = [(each.user_failure_data.description if each.user_failure_data else "") for each in failed]
    return "\n".join(str(each) for each in descriptions)


if __name__ == "__main__":
    sys.exit(0 if deploy(Path(sys.argv[1]), dict(os.environ)).success else 1)
