"""Whether a deployment on Ray serves, by its replicas' own word: Serve's may be of before a restart."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slipway.dataplane.protocol import AsksReplicas, LiveApplication
from slipway.dataplane.ray.ray_serve import RayServe

RECORDED = json.loads((Path(__file__).parent / "recorded" / "serving.json").read_text())
NAME = next(iter(RECORDED["applications"]))
CONFIG = RECORDED["applications"][NAME]["deployed_app_config"]
DIGEST = CONFIG["args"]["spec_digest"]
REPLICA = RECORDED["applications"][NAME]["deployments"]["llamacpp"]["replicas"][0]["replica_id"]


@dataclass
class FakeApi:
    """Stands for Serve's API: a recorded status document, and what the replica behind its proxy says."""

    answer: dict[str, Any] | None
    details: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(RECORDED))
    dashboard_url: str = "http://ray"
    serve_url: str = "http://serve"
    asked: int = 0

    def read(self) -> dict[str, Any]:
        return self.details

    def spec(self, _application: str) -> dict[str, Any] | None:
        self.asked += 1
        return self.answer


def seen(api: FakeApi) -> LiveApplication:
    plane = RayServe(api)  # type: ignore[arg-type]
    assert isinstance(plane, AsksReplicas)
    (live,) = plane.asked(plane.status())
    return live


@pytest.mark.parametrize(
    ("answer", "message", "is_serving"),
    [
        ({"replica": REPLICA, "spec_digest": DIGEST}, "every running replica reports the spec digest", True),
        (None, "no replica answers, whatever Serve says of it", False),
        (
            {"replica": REPLICA, "spec_digest": "0" * 64},
            "its replicas report another spec, whatever Serve says of it",
            False,
        ),
    ],
)
def test_a_replica_that_runs_is_asked_what_it_serves(
    answer: dict[str, Any] | None, message: str, is_serving: bool
) -> None:
    live = seen(FakeApi(answer))
    assert (live.message, live.is_serving) == (message, is_serving)


def test_what_serve_itself_says_does_not_serve_is_not_asked() -> None:
    api = FakeApi(None)
    api.details["applications"][NAME]["status"] = "DEPLOYING"
    live = seen(api)
    assert (live.is_serving, api.asked) == (False, 0)


def test_what_has_no_replica_is_not_woken_by_asking() -> None:
    api = FakeApi(None)
    api.details["applications"][NAME]["deployments"]["llamacpp"]["replicas"] = []
    live = seen(api)
    assert (live.is_serving, api.asked) == (True, 0)
