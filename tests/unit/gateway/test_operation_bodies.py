"""Every row of the table: what it takes, what it refuses, and what its requests can use at most."""

import orjson
import pytest

from slipway.gateway.admission import estimate
from slipway.gateway.admission.limits import Bound
from slipway.gateway.api import messages, pooling, responses
from slipway.gateway.api.answers import Wants
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.operations import OPERATIONS
from slipway.gateway.api.usage_count import UsageCount
from slipway.records.usage import Units

HI = [{"role": "user", "content": "Hi"}]
BODIES = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 5},
    "/v1/messages/count_tokens": {"messages": HI},
    "/v1/embeddings": {"input": ["a", "b"]},
    "/v1/rerank": {"query": "q", "documents": ["a", "b"]},
    "/v1/score": {"text_1": "a", "text_2": ["b", "c"]},
    "/classify": {"input": "a"},
    "/tokenize": {"prompt": "a"},
    "/detokenize": {"tokens": [1]},
}
BOUNDS = (Bound("org", ("m", "a"), "tokens", 10_000),)


@pytest.mark.parametrize("path", BODIES)
def test_a_good_body_is_taken_and_bound_by_no_more_fields_than_the_operation_has(path):
    operation, body = OPERATIONS[path], {"model": "m", **BODIES[path]}
    operation.check(body)
    before = dict(body)
    demand = estimate.demand_of(operation.reads, body, BOUNDS, operation.reads.template_tokens)
    estimate.bind(operation.reads, body, 100)
    if operation.reads.output:
        assert demand.prompt > 0 and demand.most_output > 0
        assert body[operation.reads.output[0]] == before.get(operation.reads.output[0], 100)
    else:
        assert (body, demand.least_output, demand.most_output) == (before, 0, 0)
    assert (demand.prompt == 0) == (operation.unit == "nothing")


COUNT = ("n", "max_output_tokens", "max_tokens", "max_completion_tokens")


@pytest.mark.parametrize("wrong", [-1, 1.5, "5", True, [], {}])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
def test_what_is_no_count_is_refused_by_its_name(path, wrong):
    for name in COUNT:
        if name == "n" and wrong is True:
            continue  # is 1
        with pytest.raises(ApiError) as refused:
            OPERATIONS[path].check({"model": "m", **BODIES[path], name: wrong})
        assert (refused.value.status, refused.value.param) == (400, name)


@pytest.mark.parametrize(
    ("path", "more", "param"),
    [
        ("/v1/responses", {"n": 2}, "n"),
        ("/v1/responses", {"n_cmpl": 2}, "n_cmpl"),
        ("/v1/messages", {"best_of": 5}, "best_of"),
        ("/v1/responses", {"input": None}, "input"),
        ("/v1/responses", {"input": []}, "input"),
        ("/v1/responses", {"input": ["x"]}, "input"),
        ("/v1/responses", {"previous_response_id": "r"}, "previous_response_id"),
        ("/v1/responses", {"conversation": {"id": "c"}}, "conversation"),
        ("/v1/responses", {"background": True}, "background"),
        ("/v1/messages", {"messages": [None]}, "messages[0]"),
        ("/v1/messages", {"system": 5}, "system"),
        ("/v1/messages", {"stream": "yes"}, "stream"),
        ("/v1/messages/count_tokens", {"messages": "x"}, "messages"),
        ("/v1/embeddings", {"input": [1, "x"]}, "input"),
        ("/v1/embeddings", {"input": []}, "input"),
        ("/v1/embeddings", {"messages": HI}, "messages"),
        ("/v1/embeddings", {"input": ["x"] * 100_000}, "input"),
        ("/classify", {"input": [[1]] * 2_049}, "input"),
        ("/v1/rerank", {"query": ""}, "query"),
        ("/v1/rerank", {"documents": []}, "documents"),
        ("/v1/rerank", {"documents": ["a", 5]}, "documents[1]"),
        ("/v1/score", {"text_1": ["a", "b", "c"]}, "text_1"),
        ("/v1/score", {"queries": "x"}, None),
        ("/v1/score", {"text_1": None}, None),
        ("/classify", {"input": {}}, "input"),
    ],
)
def test_what_an_operation_goes_by_is_what_it_must_be(path, more, param):
    with pytest.raises(ApiError) as refused:
        OPERATIONS[path].check({"model": "m", **BODIES[path], **more})
    assert (refused.value.status, refused.value.param) == (400, param)


def test_documents_and_searches_are_counted_as_they_are_compared():
    assert pooling.units_of_rerank({"query": "q", "documents": ["a"] * 3}) == Units(documents=3, searches=1)
    assert pooling.units_of_rerank({"query": "q", "documents": "a"}) == Units(documents=1, searches=1)
    score = pooling.units_of_score
    assert score({"text_1": "a", "text_2": "b"}) == Units(documents=1, searches=1)
    assert score({"queries": "a", "items": ["b", "c"]}) == Units(documents=2, searches=1)
    assert score({"data_1": ["a", "b"], "data_2": ["c", "d"]}) == Units(documents=2, searches=2)


def test_a_query_counts_beside_each_document_and_a_text_as_long_as_normalizing_makes_it():
    def of(documents: list, query: str = "q" * 100) -> int:
        return pooling.RERANK.bound({"query": query, "documents": documents})

    assert of(["a"] * 10) == 10 * of(["a"])
    assert of(["a"], "q" * 200) == of(["a"]) + 100
    # One character becomes eighteen, of 33 bytes.
    assert pooling.INPUTS.bound({"input": "\ufdfa"}) >= 33
    assert pooling.INPUTS.bound({"input": "abc"}) < 33
    assert pooling.INPUTS.bound({"input": ["abc"] * 100_000, "encoding_format": "base64"}) == 1_100_000


PICTURE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def test_pictures_count_by_their_rule_wherever_a_message_has_them():
    least = 4_096
    shown = {"type": "image", "source": PICTURE}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [shown]}
    for block in (shown, result, {"type": "image", "source": {"type": "url", "url": "https://x"}}):
        bound = messages.MESSAGES.bound({"messages": [{"role": "user", "content": [block]}]})
        assert bound >= least, block
    text = {"type": "text", "text": "x" * 500}
    bound = messages.MESSAGES.bound({"messages": [{"role": "user", "content": [text]}], "system": "s" * 100})
    assert 600 <= bound < 1_000
    part = {"type": "input_image", "image_url": "https://x"}
    for item in (
        {"role": "user", "content": [part]},
        {"type": "function_call_output", "call_id": "c", "output": [part]},
    ):
        assert responses.RESPONSES.bound({"input": [item]}) >= least, item
    assert 100 <= responses.RESPONSES.bound({"input": "x" * 100}) < 200


@pytest.mark.parametrize("kind", [[], {}, None, 5, "response.completed"])
def test_an_event_of_any_type_is_passed_on(kind):
    editor = responses.ResponsesEditor("m", Wants(usage=False, timings=False), UsageCount())
    said = b"data: " + orjson.dumps({"type": kind, "response": {"model": "m"}}) + b"\n\n"
    assert editor.feed(said) + editor.last == said
