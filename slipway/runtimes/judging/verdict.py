"""What a verdict is made from, and what it says.

Belongs here: the values. Does not: any runtime's judgement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from slipway.runtimes.judging.objects import Object, Ref

# missing: the workload is not there. waiting: not yet. idle: at zero replicas, so nothing proves the spec.
# overtaken: another spec was applied over this one. serving and failed are final.
State = Literal["missing", "waiting", "idle", "overtaken", "serving", "failed"]


@dataclass(frozen=True)
class Target:
    """What is watched: one kind in one namespace, narrowed by selectors."""

    api_version: str
    kind: str
    namespace: str
    labels: str = ""
    fields: str = ""


@dataclass(frozen=True)
class Wanted:
    """The revision that is waited for."""

    application: str
    deployment: str
    spec_digest: str
    workload: Ref
    rendered: Object


@dataclass(frozen=True)
class Seen:
    """The cluster as it was observed, by kind. `own_word` is what the runtime itself says that it runs, where
    it is asked: None unless it was, empty while it does not answer.

    `unchanged_s` says for how long nothing has changed.
    """

    objects: Mapping[str, tuple[Object, ...]]
    now: datetime
    unchanged_s: float = 0.0
    own_word: Mapping[str, Any] | None = None

    def of(self, kind: str) -> tuple[Object, ...]:
        """All objects of a kind."""
        return self.objects.get(kind, ())

    def named(self, kind: str, name: str) -> Object | None:
        """One object by name."""
        return next((each for each in self.of(kind) if each["metadata"]["name"] == name), None)


# Why it is not more, where somebody goes on differently. other-template: what the operator makes has another
# spec. unasked: all is as it should be but for the runtime's own word, which was not asked for.
Reason = Literal["", "other-template", "unasked"]


@dataclass(frozen=True)
class Verdict:
    """What is seen, for a person in `message`, and the replicas. `pod`: the one that a failure is about."""

    state: State
    message: str
    ready: int = 0
    wanted: int = 0
    pod: str = field(default="", compare=False)
    reason: Reason = field(default="", compare=False)


@dataclass(frozen=True)
class Judge:
    """One kind of workload: what must be seen to judge it, and the judgement."""

    targets: Callable[[Wanted], Mapping[str, Target]]
    verdict: Callable[[Wanted, Seen], Verdict]
