"""Field types that several kinds share: names, quantities, secret references, and sources (from sources.py).

Belongs here: a type with its own syntax, and the message a person gets when it is wrong.
Does not: whole documents (documents.py, deployment.py), names of runtimes and servers (runtimes.py,
servers.py).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from slipway.catalog.sources import Source as Source
from slipway.catalog.sources import is_pinned as is_pinned
from slipway.catalog.sources import split_revision as split_revision

# Kubernetes: RFC 1123 label. 40 leaves room for `-<8 hex>` and a runtime's own suffixes in 63.
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=63)]


def _can_be_asked_for(name: str) -> str:
    if not name.isprintable():
        raise ValueError("has a character that cannot be seen. Write the name as clients send it in `model`")
    return name


# What clients send in `model`: any text that a request can hold, such as meta-llama/Llama-3.1-8B-Instruct.
ModelName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_can_be_asked_for)]

Task = Literal["text-generation", "embedding", "rerank", "classification", "speech-to-text", "text-to-speech"]
GpuVendor = Literal["nvidia", "amd", "intel"]
Accelerator = Literal["cpu", "nvidia", "amd", "intel", "tpu"]

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?$")
_CPU = re.compile(r"^(\d+m|\d+(\.\d{1,3})?)$")


class Spec(BaseModel):
    """Base of every catalog type: immutable, and an unknown field is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, defer_build=True, allow_inf_nan=False
    )


def size_in_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes memory quantity such as `512Mi`; raises ValueError with the remedy."""
    match = _SIZE.match(quantity)
    if not match:
        raise ValueError("not a Kubernetes quantity. Write a number with Ki, Mi, Gi or Ti, such as 16Gi")
    factor = {**_BINARY, **_DECIMAL}.get(match[2] or "", 1)
    return int(Decimal(match[1]) * factor)


def cpu_in_millicores(quantity: str) -> int:
    """Thousandths of a core of a Kubernetes CPU quantity such as `500m` or `1.5`."""
    if not _CPU.match(quantity):
        raise ValueError(
            "not a Kubernetes CPU quantity. Write cores such as 2 or 0.5, or millicores such as 500m"
        )
    return int(quantity[:-1]) if quantity.endswith("m") else int(Decimal(quantity) * 1000)


def _checked_size(quantity: str) -> str:
    size_in_bytes(quantity)
    return quantity


def _checked_cpu(quantity: str) -> str:
    cpu_in_millicores(quantity)
    return quantity


def _number_as_text(value: object) -> object:
    """YAML reads `cpu: 2` as a number; Kubernetes takes both, and so do we. Not bool, which is an int."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Size = Annotated[
    str, BeforeValidator(_number_as_text, json_schema_input_type=str | int), AfterValidator(_checked_size)
]
Cpu = Annotated[
    str, BeforeValidator(_number_as_text, json_schema_input_type=str | float), AfterValidator(_checked_cpu)
]


class SecretRef(Spec):
    """Where a secret lies; never the secret itself."""

    env: str | None = Field(None, description="Environment variable that holds it.")
    secret: Name | None = Field(None, description="Kubernetes Secret that holds it.")
    key: str | None = Field(None, description="Key within the Kubernetes Secret.")
