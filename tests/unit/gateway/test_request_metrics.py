import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway.gateway.telemetry import metrics, request_metrics
from slipway.gateway.telemetry.metrics import Now
from slipway.gateway.telemetry.request_metrics import MAX_ERROR_TYPES, RequestMetrics

NOW = Now(in_flight={}, spooled_events=0, job_ages_s={}, dropped_lines=0, dropped_traces=3)
CHAT = "/v1/chat/completions"


def observe(
    seen, *, path=CHAT, model="m", deployment="d", org="o", error=None, duration_s=0.5, first_s=0.05,
    per_token_s=0.02, tokens=(9, 2),
):  # fmt: skip
    seen.observe(path, model, deployment, org, error, duration_s, first_s, per_token_s, *tokens)


def samples(seen):
    text = metrics.exposition(NOW, seen).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def test_names_labels_and_buckets_are_the_conventions():
    seen = RequestMetrics()
    observe(seen)
    labels = {
        "gen_ai_operation_name": "chat", "gen_ai_provider_name": "slipway", "gen_ai_request_model": "m",
        "deployment": "d", "org": "o",
    }  # fmt: skip
    found = {
        (sample.name, sample.labels.get("le"), sample.labels.get("gen_ai_token_type")): sample
        for sample in samples(seen)
        if sample.name.startswith("gen_ai")
    }
    for family, count, total, below, above in (
        ("gen_ai_server_request_duration_seconds", 14, 0.5, "0.32", "0.64"),
        ("gen_ai_server_time_to_first_token_seconds", 16, 0.05, "0.04", "0.06"),
        ("gen_ai_server_time_per_output_token_seconds", 13, 0.02, "0.01", "0.025"),
    ):
        assert found[f"{family}_sum", None, None].value == pytest.approx(total)
        assert found[f"{family}_count", None, None].value == 1
        assert found[f"{family}_bucket", below, None].value == 0
        assert found[f"{family}_bucket", above, None].value == 1
        assert found[f"{family}_bucket", "+Inf", None].value == 1
        assert sum(name == f"{family}_bucket" for name, _, _ in found) == count + 1
        assert found[f"{family}_sum", None, None].labels == labels
    for token_type, total, below, above in (("input", 9, "4", "16"), ("output", 2, "1", "4")):
        family = "gen_ai_client_token_usage"
        assert found[f"{family}_sum", None, token_type].value == total
        assert found[f"{family}_bucket", below, token_type].value == 0
        assert found[f"{family}_bucket", above, token_type].value == 1
        assert found[f"{family}_sum", None, token_type].labels == labels | {"gen_ai_token_type": token_type}
    bounds = {le for name, le, _ in found if name == "gen_ai_client_token_usage_bucket"}
    assert {float(bound) for bound in bounds} == {*(4**power for power in range(14)), float("inf")}


def test_a_request_without_tokens_or_a_stream_has_a_duration_alone():
    seen = RequestMetrics()
    observe(seen, first_s=None, per_token_s=None, tokens=(0, 0), error="upstream_timeout")
    found = [sample for sample in samples(seen) if sample.name.startswith("gen_ai")]
    assert {sample.name.rpartition("_")[0] for sample in found} == {"gen_ai_server_request_duration_seconds"}
    assert {sample.labels["error_type"] for sample in found} == {"upstream_timeout"}


def test_paths_of_one_operation_share_their_series():
    seen = RequestMetrics()
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        observe(seen, path=path)
    counts = [each for each in samples(seen) if each.name == "gen_ai_server_request_duration_seconds_count"]
    assert [(each.value, each.labels["gen_ai_operation_name"]) for each in counts] == [(3, "rerank")]


def test_series_are_bounded_and_what_is_beyond_is_counted_under_other():
    most = 50
    seen = RequestMetrics(max_series=most)
    for number in range(1_000):
        observe(seen, org=f"org-{number}", error=f"error-{number}" if number % 2 else None)
    found = samples(seen)
    durations = [each for each in found if each.name == "gen_ai_server_request_duration_seconds_count"]
    assert sum(each.value for each in durations) == 1_000
    assert sum(each.value for each in durations if each.labels["org"] == "other") > 900
    assert {each.labels.get("error_type") for each in durations if each.labels["org"] == "other"} == {
        None, "_OTHER",
    }  # fmt: skip
    assert len([each for each in found if each.name.endswith("_count")]) < 2 * most


def test_error_types_are_bounded_and_look_like_names():
    seen = RequestMetrics()
    for number in range(MAX_ERROR_TYPES):
        observe(seen, error=f"code-{number}")
    for error in ("one more", "one_more", "", "x" * 65, 'x"} 1\n', "ü"):
        observe(seen, error=error)
        seen.refuse(error)
    seen.refuse(None)
    seen.refuse("code-0")
    found = samples(seen)
    types = [
        each.labels["error_type"]
        for each in found
        if each.name == "gen_ai_server_request_duration_seconds_count"
    ]
    assert sorted(types) == sorted([*(f"code-{number}" for number in range(MAX_ERROR_TYPES)), "_OTHER"])
    refused = {
        each.labels["error_type"]: each.value
        for each in found
        if each.name == "slipway_gateway_requests_refused_total"
    }
    assert refused == {"_OTHER": 7, "code-0": 1}


def test_any_name_of_a_model_is_written_so_that_it_is_read_again():
    seen = RequestMetrics()
    names = ['a"b', "a\\b", "a\nb", "meta/Llama-3", "模型", "half \ud800"]
    for name in names:
        observe(seen, model=name)
    found = {each.labels["gen_ai_request_model"] for each in samples(seen) if "gen_ai" in each.name}
    assert found == {*names[:-1], "half ?"}


def test_what_no_collector_took_and_the_process_are_told():
    found = {each.name: each.value for each in samples(RequestMetrics())}
    assert found["slipway_gateway_traces_dropped_total"] == 3
    assert found["process_resident_memory_bytes"] > 2**20


def test_observing_a_request_costs_a_few_microseconds():
    seen = RequestMetrics()
    observe(seen)
    best_s = 1.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(2_000):
            observe(seen)
        best_s = min(best_s, (time.process_time() - began) / 2_000)
    assert best_s < 20e-6  # 2 us on an idle machine; it would be 20 with a client library's own histograms


def test_operations_are_named_as_the_convention_names_them():
    names = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/audio/speech")
    assert [request_metrics.operation_of(name) for name in names] == [
        "chat", "text_completion", "embeddings", "speech",
    ]  # fmt: skip
