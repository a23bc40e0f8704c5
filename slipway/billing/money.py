"""Rounding: exact costs to the minor unit of a currency, by one rule, once per line.

Belongs here: the rule, how an amount is written.
Does not: which costs make a line (invoicing.py), currencies (slipway.catalog.currencies).

The rule is half to even: of many lines, as many are rounded up as down, so that no side gains by it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from slipway.catalog.currencies import minor_units

RULE = "half to even"

_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)


def minor_digits(currency: str) -> int:
    """Decimal places of a currency's minor unit (ISO 4217), such as 2 for cents.

    Of what has none (metals, funds), whole units are counted: an earlier version took prices in them.
    """
    try:
        return minor_units(currency)
    except ValueError:
        return 0


def to_minor(cost: Decimal, currency: str) -> int:
    """The cost in whole minor units, rounded half to even."""
    return int(cost.scaleb(minor_digits(currency), _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))


def written(minor: int, digits: int, *, grouped: bool = False) -> str:
    """An amount of minor units in whole ones, such as `1234.05`, or `1,234.05` as people read it."""
    return format(Decimal(minor).scaleb(-digits, _EXACT), ",f" if grouped else "f")


def added(*costs: Decimal) -> Decimal:
    """The exact sum: Python's own context would round at 28 digits."""
    total = Decimal(0)
    for cost in costs:
        total = _EXACT.add(total, cost)
    return total
