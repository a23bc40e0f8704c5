import pytest

from slipway.gateway.admission import estimate
from slipway.gateway.admission.bounds import Bound
from slipway.gateway.admission.estimate import Demand
from slipway.gateway.api import bodies
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.prompts import CHAT, COMPLETION


def tokens_per_minute(limit: int) -> tuple[Bound, ...]:
    return (Bound("org", ("chat", "a"), "tokens", limit),)


def chat(content, **more):
    return {"model": "chat", "messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize(
    ("more", "least", "most"),
    [
        ({"max_tokens": 7}, 7, 7),
        ({"max_completion_tokens": 9}, 9, 9),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9, 9),
        ({"max_tokens": 7, "n": 3}, 21, 21),
        ({"max_tokens": 7, "n": 2, "best_of": 5}, 35, 35),
        ({"max_tokens": 0}, 0, 0),
        ({}, 16, 250),
        ({"n": 2}, 32, 500),
        ({"prompt": []}, 16, 250),
        ({"prompt": ["a", "b"]}, 16, 250),
    ],
)
def test_the_answer_is_reserved_as_asked_or_a_quarter_of_the_limit(more, least, most):
    demand = estimate.demand_of(CHAT, chat("x", **more), tokens_per_minute(1000), 64)
    assert (demand.least_output, demand.most_output) == (least, most)


def test_without_a_limit_in_tokens_nothing_is_reserved_and_everything_is_taken():
    only_requests = (Bound("org", ("chat", "a"), "requests", 5),)
    assert estimate.demand_of(CHAT, chat("x", chat_template="{{ x }}"), only_requests, 64) is None


@pytest.mark.parametrize(
    "more",
    [
        {"chat_template": "{% for _ in range(9999) %}long {% endfor %}"},
        {"chat_template_kwargs": {"chat_template": "{{ 'long ' * 9999 }}"}},
        {"mm_processor_kwargs": {"max_pixels": 10**9}},
        {"media_io_kwargs": {"video": {"num_frames": 10**5}}},
    ],
)
def test_what_makes_any_number_of_tokens_of_a_few_bytes_is_refused_where_tokens_are_limited(more):
    with pytest.raises(ApiError, match="is not taken for this model: it has limits in tokens") as refused:
        estimate.demand_of(CHAT, chat("x", **more), tokens_per_minute(1000), 64)
    assert refused.value.status == 400


def test_a_request_without_max_tokens_is_bound_to_what_it_was_granted():
    body = chat("x", n=2)
    estimate.bind(CHAT, body, 100)
    assert body["max_tokens"] == 50


def test_prompts_that_a_chat_does_not_read_do_not_divide_what_it_was_granted():
    body = chat("x", prompt=[])
    estimate.bind(CHAT, body, 100)
    assert body["max_tokens"] == 100


def test_what_the_client_asked_for_is_left_and_other_names_for_it_are_removed():
    body = chat("x", max_completion_tokens=9, n_predict=10_000, n_cmpl=50)
    estimate.bind(CHAT, body, 9)
    assert body["max_tokens"] == body["max_completion_tokens"] == 9
    assert not {"n_predict", "n_cmpl"} & body.keys()


def test_demands_add_up():
    body = {"prompt": ["abc", "abc"], "max_tokens": 5, "n": 2}
    bodies.check_completion(body)
    assert estimate.demand_of(COMPLETION, body, tokens_per_minute(1000), 0) == Demand(2 * (8 + 3), 20, 20)
