"""Pages of lists as OpenAI's SDK follows them: `after`, `before`, `limit`; `first_id`, `last_id`, `has_more`.

Belongs here: which items a page has, pure. Does not: where they come from.

A cursor is the id of an item that may be gone by now: whoever deletes what he lists goes on after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from slipway.gateway.api.parameters import Parameters, bad_parameter

_T = TypeVar("_T")
_DEFAULT = 20
_MOST = 100


@dataclass(frozen=True, slots=True)
class Cursor:
    """What page is asked for."""

    after: str | None
    before: str | None
    limit: int
    newest_first: bool


def cursor_of(parameters: Parameters, *, default: int = _DEFAULT) -> Cursor:
    """From a query string. Raises ApiError."""
    after, before = parameters.text("after"), parameters.text("before")
    if after is not None and before is not None:
        raise bad_parameter("before", "`after` is given, too. Give one of them.")
    limit = parameters.integer("limit", 1, _MOST) or default
    return Cursor(after, before, limit, parameters.choice("order", "asc", "desc") == "desc")


@dataclass(frozen=True)
class Listing(Generic[_T]):
    """Items in order, oldest first, those that are gone too; which are shown; and how each is named."""

    items: Sequence[_T]
    id_of: Callable[[_T], str]
    is_shown: Callable[[_T], bool] = lambda _: True

    def page(self, cursor: Cursor, written: Callable[[_T], dict[str, Any]]) -> dict[str, Any]:
        """The page, written as OpenAI does. Raises ApiError for a cursor that never was an item."""
        items = list(reversed(self.items)) if cursor.newest_first else list(self.items)
        ids = [self.id_of(item) for item in items]
        if cursor.before is not None:
            shown = [item for item in items[: _place(ids, "before", cursor.before)] if self.is_shown(item)]
            page, more = shown[-cursor.limit :], len(shown) > cursor.limit
        else:
            begin = 0 if cursor.after is None else _place(ids, "after", cursor.after) + 1
            shown = [item for item in items[begin:] if self.is_shown(item)]
            page, more = shown[: cursor.limit], len(shown) > cursor.limit
        return {
            "object": "list",
            "data": [written(item) for item in page],
            "first_id": self.id_of(page[0]) if page else None,
            "last_id": self.id_of(page[-1]) if page else None,
            "has_more": more,
        }


def _place(ids: Sequence[str], name: str, id: str) -> int:
    try:
        return ids.index(id)
    except ValueError:
        raise bad_parameter(name, "It is no id of this list. Begin without it.") from None
