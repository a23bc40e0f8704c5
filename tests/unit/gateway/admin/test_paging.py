import pytest

from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.parameters import Parameters

ITEMS = [f"id-{number}" for number in range(7)]


def page(query: str, gone=(), items=ITEMS):
    listing = Listing(items, lambda item: item, lambda item: item not in gone)
    return listing.page(cursor_of(Parameters(query.encode())), lambda item: {"id": item})


def ids(found) -> list[str]:
    return [item["id"] for item in found["data"]]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_following_after_shows_every_item_once_in_order(order, limit):
    seen, after = [], ""
    while True:
        found = page(f"limit={limit}&order={order}{after}")
        seen += ids(found)
        assert (found["first_id"], found["last_id"]) == (found["data"][0]["id"], found["data"][-1]["id"])
        if not found["has_more"]:
            break
        after = f"&after={found['last_id']}"
    assert seen == (ITEMS if order == "asc" else ITEMS[::-1])


def test_who_deletes_what_a_page_shows_goes_on_after_it():
    first = page("limit=3")
    assert ids(page(f"limit=3&after={first['last_id']}", gone=ids(first))) == ["id-3", "id-4", "id-5"]


def test_before_shows_the_page_that_ends_there():
    found = page("limit=2&before=id-5")
    assert ids(found) == ["id-3", "id-4"]
    assert found["has_more"]
    assert not page("limit=5&before=id-5")["has_more"]


def test_an_empty_list_is_a_page():
    assert page("", items=[]) == {
        "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"), ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"), ("limit=\u0663", "limit"), ("order=up", "order"),
        ("after=nobody", "after"), ("after=id-1&before=id-2", "before"), ("after=" + "x" * 2000, "after"),
        ("after=a%00b", "after"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_page_is_refused_by_the_parameters_name(query, param):
    with pytest.raises(ApiError) as refused:
        page(query)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize("query", [b"a=%ff", b"a=1&" * 2000])
def test_a_query_string_that_is_none_is_refused(query):
    with pytest.raises(ApiError) as refused:
        Parameters(query)
    assert refused.value.status == 400
