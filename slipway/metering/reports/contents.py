"""What each report shows: its rows, bounded, with the plots and tables over them.

Belongs here: a part per kind, as page.js takes it, and what is left out of it, in words.
Does not: the SQL (sql/report_*.sql, sql/ask_latency.sql), drawing (page.js).

A part: rows in columns, names as places in `names`, money as exact decimal text, times as Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from slipway.metering.asking import Question, ask, told
from slipway.metering.periods import Period
from slipway.metering.published import PublishedCopy

# A page stays below some 5 MB: so many rows, and so many counts of histograms.
MAX_ROWS, MAX_COUNTS = 20_000, 400_000
# Longer periods are shown by the day.
_HOURLY_UP_TO = timedelta(days=31)
_HOUR_S, _DAY_S = 3600, 86_400

Part = dict[str, Any]


def latency(copy: PublishedCopy, question: Question) -> Part:
    """TTFT, ITL and whole duration by hour and deployment. Raises WarehouseError, UnknownNameError."""
    asked = replace(question, orgs=(), keys=(), by="hour", per=("deployment",))
    kept, notes = _kept_deployments(copy, asked.period, asked.deployments)
    # Without any, no name is asked for: that would be all of them.
    answers = [ask(copy, "latency", replace(asked, deployments=tuple(kept)))] if kept else []
    names = _Names()
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (dict(zip(answer.columns, given, strict=True)) for answer in answers for given in answer.rows):
        if row["metric"] in _METRICS:
            of_hour = rows.setdefault((row["start"], row["deployment"]), {"requests": row["requests"]})
            of_hour |= {f"{row['metric']}_{name}": row[f"{name}_ms"] for name in _QUANTILES}
            of_hour |= {name: row[name] for name in _RATES}
    columns = ["requests", *(f"{metric}_{name}" for metric in _METRICS for name in _QUANTILES), *_RATES]
    places = {key: place for place, key in enumerate(rows)}
    return {
        **_part("Latency", asked.period, _HOUR_S, notes, _complete_until(copy)),
        "columns": ["hour", "deployment", *columns, "histogram"],
        "names": {"deployment": names.listed},
        "rows": [
            [_seconds(start), names.place(deployment), *(_rounded(row.get(name)) for name in columns), place]
            for place, ((start, deployment), row) in enumerate(rows.items())
        ],
        "histograms": _histograms(copy, asked.period, kept, places),
        "plots": [
            _plot("Time to first token", "ms", ["ttft_p50", "ttft_p95"], ["p50", "p95"], split="deployment"),
            _plot("Between tokens", "ms", ["itl_p50", "itl_p95"], ["p50", "p95"], split="deployment"),
            _plot("Request", "ms", ["duration_p50", "duration_p95"], ["p50", "p95"], split="deployment"),
            _plot("Requests", "", ["requests"], ["requests"], empty=0),
        ],
        "tables": [
            {
                "title": "The period, ms (merged from histograms: within 1.01%)",
                "group": ["deployment"],
                "measures": [
                    {"label": "requests", "column": "requests"},
                    *(
                        {"label": f"{label} p{q * 100:g}", "metric": metric, "quantile": q}
                        for metric, label in _METRICS.items()
                        for q in (0.5, 0.95, 0.99)
                    ),
                ],
            },
            {
                "title": "By hour, ms",
                "group": ["hour", "deployment"],
                "measures": [
                    {"label": "requests", "column": "requests"},
                    *(
                        {"label": f"{label} {name}", "column": f"{metric}_{name}", "as_is": True}
                        for metric, label in _METRICS.items()
                        for name in _QUANTILES
                    ),
                ],
            },
        ],
    }  # fmt: skip


def usage(copy: PublishedCopy, question: Question) -> Part:
    """Requests, tokens, units and exact cost by hour (or day), organisation and deployment."""
    step, step_s = _step(question.period)
    steps = -(-(question.period.end - question.period.start).total_seconds() // step_s)
    given = _parameters(question)
    (count,) = copy.rows("report_usage_pairs", **given)
    pairs = max(1, int(MAX_ROWS // steps))
    notes = [] if step == "hour" else ["Longer than a month: by the day."]
    if count["pairs"] > pairs:
        notes.append(
            f"The {pairs} busiest pairs of organisation and deployment are shown; the other "
            f"{count['pairs'] - pairs} are summed as (others)."
        )
    rows = copy.rows("report_usage", **given, step=step, pairs=pairs)
    counted = [*_COUNTS, "cost"]
    return {
        **_part("Usage and cost", question.period, step_s, notes, _complete_until(copy)),
        **_rows(rows, ["org", "deployment", "currency"], counted),
        "money": ["cost"],
        "plots": [
            _plot("Requests", "", ["requests", "errors", "limited"], ["all", "errors", "limited"], empty=0),
            _plot("Tokens", "", list(_TOKENS), ["input", "cached", "output"], empty=0),
            _plot("Earned", "", ["cost"], [""], split="currency", empty=0),
        ],
        "tables": [
            _sums("By organisation and deployment", ["org", "deployment", "currency"], _used(rows)),
            _sums("By hour" if step == "hour" else "By day", ["hour", "currency"], _used(rows)),
        ],
    }  # fmt: skip


def economics(copy: PublishedCopy, question: Question) -> Part:
    """What deployments earned beside the GPU time that they took, and what that cost."""
    step, step_s = _step(question.period)
    given = {name: value for name, value in _parameters(question).items() if name != "orgs"}
    rows = copy.rows("report_economics", **given, step=step)
    kept = {name for name, _ in _busiest(rows)}
    notes = [] if step == "hour" else ["Longer than a month: by the day."]
    left_out = {row["deployment"] for row in rows} - kept
    if left_out:
        notes.append(f"Left out: the {len(left_out)} deployments with the fewest requests.")
    money = ["earned", "gpu_cost", "margin"]
    counted = ["requests", "output", "replica_seconds", "gpu_seconds", "idle_gpu_seconds", *money]
    return {
        **_part("Economics", question.period, step_s, notes, _complete_until(copy)),
        **_rows([row for row in rows if row["deployment"] in kept], ["deployment", "currency"], counted),
        "money": money,
        "plots": [
            _plot("Earned", "", ["earned"], [""], split="currency", empty=0),
            _plot("Cost of GPUs", "", ["gpu_cost"], [""], split="currency", empty=0),
            _plot("Margin", "", ["margin"], [""], split="currency", empty=0),
            _plot("Time of GPUs and replicas", "s", ["gpu_seconds", "replica_seconds"], ["GPUs", "replicas"]),
            _plot("Output tokens", "", ["output"], ["output"], empty=0),
        ],
        "tables": [
            _sums("By deployment", ["deployment", "currency"], counted),
            _sums("By hour" if step == "hour" else "By day", ["hour", "currency"], counted),
        ],
    }


Kind = Callable[[PublishedCopy, Question], Part]
KINDS: Mapping[str, Kind] = {"latency": latency, "usage": usage, "economics": economics}

_METRICS = {"ttft": "first token", "itl": "between tokens", "duration": "request"}
_QUANTILES = ("p50", "p90", "p95", "p99", "max")
_RATES = ("requests_per_s", "output_tokens_per_s")
_TOKENS = ("input_uncached", "input_cached", "output")
_UNITS = ("audio_ms", "characters", "documents", "searches")
_COUNTS = ("requests", "successes", "errors", "limited", "cancelled", *_TOKENS, *_UNITS)


class _Names:
    """Each name once; rows have its place."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, name: str | None) -> int:
        text = name or ""
        if text not in self._places:
            self._places[text] = len(self.listed)
            self.listed.append(text)
        return self._places[text]


def _part(title: str, period: Period, step_s: int, notes: Sequence[str], until: datetime | None) -> Part:
    complete = "No hour is complete yet." if until is None else f"Complete until {until:%F %H:%M} UTC."
    return {
        "title": title,
        "start": round(period.start.timestamp()),
        "end": round(period.end.timestamp()),
        "step": step_s,
        "notes": [f"{period.start:%F %H:%M} to {period.end:%F %H:%M} UTC. {complete}", *notes],
        "money": [],
        "histograms": [],
    }


def _rows(rows: Iterable[Mapping[str, Any]], dimensions: Sequence[str], counted: Sequence[str]) -> Part:
    names = {dimension: _Names() for dimension in dimensions}
    listed = [
        [
            round(row["hour"].timestamp()),
            *(names[dimension].place(row[dimension]) for dimension in dimensions),
            *(told(row[name]) for name in counted),
        ]
        for row in rows
    ]
    return {
        "columns": ["hour", *dimensions, *counted],
        "names": {dimension: known.listed for dimension, known in names.items()},
        "rows": listed,
    }


def _plot(
    title: str,
    unit: str,
    measures: list[str],
    labels: list[str],
    *,
    split: str = "",
    empty: int | None = None,
) -> Part:
    return {
        "title": title,
        "unit": unit,
        "measures": measures,
        "labels": labels,
        "split": split,
        "empty": empty,
    }


def _sums(title: str, group: list[str], measures: Sequence[str]) -> Part:
    return {
        "title": title,
        "group": group,
        "measures": [{"label": name.replace("_", " "), "column": name} for name in measures],
    }


def _used(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns of units that nobody used are left out of tables."""
    idle = {unit for unit in _UNITS if not any(row[unit] for row in rows)}
    return [name for name in (*_COUNTS, "cost") if name not in idle]


def _kept_deployments(
    copy: PublishedCopy, period: Period, named: tuple[str, ...]
) -> tuple[dict[str, int], list[str]]:
    """The busiest deployments whose rows fit into a page, and what is left out in words."""
    found = copy.rows(
        "report_deployments", start=period.start, end=period.end, deployments=list(named) or None
    )
    hours = (period.end - period.start).total_seconds() / _HOUR_S
    most, counts = max(1, int(MAX_ROWS // hours)), 0
    kept: dict[str, int] = {}
    for row in found[:most]:
        counts += row["buckets"]
        if kept and counts > MAX_COUNTS:
            break
        kept[row["deployment"]] = row["requests"]
    left, requests = found[len(kept) :], sum(row["requests"] for row in found) or 1
    share = sum(row["requests"] for row in left) / requests
    what = f"{len(left)} of {len(found)} deployments, with {share:.1%} of the requests"
    note = f"Left out: {what}. Name deployments, or a shorter period, to see them."
    return kept, [note] if left else []


def _busiest(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    requests: dict[str, int] = {}
    counts: dict[str, int] = {}
    for row in rows:
        requests[row["deployment"]] = requests.get(row["deployment"], 0) + row["requests"]
        counts[row["deployment"]] = counts.get(row["deployment"], 0) + 1
    kept: list[tuple[str, int]] = []
    total = 0
    for name, of_it in sorted(requests.items(), key=lambda each: (-each[1], each[0])):
        total += counts[name]
        if kept and total > MAX_ROWS:
            break
        kept.append((name, of_it))
    return kept


def _histograms(
    copy: PublishedCopy, period: Period, kept: Iterable[str], places: Mapping[tuple[str, str], int]
) -> list[dict[str, list[int]]]:
    """Of each row: per metric, buckets and their counts in turn."""
    histograms: list[dict[str, list[int]]] = [{} for _ in places]
    rows = copy.rows("report_histograms", start=period.start, end=period.end, deployments=list(kept))
    for row in rows:
        place = places.get((told(row["hour"]), row["deployment"]))
        if place is not None:
            pairs = zip(row["buckets"], row["counts"], strict=True)
            histograms[place][row["metric"]] = [number for pair in pairs for number in pair]
    return histograms


def _parameters(question: Question) -> dict[str, Any]:
    return {name: question.parameters[name] for name in ("start", "end", "deployments", "orgs")}


def _complete_until(copy: PublishedCopy) -> datetime | None:
    (row,) = copy.rows("complete_until")
    until: datetime | None = row["complete_until"]
    return until


def _step(period: Period) -> tuple[str, int]:
    return ("hour", _HOUR_S) if period.end - period.start <= _HOURLY_UP_TO else ("day", _DAY_S)


def _seconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp())


def _rounded(value: Any) -> Any:
    """Milliseconds to a microsecond; more is no measurement."""
    return round(value, 3) if isinstance(value, float) else value
