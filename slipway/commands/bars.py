"""Progress for people: a bar in a terminal, a line every few seconds elsewhere; both on standard error.

Belongs here: which of the two, and the bar. Does not: counting (slipway.artifacts.transfer.progress).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from slipway.artifacts.transfer.progress import Progress, Report
from slipway.artifacts.transfer.steady import LINE_EVERY_S, Steady

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"


@contextmanager
def shown(what: str, line_every_s: float = LINE_EVERY_S) -> Iterator[Report]:
    """A report to give to a transfer; its bar is closed when the context ends."""
    if not sys.stderr.isatty():
        yield Steady(lambda text: click.echo(f"{what}: {text}", err=True), line_every_s)
        return
    from tqdm import tqdm

    with tqdm(desc=what, total=0, unit="B", unit_scale=True, bar_format=_BAR, file=sys.stderr) as bar:
        told: str | None = None

        def look(now: Progress) -> None:
            nonlocal told
            if now.waiting not in {None, told}:
                bar.write(f"{what}: {now.waiting}", file=sys.stderr)
            told = now.waiting
            eta = "" if now.eta_s is None else f", {tqdm.format_interval(now.eta_s)} to go"
            bar.total, bar.n = now.total_bytes, now.done_bytes
            bar.set_postfix_str(f"{now.rate_bytes_per_s / 1e6:.1f} MB/s{eta}", refresh=False)
            bar.refresh()

        yield look
