"""What a deployment's chat template adds to every prompt, learned from the engine's own counts.

Belongs here: how much is allowed for it, and when that grows and shrinks.
Does not: the bound of what the client wrote (slipway.gateway.api.prompts).

A plain request (a few messages of text) is bounded byte by byte, so what its engine counts above that is
the template's, whoever wrote it: it may teach the allowance of all. What other requests show (tools,
pictures, hundreds of messages) is allowed for their own organization alone: nobody's requests make those of
others dearer.

Before a revision's first count nothing is known of its template, and many requests may be admitted by then:
more is allowed for it, until a plain request's whole count says that it cannot be as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

# Two of these without seeing as much, while requests come, and the allowance shrinks to what was seen.
_REMEMBERED_S = 120.0
# No template seen adds more; counts that are nonsense must not make requests too large for their limits.
MOST_TOKENS = 4_096
# Of a template of which nothing is known: what few templates exceed, but no more than this part of a limit.
_UNKNOWN_TOKENS = 512
_UNKNOWN_PART = 8
_MOST_PEAKS = 10_000


@dataclass(slots=True)
class _Peak:
    """The most that was seen in this span of time and in the one before."""

    began: float
    now: int = 0
    before: int = 0


class Template(NamedTuple):
    """Whose template it is: of what a deployment serves at one path, as one organization meets it."""

    serving: str
    path: str
    org: str


@dataclass(slots=True)
class TemplateAllowance:
    """Tokens allowed for templates beyond the bound of what is written, at least `least`."""

    _peaks: dict[tuple[str, ...], _Peak] = field(default_factory=dict)
    # The least that a whole plain prompt was counted at: the template in it is no longer.
    _ceilings: dict[tuple[str, ...], int] = field(default_factory=dict)

    def of(self, template: Template, least: int, limit: int, now: float) -> int:
        """What to allow for a request that comes now, under limits of which `limit` is the tightest."""
        everyones = _everyones(template)
        unknown = min(_UNKNOWN_TOKENS, limit // _UNKNOWN_PART) if least else 0
        unknown = min(unknown, self._ceilings.get(everyones, unknown))
        return max(least, unknown, self._seen(everyones, now), self._seen(_orgs(template), now))

    def learn(
        self, template: Template, reported: int, written: int, *, is_plain: bool, least: int, now: float
    ) -> None:
        """An engine counted `reported` tokens; the prompt's bound, without any allowance, is `written`."""
        if is_plain:
            everyones = _everyones(template)
            if len(self._ceilings) >= _MOST_PEAKS:
                self._ceilings.clear()
            self._ceilings[everyones] = min(reported, self._ceilings.get(everyones, reported))
        added = reported - written
        if added <= least:
            return
        if len(self._peaks) >= _MOST_PEAKS:
            self._peaks.clear()  # names that come and go; those in use are soon learned again
        peak = self._peaks.setdefault(_everyones(template) if is_plain else _orgs(template), _Peak(now))
        peak.now = max(peak.now, min(added, MOST_TOKENS))

    def _seen(self, key: tuple[str, ...], now: float) -> int:
        """Looking is what lets time pass: nothing is forgotten of a template that nobody asks for."""
        peak = self._peaks.get(key)
        if peak is None:
            return 0
        if now - peak.began >= _REMEMBERED_S:
            peak.began, peak.before, peak.now = now, peak.now, 0
            if not peak.before:
                del self._peaks[key]
        return max(peak.before, peak.now)


def _everyones(template: Template) -> tuple[str, ...]:
    return (template.serving, template.path)


def _orgs(template: Template) -> tuple[str, ...]:
    return (template.serving, template.path, template.org)
