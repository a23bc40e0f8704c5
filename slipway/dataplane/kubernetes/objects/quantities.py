"""Whether two values mean the same to an API server, which rewrites quantities when it stores them.

Belongs here: quantities (500m, 1Gi, 0.5). Pure. Does not: walking objects (diff.py).
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(
    r"^(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$"
)
_BINARY = {f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", 1)}
_DECIMAL = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12, "P": Decimal(10) ** 15, "E": Decimal(10) ** 18,
}  # fmt: skip

# Fields, and mappings, whose values are quantities. Elsewhere "1.0" and "1" are two strings.
_PLACES = frozenset(
    f"f:{name}"
    for name in (
        "requests", "limits", "hard", "capacity", "overhead", "default", "defaultRequest", "min", "max",
        "sizeLimit", "averageValue", "sharedMemorySize", "size",
    )
)  # fmt: skip


def same_value(wanted: Any, live: Any, path: tuple[str, ...]) -> bool:
    """Whether a scalar is what is wanted; in places of quantities also when it is written differently."""
    if type(wanted) is type(live) and wanted == live:
        return True
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted is live
    if isinstance(wanted, int | float) and isinstance(live, int | float):
        return wanted == live
    if not _PLACES & set(path[-2:]):
        return False
    a, b = amount(wanted), amount(live)
    return a is not None and a == b


def amount(value: Any) -> Decimal | None:
    """A quantity as a number; None for what is none."""
    matched = _QUANTITY.match(str(value))
    if matched is None:
        return None
    number, suffix = Decimal(matched["number"]), matched["suffix"] or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number * Decimal(10) ** int(suffix[1:])
    return number * (_BINARY.get(suffix) or _DECIMAL[suffix])
