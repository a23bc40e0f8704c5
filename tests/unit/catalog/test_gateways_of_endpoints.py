"""Where the gateway of an endpoint runs, and what is refused of that."""

import pytest

from slipway.catalog import Catalog, Deployment, Endpoint, data_planes
from slipway.catalog.rules.endpoints import gateways


def catalog(*endpoints: Endpoint, planes: tuple[str, ...] = ("east",), runtime: str = "vllm") -> Catalog:
    deployments = tuple(
        Deployment.model_validate(
            {"name": f"d{n}", "model": "m", "engine": "e", "runtime": runtime, "data_plane": plane}
        )
        for n, plane in enumerate(planes)
    )
    return Catalog(deployments=deployments, endpoints=endpoints)


def endpoint(name: str = "public", plane: str | None = None) -> Endpoint:
    return Endpoint(name=name, host="api.example.com", data_plane=plane)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (catalog(endpoint()), "east"),
        (catalog(endpoint(plane="west")), "west"),
        (catalog(endpoint(), runtime="ray"), None),
        (catalog(endpoint(), planes=("east", "west")), None),
    ],
)
def test_a_gateway_runs_where_the_deployments_are_or_where_it_is_told(
    made: Catalog, expected: str | None
) -> None:
    assert data_planes.of_endpoint(made, made.endpoints[0]) == expected


def test_with_several_clusters_an_endpoint_has_to_name_one() -> None:
    (found,) = gateways(catalog(endpoint(), planes=("east", "west")))
    assert (found.path, found.message) == (
        ("data_plane",),
        "says no data plane, and deployments are on east, west. Name one in data_plane",
    )
    assert list(gateways(catalog(endpoint(plane="west"), planes=("east", "west")))) == []


def test_no_endpoint_takes_the_name_of_the_route_table() -> None:
    (found,) = gateways(catalog(endpoint("routes")))
    assert found.path == ("name",)


def test_a_cluster_with_a_gateway_alone_is_a_data_plane_too() -> None:
    made = catalog(endpoint(plane="west"))
    assert data_planes.kubernetes(made) == ("east", "west")
    assert data_planes.deployments(made, "west") == ()
