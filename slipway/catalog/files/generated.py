"""The part of a page that a command writes: between two marks, whatever stands around them.

Belongs here: finding the part and making it anew. Does not: what it says (reference.py,
slipway.runtimes.table).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GeneratedPart:
    """What `command` writes into its page, under a name that the page's marks have; `text` makes it."""

    command: str
    name: str
    text: Callable[[], str]

    def rewritten(self, page: str) -> str:
        """The page with the part made anew; raises ValueError when its two marks are not there."""
        first, last = f"<!-- {self.name}: written by `{self.command}` -->", f"<!-- end of {self.name} -->"
        before, begin, rest = page.partition(first)
        _, end, after = rest.partition(last)
        if not begin or not end:
            raise ValueError(f"the page has no generated part. Put the lines {first} and {last} into it.")
        return f"{before}{first}\n\n{self.text()}\n\n{last}{after}"

    def main(self, arguments: Sequence[str]) -> None:
        """Rewrite the part in the page that is named, or print it."""
        if not arguments:
            sys.stdout.write(self.text() + "\n")
            return
        page = Path(arguments[0])
        page.write_text(self.rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
