import copy
from typing import Any

import pytest

from slipway.runtimes.ray.serve_config import declared, differences, is_applied, merged, owned

SERVE_URL = "http://127.0.0.1:8123"


def app(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "route_prefix": f"/{name}", "import_path": "theirs:app", **fields}


def details(*configs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    applications = {each["name"]: {"status": "RUNNING", "deployed_app_config": each} for each in configs}
    return {"applications": applications, "proxies": {}, **fields}


def test_other_peoples_applications_and_options_are_written_back_as_they_were() -> None:
    theirs = app("theirs", runtime_env={"env_vars": {"A": "b"}}, args={"deep": [1, {"x": 2}]})
    running = details(
        theirs,
        proxy_location="EveryNode",
        http_options={"host": "0.0.0.0", "port": 80},
        grpc_options={"port": 9000},
        target_capacity=50.0,
    )
    before = copy.deepcopy(running)
    document = merged(running, SERVE_URL, put=app("ours"), remove=())
    assert document["applications"] == [theirs, app("ours")]
    assert {name: document[name] for name in before if name not in {"applications", "proxies"}} == {
        name: value for name, value in before.items() if name not in {"applications", "proxies"}
    }
    assert running == before


def test_the_first_configuration_makes_serve_listen_where_its_url_says() -> None:
    document = merged({"applications": {}, "target_capacity": None}, SERVE_URL, put=app("ours"))
    assert document["http_options"] == {"host": "127.0.0.1", "port": 8123}
    assert document["proxy_location"] == "HeadOnly"


def test_putting_replaces_and_removing_removes_only_what_is_named() -> None:
    running = details(app("a"), app("b"), app("c"))
    document = merged(running, SERVE_URL, put=app("b", args={"new": 1}), remove={"c", "never-there"})
    assert document["applications"] == [app("a"), app("b", args={"new": 1})]


def test_applications_deployed_from_python_or_being_deleted_are_not_declared() -> None:
    running = details(app("a"))
    running["applications"]["imperative"] = {"status": "RUNNING", "deployed_app_config": None}
    running["applications"]["leaving"] = {"status": "DELETING"}
    assert set(declared(running)) == {"a"}


def test_values_that_ray_hid_are_never_written_back() -> None:
    hidden = app(
        "theirs", deployments=[{"ray_actor_options": {"runtime_env": {"env_vars": {"A": "<redacted>"}}}}]
    )
    with pytest.raises(ValueError, match="hid environment values"):
        merged(details(hidden), SERVE_URL, put=app("ours"))


def test_what_serve_adds_is_no_difference_and_what_it_changes_is() -> None:
    wanted = app("a", deployments=[{"name": "d", "num_replicas": 1}], args={"x": [1, 2]})
    found = app(
        "a", deployments=[{"name": "d", "num_replicas": 1.0, "extra": True}], args={"x": [1, 2], "y": 0}
    )
    assert differences(wanted, found) == ()
    found["deployments"][0]["num_replicas"] = 2
    found["args"]["x"] = [1]
    assert set(differences(wanted, found)) == {"deployments[0].num_replicas", "args.x"}
    assert not is_applied(wanted, details(found))
    assert is_applied(wanted, details(wanted))


def test_an_application_is_ours_by_what_it_runs_and_for_whom() -> None:
    ours = app("chat-1", import_path="slipway.engines.llamacpp:build", args={"deployment": "chat"})
    other = app("code-1", import_path="slipway.engines.llamacpp:build", args={"deployment": "code"})
    theirs = app("chat-2", args={"deployment": "chat"})
    running = details(ours, other, theirs)
    assert [name for name, _, _ in owned(running, "chat")] == ["chat-1"]
    assert [name for name, _, _ in owned(running, None)] == ["chat-1", "code-1"]
