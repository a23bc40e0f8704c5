"""Receivers of alerts in the catalog: what each kind needs, and what is refused with what to do."""

from pathlib import Path

import pytest

from slipway.catalog.documents import Settings
from slipway.catalog.files.loader import load
from slipway.catalog.problems import CatalogError

SETTINGS = "kind: Settings\nname: settings\nspec:\n  alert_receivers:\n{}"
URL = "webhook: {env: HOOK}"


def written(tmp_path: Path, *receivers: str) -> Settings:
    lines = "".join(f"    - {{name: ops, {receiver}}}\n" for receiver in receivers)
    (tmp_path / "catalog.yaml").write_text(SETTINGS.format(lines))
    return load(tmp_path).catalog.settings


def test_every_kind_is_taken_with_what_it_needs(tmp_path: Path) -> None:
    for receiver in (
        f"kind: slack, {URL}",
        f"kind: webhook, {URL}, least: critical, owners: [team:a, a@example.com]",
        "kind: email, to: [ops@example.com]",
        "kind: pagerduty, routing_key: {env: KEY}",
        "kind: pagerduty, routing_key: {env: KEY}, webhook: {env: EU}, alerts: [rollup_stale]",
    ):
        assert written(tmp_path, receiver).receivers[0].name == "ops"


@pytest.mark.parametrize(
    ("receivers", "message"),
    [
        (["kind: slack"], "a receiver of kind slack needs webhook. Add it"),
        (["kind: email, to: []"], "a receiver of kind email needs to. Add it"),
        ([f"kind: pagerduty, {URL}"], "a receiver of kind pagerduty needs routing_key"),
        (
            [f"kind: slack, {URL}, to: [a@b.example]"],
            "to means nothing to a receiver of kind slack",
        ),
        (["kind: slack, webhook: {secret: hooks, key: ops}"], "webhook is read from the environment"),
        ([f"kind: slack, {URL}, alerts: [stale]"], "alerts"),
        ([f"kind: slack, {URL}, least: bad"], "least"),
        (["kind: email, to: ['a@b.example, c@d.example']"], "to"),
        ([f"kind: slack, {URL}", f"kind: webhook, {URL}"], "two receivers are named ops. Rename one"),
        (
            ["kind: slack, webhook: {env: https://hooks.example/s3cret}"],
            "not the name of an environment variable",
        ),
    ],
)
def test_what_a_receiver_lacks_or_cannot_use_is_refused(
    tmp_path: Path, receivers: list[str], message: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        written(tmp_path, *receivers)
    said = "\n".join(map(str, refused.value.problems))
    assert message in said and "catalog.yaml:" in said and "s3cret" not in said


def test_a_webhook_alone_is_a_receiver_of_slack() -> None:
    settings = Settings.model_validate({"name": "s", "alert_webhook": {"env": "HOOK"}})
    assert [(each.name, each.kind, each.least) for each in settings.receivers] == [
        ("alert-webhook", "slack", "warning")
    ]
