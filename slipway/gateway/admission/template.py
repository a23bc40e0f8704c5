"""What a deployment's chat template adds to every prompt, learned from the engine's own counts.

Belongs here: how much is allowed for it, and when that grows and shrinks.
Does not: the bound of what the client wrote (slipway.gateway.api.prompts).

A plain request (a few messages of text) is bounded byte by byte, so what its engine counts above that is
the template's, whoever wrote it: it may teach the allowance of all. What other requests show (tools,
pictures, hundreds of messages) is allowed for their own organization alone: nobody's requests make those of
others dearer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Two of these without seeing as much, while requests come, and the allowance shrinks to what was seen.
_REMEMBERED_S = 120.0
# No template seen adds more; counts that are nonsense must not make requests too large for their limits.
MOST_TOKENS = 4_096
_MOST_PEAKS = 10_000


@dataclass(slots=True)
class _Peak:
    """The most that was seen in this span of time and in the one before."""

    began: float
    now: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """Whose template it is: of what a deployment serves at one path, as one organization meets it."""

    serving: str
    path: str
    org: str


@dataclass(slots=True)
class TemplateAllowance:
    """Tokens allowed for templates beyond the bound of what is written, at least `least`."""

    _peaks: dict[tuple[str, ...], _Peak] = field(default_factory=dict)

    def of(self, template: Template, least: int, now: float) -> int:
        """What to allow for a request that comes now."""
        return max(least, *(self._seen(key, now) for key in (_everyones(template), _orgs(template))))

    def learn(self, template: Template, added: int, *, is_plain: bool, least: int, now: float) -> None:
        """An engine counted `added` tokens more than a request's bound without any allowance."""
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
