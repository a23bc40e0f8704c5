import pytest

from slipway.gateway.admission import estimate
from slipway.gateway.admission.estimate import Demand, TemplateAllowance
from slipway.gateway.admission.limits import Bound
from slipway.gateway.api import bodies

ALLOWANCE = TemplateAllowance().of("chat")


def tokens_per_minute(limit: int) -> tuple[Bound, ...]:
    return (Bound("org", ("chat", "a"), "tokens", limit),)


def chat(content, **more):
    return {"model": "chat", "messages": [{"role": "user", "content": content}], **more}


def test_the_bound_of_an_english_prompt_is_its_bytes_and_little_more():
    text = "The quick brown fox jumps over the lazy dog. " * 100
    assert estimate.prompt_bound(chat(text), ALLOWANCE) - len(text) < 100


def test_tools_count_as_they_are_printed_into_the_prompt():
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"a": {"type": "string"}}}}]
    plain = estimate.prompt_bound(chat("x"), ALLOWANCE)
    assert estimate.prompt_bound(chat("x", tools=tools), ALLOWANCE) - plain > len(str(tools))


def test_an_image_costs_by_the_part_and_not_by_its_bytes():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    assert estimate.prompt_bound(chat([picture]), ALLOWANCE) < 5_000


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [("abc", 8 + 3), (["abc", "de"], 8 + 3 + 8 + 2), ([1, 2, 3, 4], 8 + 4), ([[1, 2], [3]], 8 + 2 + 8 + 1)],
)
def test_every_form_of_a_completion_prompt_is_counted(prompt, tokens):
    assert estimate.prompt_bound({"prompt": prompt}, ALLOWANCE) == tokens


@pytest.mark.parametrize(
    ("more", "least", "most"),
    [
        ({"max_tokens": 7}, 7, 7),
        ({"max_completion_tokens": 9}, 9, 9),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9, 9),
        ({"max_tokens": 7, "n": 3}, 21, 21),
        ({"max_tokens": 0}, 0, 0),
        ({}, 16, 250),
        ({"n": 2}, 32, 500),
    ],
)
def test_the_answer_is_reserved_as_asked_or_a_quarter_of_the_limit(more, least, most):
    demand = estimate.demand_of(chat("x", **more), tokens_per_minute(1000), ALLOWANCE)
    assert (demand.least_output, demand.most_output) == (least, most)


def test_without_a_limit_in_tokens_nothing_is_reserved():
    only_requests = (Bound("org", ("chat", "a"), "requests", 5),)
    assert estimate.demand_of(chat("x"), only_requests, ALLOWANCE) is None


def test_a_request_without_max_tokens_is_bound_to_what_it_was_granted():
    body = chat("x", n=2)
    estimate.bind(body, 100)
    assert body["max_tokens"] == 50


def test_what_the_client_asked_for_is_left_and_other_names_for_it_are_removed():
    body = chat("x", max_completion_tokens=9, n_predict=10_000, n_cmpl=50)
    estimate.bind(body, 9)
    assert body["max_tokens"] == body["max_completion_tokens"] == 9
    assert not {"n_predict", "n_cmpl"} & body.keys()


def test_the_allowance_grows_when_an_engine_reports_more_than_the_bound():
    allowance = TemplateAllowance()
    allowance.learn("chat", bound=100, reported=90)
    assert allowance.of("chat") == ALLOWANCE
    allowance.learn("chat", bound=100, reported=130)
    assert allowance.of("chat") == ALLOWANCE + 30
    assert allowance.of("other") == ALLOWANCE


def test_demands_add_up():
    body = {"prompt": ["abc", "abc"], "max_tokens": 5, "n": 2}
    bodies.check_completion(body)
    assert estimate.demand_of(body, tokens_per_minute(1000), ALLOWANCE) == Demand(2 * (8 + 3), 20, 20)
