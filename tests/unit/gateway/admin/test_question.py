import pytest

from slipway.gateway.admin.usage import question
from slipway.gateway.admin.usage.kinds import KINDS
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.parameters import Parameters

BY_NAME = {kind.name: kind for kind in KINDS}
NOW = 1_773_187_200 + 1_800  # half past midnight
DAY = 86_400


def asked(query: str, kind: str = "completions"):
    return question.read(BY_NAME[kind], Parameters(query.encode()), NOW)


def test_without_an_end_the_running_hour_is_the_last_one():
    buckets = asked(f"start_time={NOW - 2 * DAY}&bucket_width=1h&limit=168").page.buckets
    assert buckets[-1].end == NOW + 1_800
    assert asked(f"start_time={NOW}").page.buckets[-1].end == NOW + 1_800


def test_an_end_far_off_makes_no_pages_of_the_future():
    assert asked(f"start_time={NOW - DAY}&end_time={NOW + 999 * DAY}").page.next_page is None


@pytest.mark.parametrize(("width", "default", "most"), [("1d", 7, 31), ("1h", 24, 168)])
def test_a_page_has_openais_number_of_buckets(width, default, most):
    for limit, expected in (("", default), (f"&limit={most}", most)):
        question_asked = asked(f"start_time=0&bucket_width={width}{limit}")
        assert len(question_asked.page.buckets) == expected
    with pytest.raises(ApiError):
        asked(f"start_time=0&bucket_width={width}&limit={most + 1}")


def test_lists_are_read_as_the_sdk_writes_them_and_as_repeated_names():
    for query in ("group_by[]=model&group_by[]=user_id", "group_by%5B%5D=model&group_by=user_id"):
        assert asked(f"start_time=0&{query}").group_by == {"model", "user_id"}
    assert asked("start_time=0&models[]=a&models[]=b").models == ("a", "b")
    assert asked("start_time=0&line_items[]=a", "costs").models == ("a",)


@pytest.mark.parametrize("query", ["batch=true", "batch[]=true"])
def test_batches_have_no_usage_because_there_are_none(query):
    assert asked(f"start_time=0&{query}").nothing
    assert not asked("start_time=0&batch=false").nothing


@pytest.mark.parametrize(
    ("query", "kind", "param"),
    [
        ("", "completions", "start_time"),
        ("start_time=", "completions", "start_time"),
        ("start_time=yesterday", "completions", "start_time"),
        ("start_time=-1", "completions", "start_time"),
        (f"start_time={NOW * 1000}", "completions", "start_time"),
        ("start_time=5&end_time=5", "completions", "end_time"),
        ("start_time=5&bucket_width=1m", "completions", "bucket_width"),
        ("start_time=5&bucket_width=1w", "completions", "bucket_width"),
        ("start_time=5&bucket_width=1h", "costs", "bucket_width"),
        ("start_time=5&group_by[]=org", "completions", "group_by"),
        ("start_time=5&group_by[]=batch", "embeddings", "group_by"),
        ("start_time=5&page=page_7", "completions", "page"),
        ("start_time=5&batch=perhaps", "completions", "batch"),
        ("start_time=5&limit=181", "costs", "limit"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_by_the_parameters_name(query, kind, param):
    with pytest.raises(ApiError) as refused:
        asked(query, kind)
    assert (refused.value.status, refused.value.param) == (400, param)
