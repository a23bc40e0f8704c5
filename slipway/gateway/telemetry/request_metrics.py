"""What requests took, as histograms under OpenTelemetry's GenAI names, by deployment and org.

Belongs here: which values of a request are observed, under which labels, and how many there are at most.
Does not: the text that Prometheus reads of them (metrics.py), a request (slipway.gateway.usage.call).
Names, units and buckets: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/

Only the event loop observes, and it costs a request some microseconds: a look into a dictionary, and a place
in a list for each value. Another thread reads.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

DURATION = "gen_ai.server.request.duration"
FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105 (a name)
PER_TOKEN = "gen_ai.server.time_per_output_token"  # noqa: S105 (a name)
TOKENS = "gen_ai.client.token.usage"

# As the convention recommends them.
BOUNDS: dict[str, tuple[float, ...]] = {
    DURATION: (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    FIRST_TOKEN: (
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0
    ),
    PER_TOKEN: (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
    TOKENS: tuple(float(4**power) for power in range(14)),
}  # fmt: skip

# Histograms of one replica at most, 17 lines each. What comes later is counted under `other`.
MAX_SERIES = 2_000
_SERIES_OF_ONE = 5  # without errors
MAX_ERROR_TYPES = 64
OTHER = "other"
# OpenTelemetry's word for an error that has no name of its own.
_OTHER_ERROR = "_OTHER"
_IS_ERROR_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}").fullmatch

# Of paths whose operation OpenTelemetry names; any other operation is called as the end of its path.
_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
}


def operation_of(path: str) -> str:
    """`gen_ai.operation.name` of one of the gateway's paths."""
    return _OPERATIONS.get(path) or path[path.rfind("/") + 1 :]


class Histogram:
    """Counts by bucket, and the sum. `counts` has one more than there are bounds."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


@dataclass(frozen=True, slots=True)
class Served:
    """Whose request it was, and for what: the labels that all of its values share."""

    operation: str
    model: str
    deployment: str
    org: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Of one histogram: `error_type` and `token_type` are empty where it has none."""

    served: Served
    error_type: str = ""
    token_type: str = ""


class _Values:
    """The histograms of one `Served`."""

    __slots__ = ("by_error", "first_token", "input", "output", "per_token", "served", "success")

    def __init__(self, served: Served) -> None:
        self.served = served
        self.success = Histogram(BOUNDS[DURATION])
        self.by_error: dict[str, Histogram] = {}
        self.first_token = Histogram(BOUNDS[FIRST_TOKEN])
        self.per_token = Histogram(BOUNDS[PER_TOKEN])
        self.input = Histogram(BOUNDS[TOKENS])
        self.output = Histogram(BOUNDS[TOKENS])


class RequestMetrics:
    """All requests of one replica since its start."""

    def __init__(self, *, max_series: int = MAX_SERIES) -> None:
        self._max_series = max_series
        self._series = 0
        self._values: dict[tuple[str, str, str, str], _Values] = {}
        self._error_types: set[str] = set()
        self.refused: dict[str, int] = {}  # by code: what did not get as far as to be a request to a model

    def refuse(self, code: str | None) -> None:
        """A request was refused before it was known for which model it is."""
        code = self._error_type(code)
        self.refused[code] = self.refused.get(code, 0) + 1

    def observe(
        self,
        path: str,
        model: str,
        deployment: str,
        org: str,
        error_type: str | None,
        duration_s: float,
        first_token_s: float | None,
        per_token_s: float | None,
        input_tokens: int,
        output_tokens: int,
    ) -> None:
        """One request has ended. Of a model that is not known to its org neither name is given."""
        key = (operation_of(path), model, deployment, org)
        values = self._values.get(key) or self._new(key)
        duration = values.success if error_type is None else self._of_error(values, error_type)
        duration.observe(duration_s)
        if first_token_s is not None:
            values.first_token.observe(first_token_s)
        if per_token_s is not None:
            values.per_token.observe(per_token_s)
        if input_tokens:
            values.input.observe(input_tokens)
        if output_tokens:
            values.output.observe(output_tokens)

    def series(self) -> Iterator[tuple[str, Labels, Histogram]]:
        """Every histogram in which something is, with its name and labels; one name after another."""
        values = list(self._values.values())
        durations = [
            (Labels(each.served, error_type=error_type), histogram)
            for each in values
            for error_type, histogram in [("", each.success), *list(each.by_error.items())]
        ]
        families = {
            DURATION: durations,
            FIRST_TOKEN: [(Labels(each.served), each.first_token) for each in values],
            PER_TOKEN: [(Labels(each.served), each.per_token) for each in values],
            TOKENS: [
                (Labels(each.served, token_type=token_type), histogram)
                for each in values
                for token_type, histogram in (("input", each.input), ("output", each.output))
            ],
        }
        for name, family in families.items():
            for labels, histogram in family:
                if any(histogram.counts):
                    yield name, labels, histogram

    def _new(self, key: tuple[str, str, str, str]) -> _Values:
        if self._series >= self._max_series:
            key = (key[0], OTHER, OTHER, OTHER)
        if key not in self._values:
            self._series += _SERIES_OF_ONE
            self._values[key] = _Values(Served(*key))
        return self._values[key]

    def _of_error(self, values: _Values, error_type: str) -> Histogram:
        found = values.by_error.get(error_type)
        if found is not None:
            return found
        name = self._error_type(error_type)
        if self._series >= self._max_series:
            name = _OTHER_ERROR
        if name not in values.by_error:
            self._series += 1
            values.by_error[name] = Histogram(BOUNDS[DURATION])
        return values.by_error[name]

    def _error_type(self, error_type: str | None) -> str:
        """An error's name, which may be an engine's own: the first few count, if they look like names."""
        if error_type is None or not _IS_ERROR_TYPE(error_type):
            return _OTHER_ERROR
        if error_type not in self._error_types:
            if len(self._error_types) >= MAX_ERROR_TYPES:
                return _OTHER_ERROR
            self._error_types.add(error_type)
        return error_type
