"""Requests, tokens and other units per minute, per organization, user and API key of each deployment.

Belongs here: the algorithm: pure, in memory, told the time by its caller.
Does not: which limits apply (bounds.py), what a request may cost (estimate.py), what the client reads of it
(limit_headers.py).

No window of 60 s is overshot, whatever moment between a request's start and end its tokens are counted at:
an admitted request holds what it may use at most from its start until 60 s after its end, from then on with
the real count. For the last request admitted of any window, every other one that falls in that window was
therefore in the sum that it was checked against. Requests per minute count from the moment of reservation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from slipway.gateway.admission.bounds import Bound
from slipway.records.usage import NO_UNITS, Units

WINDOW_S = 60.0
# Amounts of the same tenth of a second share an entry, which expires as late as its last one.
_SLOT_S = 0.1


class Standing(NamedTuple):
    """How one bound stands: what is left, and the seconds until all of it is back."""

    bound: Bound
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a request is refused. `retry_after_s` is None when waiting does not help: it never fits."""

    standing: Standing
    needed: int
    retry_after_s: float | None
    standings: tuple[Standing, ...]


@dataclass(slots=True)
class Reservation:
    """What an admitted request holds. `output_tokens` is what it was granted; settle or refund it once."""

    output_tokens: int
    standings: list[Standing]
    taken: list[Taken]

    def release(self) -> list[Taken]:
        """What it holds, to be settled or refunded; nothing the second time."""
        taken, self.taken = self.taken, []
        return taken


class Taken(NamedTuple):
    """One amount in one window; `slot` once it runs down with time."""

    bound: Bound
    window: Window
    amount: int
    slot: Slot | None


@dataclass(slots=True)
class Slot:
    """Amounts that run down together."""

    opened: float
    expires: float = 0.0
    amount: int = 0


class Limiter(Protocol):
    """Reserve before a request, settle or refund after it. One implementation per place to keep counts."""

    async def reserve(
        self,
        bounds: Sequence[Bound],
        prompt: int,
        least: int,
        most: int,
        now: float,
        units: Units = NO_UNITS,
    ) -> Reservation | Denied:
        """Take one request, `prompt` + between `least` and `most` tokens, and units from all bounds.

        Or nothing, where one of them has not so much left.
        """
        ...

    async def settle(
        self, reservation: Reservation, tokens: int, now: float, units: Units = NO_UNITS
    ) -> None:
        """Replace the reserved tokens and units by the real count."""
        ...

    async def refund(self, reservation: Reservation, now: float, *, request: bool) -> None:
        """Give tokens and units back, and with `request` the request too."""
        ...


class Window:
    """One bound's amounts of the last 60 s: held by requests in flight, or running down with time."""

    __slots__ = ("held", "running", "slots")

    def __init__(self) -> None:
        self.held = 0
        self.running = 0
        self.slots: deque[Slot] = deque()  # oldest first

    def used(self, now: float) -> int:
        """The sum at `now`."""
        while self.slots and self.slots[0].expires <= now:
            self.running -= self.slots.popleft().amount
        return self.held + self.running

    def run_down(self, amount: int, now: float) -> Slot:
        """Count an amount for 60 s from now; returns its slot."""
        if not self.slots or now - self.slots[-1].opened > _SLOT_S:
            self.slots.append(Slot(opened=now))
        slot = self.slots[-1]
        slot.expires = now + WINDOW_S
        slot.amount += amount
        self.running += amount
        return slot

    def take_back(self, slot: Slot, amount: int, now: float) -> None:
        """Undo `run_down`, unless time has done so already."""
        self.used(now)
        if slot.expires > now:
            slot.amount -= amount
            self.running -= amount

    def freed_in_s(self, amount: int, now: float) -> float:
        """Seconds until that much has run down; what is in flight counts as a whole window."""
        for slot in self.slots:
            amount -= slot.amount
            if amount <= 0:
                return slot.expires - now
        return WINDOW_S

    def reset_in_s(self, now: float) -> float:
        """Seconds until nothing is counted any more, if nothing new comes."""
        if self.held:
            return WINDOW_S
        return self.slots[-1].expires - now if self.slots else 0.0


class MemoryLimiter:
    """All windows of one gateway replica. Not for several threads: the event loop is its lock."""

    def __init__(self) -> None:
        self._windows: dict[str, Window] = {}
        self._swept_at = 0.0

    @property
    def held_tokens(self) -> int:
        """Tokens and units that requests in flight hold, each once per limit; 0 when nothing is in flight."""
        return sum(window.held for window in self._windows.values())

    async def reserve(
        self,
        bounds: Sequence[Bound],
        prompt: int,
        least: int,
        most: int,
        now: float,
        units: Units = NO_UNITS,
    ) -> Reservation | Denied:
        """See `Limiter`. There is no await inside, so that check and take are one step."""
        self._sweep(now)
        spare, asked = most, []
        for bound in bounds:
            window = self._windows.get(bound.window_key)
            if window is None:
                window = self._windows[bound.window_key] = Window()
            used = window.used(now) if window.slots else window.held
            if bound.dimension == "tokens":
                spare = min(spare, bound.limit - used - prompt)
            asked.append((bound, window, used))
        output = max(least, spare)
        needs = [bound.needs(prompt + output, units) for bound in bounds]
        for (bound, window, used), needed in zip(asked, needs, strict=True):
            if needed and used + needed > bound.counted:
                windows = [(bound, window) for bound, window, _ in asked]
                return self._denied(windows, bound, window, needed, now)
        reservation = Reservation(output, [], [])
        for (bound, window, used), needed in zip(asked, needs, strict=True):
            reservation.taken.append(_take(bound, window, needed, now))
            left = max(0, bound.limit - bound.said(used + needed))
            reservation.standings.append(Standing(bound, left, window.reset_in_s(now)))
        return reservation

    async def settle(
        self, reservation: Reservation, tokens: int, now: float, units: Units = NO_UNITS
    ) -> None:
        """See `Limiter`. Harmless the second time."""
        for taken in reservation.release():
            if taken.slot is None:
                taken.window.held -= taken.amount
                taken.window.run_down(taken.bound.needs(tokens, units), now)

    async def refund(self, reservation: Reservation, now: float, *, request: bool) -> None:
        """See `Limiter`. Harmless the second time."""
        for taken in reservation.release():
            if taken.slot is None:
                taken.window.held -= taken.amount
            elif request:
                taken.window.take_back(taken.slot, taken.amount, now)

    def _denied(
        self, windows: list[tuple[Bound, Window]], bound: Bound, window: Window, needed: int, now: float
    ) -> Denied:
        used = window.used(now)
        over = used + needed - bound.counted
        wait_s = None if needed > bound.counted else window.freed_in_s(over, now)
        return Denied(_standing(bound, window, now), bound.said(needed), wait_s, _standings(windows, now))

    def _sweep(self, now: float) -> None:
        """Forget windows in which nothing is counted, at most once per window length."""
        if now - self._swept_at >= WINDOW_S:
            self._swept_at = now
            self._windows = {key: w for key, w in self._windows.items() if w.used(now)}


def _take(bound: Bound, window: Window, amount: int, now: float) -> Taken:
    if bound.dimension == "requests":
        return Taken(bound, window, amount, window.run_down(amount, now))
    window.held += amount
    return Taken(bound, window, amount, None)


def _standings(windows: Sequence[tuple[Bound, Window]], now: float) -> tuple[Standing, ...]:
    return tuple(_standing(bound, window, now) for bound, window in windows)


def _standing(bound: Bound, window: Window, now: float) -> Standing:
    left = bound.limit - bound.said(window.used(now))
    return Standing(bound, max(0, left), window.reset_in_s(now))
