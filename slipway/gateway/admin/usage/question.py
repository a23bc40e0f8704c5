"""One question about usage: read from a query string, whatever stands in it.

Belongs here: parameters, their bounds, and words for what cannot be answered. Does not: the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.gateway.admin.usage.buckets import WIDTH_S, BadPageError, Page, page_of
from slipway.gateway.admin.usage.kinds import Kind
from slipway.gateway.api.parameters import Parameters, bad_parameter

_DEFAULT_LIMIT = {"1h": 24, "1d": 7}
# Unix seconds of the year 2200: later ones are a slip of the pen, such as milliseconds.
_LATEST = 7_258_118_400
_NO_MINUTES = "Usage is kept by the hour, so that there are no buckets of a minute. Ask for `1h` or `1d`."
_FIELDS = {
    "project_ids": "projects",
    "user_ids": "users",
    "api_key_ids": "api_keys",
    "models": "models",
    "line_items": "models",
}


@dataclass(frozen=True)
class Question:
    """What is asked. A filter is None where everything counts; `group_by` has OpenAI's names."""

    kind: Kind
    page: Page
    group_by: frozenset[str]
    projects: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None
    api_keys: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    nothing: bool = False  # what is asked for does not exist here, such as batches


def read(kind: Kind, parameters: Parameters, now: int) -> Question:
    """The question of a query string. Raises ApiError (400)."""
    width = parameters.text("bucket_width") or "1d"
    if width == "1m":
        raise bad_parameter("bucket_width", _NO_MINUTES)
    if width not in kind.widths:
        raise bad_parameter("bucket_width", f"`{width}` is not one of {_listed(kind.widths)}.")
    start = parameters.integer("start_time", 0, _LATEST)
    if start is None:
        raise bad_parameter("start_time", "It is required: Unix seconds of the first moment to count.")
    end = parameters.integer("end_time", 0, _LATEST)
    if end is not None and end <= start:
        raise bad_parameter("end_time", f"{end} is not after start_time = {start}.")
    most = kind.largest_limit[width]
    limit = parameters.integer("limit", 1, most) or _DEFAULT_LIMIT[width]
    # No page after this moment: nothing has been used there yet.
    until = min(now + 1 if end is None else end, max(now, start) + 1)
    cursor = parameters.text("page")
    try:
        page = page_of(start, until, WIDTH_S[width], limit, cursor)
    except BadPageError as error:
        raise bad_parameter("page", "It is no `next_page` of this question. Begin without it.") from error
    filters = {_FIELDS[name]: parameters.texts(name) for name in sorted(kind.filters)}
    return Question(
        kind,
        page,
        _groups(kind, parameters),
        **filters,
        nothing=any(_asks_for_what_is_not(parameters, name) for name in kind.ignored_filters),
    )


def _groups(kind: Kind, parameters: Parameters) -> frozenset[str]:
    known = kind.group_by | kind.constant
    groups = frozenset(parameters.texts("group_by") or ())
    for unknown in sorted(groups - known):
        raise bad_parameter("group_by", f"`{unknown}` is not one of {_listed(known)}.")
    return groups


def _asks_for_what_is_not(parameters: Parameters, name: str) -> bool:
    """Whether a filter leaves nothing: nothing here is a batch, has a size or lies in a vector store."""
    if name == "batch":
        return parameters.flag(name) is True
    return parameters.texts(name) is not None


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
