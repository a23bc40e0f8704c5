"""Field types of prices: instants in UTC, money that is exact, currencies that there are.

Belongs here: their syntax and bounds, and the message a person gets when they are wrong.
Does not: price books (documents.py), what prices mean over time (slipway.metering.prices).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from slipway.catalog.currencies import minor_units

# As YAML writes instants: a date, a time, and a zone that may be apart.
_INSTANT = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"[ \t]*(Z|z|[-+]\d\d?(?::?\d\d)?)?",
    re.ASCII,
)
_DAY = re.compile(r"\d{4}-\d\d?-\d\d?", re.ASCII)
_PRICE = re.compile(r"[-+]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][-+]?\d{1,2})?", re.ASCII)
_LARGEST_PICO = 2**63 - 1  # what bills count in
_LARGEST_PRICE = Decimal(_LARGEST_PICO).scaleb(-6)


def _instant(value: object) -> datetime:
    """What is written as an instant, in UTC. Never a number: it would be taken for seconds since 1970."""
    if isinstance(value, datetime):
        return _utc(value)
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, str) and _DAY.fullmatch(value):
            raise ValueError("a day without a time. Write it as UTC, such as 2026-01-01T00:00:00Z")
        raise ValueError("not an instant. Write it as UTC, such as 2026-01-01T00:00:00Z")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.group(1, 2, 3, 4, 5, 6))
    microsecond = int((match[7] or "").ljust(6, "0")[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=_zone(match[8]))
    except ValueError as error:
        raise ValueError(f"no instant that there is: {_reason(error)}. Correct it") from None
    return _utc(local)


def _zone(written: str | None) -> timezone | None:
    if written is None:
        return None
    if written in "Zz":
        return UTC
    digits = written[1:].replace(":", "")
    hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    if hours > 14 or minutes > 59:
        raise ValueError("time zones reach from -14:00 to +14:00")
    return timezone((1 if written[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def _reason(error: ValueError) -> str:
    known = {
        "day is out of range for month": "the month has no such day",
        "month must be in 1..12": "there are twelve months",
        "hour must be in 0..23": "hours reach from 0 to 23",
        "minute must be in 0..59": "minutes reach from 0 to 59",
        "second must be in 0..59": "seconds reach from 0 to 59",
    }
    return next((words for start, words in known.items() if str(error).startswith(start)), str(error))


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("no time zone. Write it as UTC, such as 2026-01-01T00:00:00Z")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after 9999 in UTC. Write another instant") from None


def _price(value: object) -> Decimal:
    """Money that is written exactly: in quotes, or a whole number."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('not a price. Write a number in quotes, such as "0.15"')
    if isinstance(value, float):
        raise ValueError(f"a float. Quote it, as money is decimal: '{value}'")
    if not _PRICE.fullmatch(str(value).strip()):
        raise ValueError('not a price. Write a number of at most 30 digits in quotes, such as "0.15"')
    return Decimal(str(value).strip())


def _micro_exact(price: Decimal) -> Decimal:
    if not price.is_finite():
        raise ValueError('not a price. Write a number in quotes, such as "0.15"')
    if price < 0:
        raise ValueError("negative. A price is zero or more")
    if price > _LARGEST_PRICE:
        raise ValueError(
            f"more than {_LARGEST_PRICE} per 1M tokens, which nobody means. Write a smaller price"
        )
    if price.normalize().as_tuple().exponent < _FINEST:  # type: ignore[operator] # finite, so a number
        raise ValueError("finer than a millionth of the currency per 1M tokens. Use at most 6 decimals")
    return price


def _exact(base_units: int, per: str) -> Callable[[Decimal], Decimal]:
    """A price of so many base units is a whole number of pico-units for each, so that no bill is rounded."""
    step = base_units * _PICO

    def check(price: Decimal) -> Decimal:
        if price < 0:
            raise ValueError("negative. A price is zero or more")
        if price > step * _LARGEST_PICO:
            raise ValueError(
                f"more than {step * _LARGEST_PICO} {per}, which nobody means. Write a smaller price"
            )
        with localcontext() as exact:
            exact.prec = 100
            below = price // step * step
        if below != price:
            raise ValueError(
                f"cannot be billed to the last digit: a price {per} is a multiple of {step:f}. "
                f"Write {_plain(below)} or {_plain(below + step)}"
            )
        return price

    return check


def _plain(price: Decimal) -> str:
    return format(price.normalize(), "f")


def _known_currency(code: str) -> str:
    minor_units(code)  # raises for what is none
    return code


_FINEST = -6
_PICO = Decimal(1).scaleb(-12)
MS_PER_MINUTE, PER_THOUSAND, PER_MILLION = 60_000, 1_000, 1_000_000  # base units of a price
Instant = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_known_currency)]
PricePerMillion = Annotated[
    Decimal, BeforeValidator(_price, json_schema_input_type=Decimal), AfterValidator(_micro_exact)
]
PricePerMinute = Annotated[
    Decimal,
    BeforeValidator(_price, json_schema_input_type=Decimal),
    AfterValidator(_exact(MS_PER_MINUTE, "per minute")),
]
PricePerThousand = Annotated[
    Decimal,
    BeforeValidator(_price, json_schema_input_type=Decimal),
    AfterValidator(_exact(PER_THOUSAND, "per 1,000")),
]
PricePerHour = Annotated[
    Decimal,
    BeforeValidator(_price, json_schema_input_type=Decimal),
    AfterValidator(_exact(1, "per hour")),
]
PricePerRequest = Annotated[
    Decimal,
    BeforeValidator(_price, json_schema_input_type=Decimal),
    AfterValidator(_exact(1, "per request")),
]
