"""A report from the published copy, as a page.

Belongs here: its title, and checking the names that it is asked for. Does not: its contents (contents.py).
"""

from __future__ import annotations

from datetime import datetime

from slipway.metering.asking import Question, check_names
from slipway.metering.published import PublishedCopy
from slipway.metering.reports.contents import KINDS
from slipway.metering.reports.page import page


def make(copy: PublishedCopy, kind: str, question: Question, made_at: datetime) -> str:
    """The page of one kind of KINDS over the question's period. Raises UnknownNameError, WarehouseError."""
    with copy.held() as held:
        check_names(held, question)
        return page(f"Slipway: {kind}", made_at, [KINDS[kind](held, question)])
