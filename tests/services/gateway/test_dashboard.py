"""The dashboard's queries, answered by a real Prometheus that scrapes a real gateway.

Building Prometheus takes minutes the first time, so `make test-dashboards` runs them, and `make test` what
needs none.
"""

import json
import os
import re
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.stack.ports import free_ports
from testbed import programs
from testbed.server_processes import process, wait_until_answered

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "gateway.json"
CHAT = {"messages": [{"role": "user", "content": "hi"}]}
# What Grafana puts in place of its own names.
GRAFANA = {"$__rate_interval": "30s", "$deployment": ".*", "$org": ".*"}
CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
- job_name: slipway-gateway
  honor_labels: true
  static_configs: [targets: ["127.0.0.1:{port}"]]
"""

panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def prometheus_program() -> programs.Program:
    if not os.environ.get("SLIPWAY_TEST_DASHBOARDS"):
        pytest.skip("make test-dashboards runs it: it builds Prometheus, in some minutes the first time.")
    return programs.prometheus()


@pytest.fixture
def ask(gateway, prometheus_program, tmp_path) -> Iterator:
    """Asks a Prometheus that reads the gateway: `ask(path, **parameters)` is the `data` of its answer."""
    (port,) = free_ports(1)
    config, log = tmp_path / "prometheus.yml", tmp_path / "prometheus.log"
    config.write_text(CONFIG.format(port=gateway.metrics_port))
    command = [
        str(prometheus_program.path), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip

    def ask(path: str, **parameters: str):
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)["data"]

    with process(command, log, prometheus_program.environment()) as started:
        wait_until_answered(f"http://127.0.0.1:{port}/-/ready", log, by=started)
        yield ask


def as_grafana_asks(query: str) -> str:
    for name, value in GRAFANA.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


def traffic(gateway) -> None:
    """Whole and streamed answers, an engine's error, and a request without a key."""
    secret = gateway.secrets["acme"]
    for model in ("chat", "500"):
        for stream in (False, True):
            gateway.raw("/v1/chat/completions", {"model": model, "stream": stream, **CHAT}, secret=secret)
    gateway.raw("/v1/models")


def test_every_panel_of_the_dashboard_shows_data(gateway, fake, route, ask, eventually):
    gateway.route(route("chat", fake.url), route("500", fake.url), route("hangs", fake.url))
    held = {"model": "hangs", **CHAT}
    threading.Thread(
        target=gateway.raw, args=("/v1/chat/completions", held), kwargs={"secret": gateway.secrets["acme"]}
    ).start()
    queries = {
        f"{panel['title']}, {target['legendFormat']}": target
        for panel in panels
        for target in panel["targets"]
    }
    unanswered = set(queries)

    def all_answered() -> bool:
        traffic(gateway)
        for name in sorted(unanswered):
            result = ask("query", query=as_grafana_asks(queries[name]["expr"]))["result"]
            if result and all(each["value"][1] not in {"NaN", "+Inf"} for each in result):
                labels = set(re.findall(r"{{(\w+)}}", queries[name]["legendFormat"]))
                assert any(labels <= each["metric"].keys() for each in result), name
                unanswered.discard(name)
        return not unanswered

    try:
        eventually(all_answered, 30)
    finally:
        fake.release.set()
    assert unanswered == set()
    for name in ("deployment", "org"):
        found = ask(f"label/{name}/values", **{"match[]": "gen_ai_server_request_duration_seconds_count"})
        assert {"deployment": "chat", "org": "acme"}[name] in found


def test_every_metric_that_the_dashboard_asks_for_is_one_that_a_gateway_has(gateway, fake, route):
    gateway.route(route("chat", fake.url))
    traffic(gateway)
    said = gateway.metrics()
    asked = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"\b(?:gen_ai_(?:server|client)|slipway|process)_\w+", target["expr"])
    }
    assert len(asked) > 10
    assert {name for name in asked if f"\n{name}" not in said and f" {name} " not in said} == set()
