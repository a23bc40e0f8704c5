"""Which kinds of usage there are: the path, whose rows count, what may be asked, what a result says.

Belongs here: one row per path below /v1/organization/usage, and costs. Does not: parsing, reading, adding up.

OpenAI has kinds for tools and stores of its own. Nothing here does those: their buckets are always empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What results can be told apart by, and whether rows of the published copy say it.
_CALLER = frozenset({"project_id", "user_id", "api_key_id"})
_MODEL = _CALLER | {"model"}
_FILTERS = frozenset({"project_ids", "user_ids", "api_key_ids", "models"})


@dataclass(frozen=True)
class Kind:
    """One kind of usage. `tasks`: of which deployments' rows; `sums`: a result's field and the row's sum."""

    name: str
    object: str
    tasks: frozenset[str] = frozenset()
    sums: Mapping[str, str] = field(default_factory=dict)
    group_by: frozenset[str] = _MODEL
    filters: frozenset[str] = _FILTERS
    # Known to OpenAI, and the same for every request here: such a field is null when it is grouped by.
    constant: frozenset[str] = frozenset()
    ignored_filters: frozenset[str] = frozenset()
    widths: frozenset[str] = frozenset({"1h", "1d"})
    largest_limit: Mapping[str, int] = field(default_factory=lambda: {"1h": 168, "1d": 31})

    @property
    def is_costs(self) -> bool:
        """Whether its results are money."""
        return self.name == "costs"

    @property
    def path(self) -> str:
        """The path below /v1/organization/."""
        return self.name if self.is_costs else f"usage/{self.name}"


_REQUESTS = {"num_model_requests": "requests"}
_NOTHING_HERE = frozenset({"vector_store_ids", "sizes", "sources", "context_levels"})

KINDS = (
    Kind(
        "completions",
        "organization.usage.completions.result",
        frozenset({"text-generation"}),
        {
            "input_tokens": "input",
            "input_cached_tokens": "input_cached",
            "input_uncached_tokens": "input_uncached",
            "output_tokens": "output",
            **_REQUESTS,
        },
        constant=frozenset({"batch", "service_tier", "api_source"}),
        ignored_filters=frozenset({"batch"}),
    ),
    Kind(
        "embeddings",
        "organization.usage.embeddings.result",
        frozenset({"embedding", "rerank", "classification"}),
        {"input_tokens": "input", "documents": "documents", "searches": "searches", **_REQUESTS},
    ),
    Kind(
        "audio_speeches",
        "organization.usage.audio_speeches.result",
        frozenset({"text-to-speech"}),
        {"characters": "characters", "output_audio_ms": "output_audio_ms", **_REQUESTS},
    ),
    Kind(
        "audio_transcriptions",
        "organization.usage.audio_transcriptions.result",
        frozenset({"speech-to-text"}),
        {"seconds": "input_audio_s", "input_audio_ms": "input_audio_ms", **_REQUESTS},
    ),
    Kind("moderations", "organization.usage.moderations.result"),
    Kind(
        "images",
        "organization.usage.images.result",
        constant=frozenset({"size", "source"}),
        ignored_filters=_NOTHING_HERE,
    ),
    Kind("vector_stores", "organization.usage.vector_stores.result"),
    Kind("code_interpreter_sessions", "organization.usage.code_interpreter_sessions.result"),
    Kind(
        "file_search_calls",
        "organization.usage.file_searches.result",
        constant=frozenset({"vector_store_id"}),
        ignored_filters=_NOTHING_HERE,
    ),
    Kind(
        "web_search_calls",
        "organization.usage.web_searches.result",
        constant=frozenset({"context_level", "api_source"}),
        ignored_filters=_NOTHING_HERE,
    ),
    Kind(
        "decisions",
        "organization.usage.completions.result",
        constant=frozenset({"batch", "service_tier", "api_source"}),
        ignored_filters=frozenset({"batch"}),
    ),
    Kind(
        "costs",
        "organization.costs.result",
        group_by=_CALLER | {"line_item"},
        filters=frozenset({"project_ids", "api_key_ids", "user_ids", "line_items"}),
        constant=frozenset({"api_source"}),
        widths=frozenset({"1d"}),
        largest_limit={"1d": 180},
    ),
)
