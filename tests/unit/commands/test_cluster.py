"""What `slipway get`, `describe`, `logs`, `diff`, `pause` and `resume` print. Planes, records: fakes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipway.catalog import Catalog
from slipway.catalog.resolved import resolve
from slipway.commands import cluster
from slipway.commands.main import cli
from slipway.dataplane.kubernetes.serving.reading import Description, PodOutput
from slipway.dataplane.protocol import Difference, LiveApplication
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision
from slipway.records.route_store import NumberedTable
from slipway.records.routes import Route, build

CATALOG = Catalog.model_validate(
    {
        "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
        "adapters": [{"name": "tone", "base": "m", "source": f"hf://o/a@{'1' * 40}"}],
        "engines": [{"name": "e", "server": "vllm"}],
        "deployments": [
            {"name": "chat", "model": "m", "engine": "e", "runtime": "vllm", "adapters": ["tone"]}
        ],
    }
)
SPEC = resolve(CATALOG, CATALOG.deployments[0], {})
RENDERED = {"engine_names": {"chat": "chat", "tone": "chat_tone"}}
URL = "http://chat.svc/v1"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
RECORD = revisions.of(SPEC, Applied(SPEC.revision_name, "chat", SPEC.spec_digest, RENDERED), URL, NOON)
LIVE = LiveApplication(SPEC.revision_name, "chat", SPEC.spec_digest, URL, "serving", "all well", 2, 3, True)
UNRECORDED = replace(LIVE, name="chat-0", spec_digest="0" * 64, state="starting", is_serving=False)


@dataclass
class FakeConnections:
    """Stands for control's connections with one cluster: its own planes, cluster, people and records."""

    live: list[LiveApplication] = field(default_factory=lambda: [LIVE, UNRECORDED])
    records: list[Revision] = field(default_factory=lambda: [replace(RECORD, state="failed", cause="no GPU")])
    outputs: list[PodOutput] = field(default_factory=list)
    differs: Difference = field(default_factory=lambda: Difference("none", LIVE.name))
    paused: list[bool] = field(default_factory=list)
    can_pause: bool = True
    published: list[Route] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        assert name in ("planes", "revisions", "routes"), name
        return self

    def __str__(self) -> str:
        return "kubernetes default"

    def latest(self) -> NumberedTable:
        return NumberedTable(1, build(self.published))

    def kubernetes(self) -> list[Any]:
        return [self]

    def people(self) -> Any:
        return self

    def confirmed(self, name: str | None = None) -> list[LiveApplication]:
        return [each for each in self.live if name in (None, each.deployment)]

    def get(self, deployment: str, spec_digest: str) -> Revision | None:
        return next((each for each in self.records if each.spec_digest == spec_digest), None)

    def all(self, deployment: str) -> list[Revision]:
        return self.records

    def put(self, revision: Revision) -> Revision:
        self.records = [revision]
        return revision

    def diff(self, wanted: Applied) -> Difference:
        return self.differs

    def describe(self, name: str) -> dict[str, Description]:
        told = Description("Deployment x", ("Available True",), ("pod-1 Running", "pod-2 Pending"), ())
        return {SPEC.revision_name: told}

    def output(self, name: str, application: str | None, lines: int, *, previous: bool) -> list[PodOutput]:
        return self.outputs

    def pause(self, name: str, *, paused: bool) -> list[str]:
        self.paused.append(paused)
        return ["Deployment x"] if self.can_pause else []


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> FakeConnections:
    found = FakeConnections()
    monkeypatch.setattr(cluster, "_connected", lambda: found)
    return found


Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(cli, words)


def test_get_lists_every_revision_with_the_names_to_use_also_those_without_a_record(
    at: FakeConnections, run: Run
) -> None:
    assert run("get", "deployments").output.splitlines() == [
        f"{LIVE.name}  vllm  serving (failed)  2/3  {URL}  chat, tone (there chat_tone)",
        f"chat-0  unknown  starting (not recorded)  2/3  {URL}  chat",
        "2 on kubernetes default",
    ]
    row = json.loads(run("get", "deployments", "chat", "--json").output)[0]
    assert row == {
        "application": LIVE.name,
        "deployment": "chat",
        "spec_digest": SPEC.spec_digest,
        "runtime": "vllm",
        "state": "serving",
        "recorded": "failed",
        "ready": 2,
        "wanted": 3,
        "base_url": URL,
        "names": ["chat", "tone"],
        "engine_names": {"tone": "chat_tone"},
    }


def test_public_names_are_shown_with_what_to_ask_the_engine_for(at: FakeConnections, run: Run) -> None:
    at.live = [LIVE]
    target = {"deployment": "chat", "revision": SPEC.spec_digest, "upstreams": (URL,), "upstream_model": "x"}
    at.published = [
        Route(model="org/Chat-1.0", served_name="chat", **target),
        Route(model="tone", **target),
        Route(model="org/Tone", served_name="tone", **target),
    ]
    row = json.loads(run("get", "deployments", "--json").output)[0]
    assert row["names"] == ["org/Chat-1.0", "org/Tone", "tone"]
    assert row["engine_names"] == {"org/Chat-1.0": "chat", "org/Tone": "chat_tone", "tone": "chat_tone"}


def test_describe_tells_record_model_conditions_and_pods(at: FakeConnections, run: Run) -> None:
    at.live = [LIVE]
    assert run("describe", "chat").output.splitlines() == [
        LIVE.name,
        f"  spec       {SPEC.spec_digest}",
        "  recorded   failed: no GPU",
        "  runtime    vllm",
        "  state      serving, 2/3 replicas, all well",
        f"  base URL   {URL}",
        "  names      chat, tone (there chat_tone)",
        f"  model      m hf://o/m@{'1' * 40} at {'1' * 40}, text-generation",
        f"  applied    {NOON.isoformat()}",
        "  conditions Available True",
        "  pods       pod-1 Running",
        "             pod-2 Pending",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("describe", "other"),
            "other: nothing of it is on kubernetes default. See `slipway get deployments`.",
        ),
        (("logs", "chat"), "chat: no pods on kubernetes default. On plain Ray, see Ray's dashboard."),
        (("pause", "chat"), "chat: nothing of it is on Kubernetes, and plain Ray cannot pause."),
    ],
)
def test_what_is_not_there_is_told_with_where_to_look(
    at: FakeConnections, run: Run, words: tuple[str, ...], said: str
) -> None:
    at.can_pause = False
    assert str(run(*words).exception) == said


def test_logs_are_told_container_by_container(at: FakeConnections, run: Run) -> None:
    at.outputs = [PodOutput("pod-1", "engine", ("one", "two"))]
    assert run("logs", "chat").output == "== pod-1/engine\none\ntwo\n"


def test_diff_exits_with_3_where_an_edit_by_hand_is_found(at: FakeConnections, run: Run) -> None:
    same = run("diff")
    assert (same.exit_code, same.output) == (0, "nothing differs\n")
    at.differs = Difference("update", LIVE.name, ("replicas",), ("spec.replicas: 2 -> 1",))
    edited = run("diff", "chat")
    assert (edited.exit_code, edited.output.splitlines()) == (
        3,
        [f"update {LIVE.name}", "    spec.replicas: 2 -> 1", "1 differ"],
    )
    at.live = [replace(LIVE, is_parked=True)]
    assert run("diff").exit_code == 0


def test_a_secret_that_was_put_in_by_hand_is_not_shown(at: FakeConnections, run: Run) -> None:
    secret = "hf_" + "aB3dE6gH9" * 4
    at.differs = Difference("update", LIVE.name, ("env",), (f"env[A].value: null -> {secret}",))
    printed = run("diff").output
    assert "env[A].value: null -> (not shown)" in printed
    assert secret not in printed


def test_diff_of_what_is_nowhere_is_no_agreement(at: FakeConnections, run: Run) -> None:
    found = run("diff", "nope")
    assert found.exit_code == 1
    assert "nope: nothing of it is on kubernetes default" in str(found.exception)


def test_pause_and_resume_say_what_they_did(at: FakeConnections, run: Run) -> None:
    assert run("pause", "chat").output == "chat is paused: Deployment x\n"
    at.records = [replace(RECORD, state="withdrawn")]
    assert run("resume", "chat").output == f"chat goes on; wanted again: {SPEC.spec_digest[:8]}\n"
    assert at.paused == [True, False]
    assert at.records[0].state == "applied"
    assert run("resume", "chat").output == "chat goes on\n"
