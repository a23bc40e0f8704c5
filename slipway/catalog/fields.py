"""Field types that several kinds share: names, quantities, secret references, and sources (from sources.py).

Belongs here: a type with its own syntax, and the message a person gets when it is wrong.
Does not: whole documents (documents.py, deployment.py), names of runtimes and servers (runtimes.py,
servers.py).
"""

from __future__ import annotations

import math
import re
import types
import typing
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from slipway.catalog.concealing import looks_secret
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

# What nobody means to ask for: a slip of the pen asks for all machines there are.
MOST_REPLICAS = 100_000
MOST_GPUS = 1_024
_LARGEST_NUMBER = 10**15
_LARGEST_SIZE = 2**60
_LARGEST_CPU = 10**6

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_CPU = re.compile(r"\d{1,30}m|\d{1,30}(\.\d{1,3})?", re.ASCII)
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d{0,30})(\.\d{0,30})?([eE][-+]?\d{1,3})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)


class UnknownValueError(LookupError):
    """A field was read whose value is not known, because what is written there is wrong."""

    def __init__(self, spec: Spec, field: str) -> None:
        super().__init__(f"{type(spec).__name__}.{field} is not known")
        self.spec = spec


class Spec(BaseModel):
    """Base of every catalog type: immutable, and an unknown field is an error.

    One of which only a part could be read (slipway.catalog.files.partial) lacks the other fields; reading
    them, or comparing it as a whole, raises UnknownValueError: nothing may follow from what is not known.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, defer_build=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _a_number_is_one(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic takes true for 1, and for numbers text with underscores, blanks, any script's digits."""
        if isinstance(value, str | bool | int | float) and info.field_name in _numeric_fields(cls):
            _check_number(value)
        return value

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise UnknownValueError(self, name)
            return super().__getattr__(name)

    def __eq__(self, other: object) -> bool:
        for spec in (self, other):
            if isinstance(spec, Spec):
                spec._check_known()
        return super().__eq__(other)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As pydantic does it, of what is known as a whole."""
        self._check_known()
        return super().model_dump(**options)

    def _check_known(self) -> None:
        if len(self.__dict__) < len(type(self).model_fields):
            lacking = next(name for name in type(self).model_fields if name not in self.__dict__)
            raise UnknownValueError(self, lacking)
        for value in self.__dict__.values():
            if isinstance(value, Spec):
                value._check_known()


@cache
def _numeric_fields(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, item in model.model_fields.items() if _is_numeric(item.annotation))


def _is_numeric(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return any(_is_numeric(argument) for argument in typing.get_args(annotation))
    return annotation in (int, float)


def _check_number(value: str | bool | float) -> None:
    if isinstance(value, bool):
        raise ValueError("true or false where a number is expected. Write a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("text where a number is expected. Write a number in plain digits")
    if math.isfinite(float(value)) and abs(float(value)) > _LARGEST_NUMBER:
        raise ValueError("larger than anything that can be meant. Write a smaller number")


def size_in_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes memory quantity such as `512Mi`; raises ValueError with the remedy."""
    match = _SIZE.fullmatch(quantity)
    if not match:
        raise ValueError("not a Kubernetes quantity. Write a number with Ki, Mi, Gi or Ti, such as 16Gi")
    factor = {**_BINARY, **_DECIMAL}.get(match[2] or "", 1)
    size = int(Decimal(match[1]) * factor)
    if size > _LARGEST_SIZE:
        raise ValueError("larger than any disk or memory. Write a smaller size")
    return size


def cpu_in_millicores(quantity: str) -> int:
    """Thousandths of a core of a Kubernetes CPU quantity such as `500m` or `1.5`."""
    if not _CPU.fullmatch(quantity):
        raise ValueError(
            "not a Kubernetes CPU quantity. Write cores such as 2 or 0.5, or millicores such as 500m"
        )
    millicores = int(quantity[:-1]) if quantity.endswith("m") else int(Decimal(quantity) * 1000)
    if millicores > _LARGEST_CPU * 1000:
        raise ValueError("more cores than any machine has. Write fewer")
    return millicores


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


def _checked_reference(name: str) -> str:
    if looks_secret(name):
        raise ValueError(
            "looks like a secret itself. Put it where it is to lie, and write the name of that place"
        )
    return name


def _checked_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("not the name of an environment variable. Write one, such as HF_TOKEN")
    return _checked_reference(name)


class SecretRef(Spec):
    """Where a secret lies; never the secret itself. Either in the environment, or in a Kubernetes Secret."""

    env: Annotated[str, AfterValidator(_checked_variable)] | None = Field(
        None, description="Environment variable that holds it."
    )
    secret: Annotated[Name, AfterValidator(_checked_reference)] | None = Field(
        None, description="Kubernetes Secret that holds it."
    )
    key: Annotated[str, AfterValidator(_checked_reference)] | None = Field(
        None, description="Key within the Kubernetes Secret."
    )

    @model_validator(mode="after")
    def _one_place(self) -> SecretRef:
        if self.secret is not None and self.env is not None:
            raise ValueError("env and secret are both given. Remove one of them")
        return self
