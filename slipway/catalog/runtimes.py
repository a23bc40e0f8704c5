"""Which runtimes there are: one line each, and what kind of data plane each needs.

Belongs here: the registry, which reads no adapter: the catalog knows runtimes by name alone.
Does not: anything else of a runtime, which its adapter says (slipway.runtimes.adapter).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

# Clusters with an API server: several, each with a name.
KUBERNETES = "kubernetes"


@dataclass(frozen=True)
class Runtime:
    """Where a runtime's adapter is (a module with ADAPTER), and the kind of data plane it runs on."""

    adapter: str
    plane: str = KUBERNETES


RUNTIMES: dict[str, Runtime] = {
    "ray": Runtime("slipway.runtimes.ray.adapter", plane="ray"),
    "vllm": Runtime("slipway.runtimes.vllm.adapter"),
    "kubeai": Runtime("slipway.runtimes.kubeai.adapter"),
    "kserve": Runtime("slipway.runtimes.kserve.adapter"),
    "kuberay": Runtime("slipway.runtimes.kuberay.adapter"),
    "nim": Runtime("slipway.runtimes.nim.adapter"),
    "dynamo": Runtime("slipway.runtimes.dynamo.adapter"),
}


class _Registered:
    """Says to pydantic what a Literal of the registry's names would."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _registered, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(RUNTIMES), "type": "string"}


RuntimeName = Annotated[str, _Registered()]


def _registered(written: object) -> object:
    if isinstance(written, str) and written in RUNTIMES:
        return written
    *first, last = (repr(name) for name in RUNTIMES)
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(first)} or {last}"})
