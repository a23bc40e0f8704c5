"""Running rules over a catalog with documents known in part: nothing follows from what is not known.

Belongs here: leaving out of a rule the documents that it cannot judge, and what a rule itself does wrong.
Does not: rules (slipway.catalog.rules), what of a document is known (partial.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from typing import Any

from slipway.catalog.catalog import Catalog
from slipway.catalog.documents import Document
from slipway.catalog.fields import UnknownValueError
from slipway.catalog.problems import Finding
from slipway.catalog.rules.documents import Rule

# So often a rule is run again without one document; then without all that are incomplete.
_MOST_REPEATS = 20


class RuleFailedError(RuntimeError):
    """A rule ended with an error of its own: the catalog is not judged by it."""


def findings(rule: Rule, catalog: Catalog, incomplete: Mapping[int, Document]) -> list[Finding]:
    """What a rule finds. `incomplete` leads from the identity of an incomplete part to its document.

    Raises RuleFailedError.
    """
    found: dict[Finding, None] = {}
    left = dict(incomplete)
    repeats = 0
    while True:
        try:
            for finding in rule(catalog):
                found[finding] = None
            return list(found)
        except UnknownValueError as error:
            repeats += 1
            one = left.get(id(error.spec))
            alone = one is not None and repeats <= _MOST_REPEATS
            without = {id(each) for each in ([one] if alone else left.values())}
            if not without:
                raise RuleFailedError(_name(rule)) from error
            left = {part: each for part, each in left.items() if id(each) not in without}
            catalog = _without(catalog, without)
        except Exception as error:  # whatever one rule does, the others are run
            logging.getLogger("slipway").debug("the rule %s failed", _name(rule), exc_info=True)
            raise RuleFailedError(_name(rule)) from error


def _without(catalog: Catalog, identities: Set[int]) -> Catalog:
    chosen: dict[str, Any] = {}
    for name in Catalog.model_fields:
        held = getattr(catalog, name)
        if isinstance(held, tuple):
            chosen[name] = tuple(each for each in held if id(each) not in identities)
        elif id(held) not in identities:
            chosen[name] = held
    return Catalog.model_construct(None, **chosen)


def _name(rule: Rule) -> str:
    return str(getattr(rule, "__name__", rule)).replace("_", " ")
