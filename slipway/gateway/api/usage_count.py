"""The tokens of one answer: what its engine said of them, once or as it went, and what was seen of it.

Belongs here: which of several reports counts, and what stands in where the engine said nothing.
Does not: finding reports in an answer (stream.py), how large a bound is (slipway.gateway.usage.call).

What engines send, seen: vLLM one report with `choices: []` at the end and, where `continuous_usage_stats` is
on, the counts so far in every chunk; others the counts so far with `choices: []`, or the last report twice.
llama.cpp puts a completion's report into the last chunk that has choices, a chat's behind it, one for each of
`n` answers. So a report replaces the one before it, and only reports that follow the ends of different
answers, and nothing else, add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.records.usage import CountedBy

# No request has more; an engine that says so has not counted.
_MOST_TOKENS = 2**31 - 1
_NOTHING_SAID = (None, None, None)


@dataclass(slots=True)
class _Said:
    """One report, or several that are of the same tokens; None is what was not said."""

    prompt: int | None = None
    cached: int | None = None
    output: int | None = None

    def take(self, prompt: int | None, cached: int | None, output: int | None) -> None:
        """Counts only grow: what was said before and is not said now stands."""
        if prompt is not None and (self.prompt is None or prompt > self.prompt):
            self.prompt = prompt
        if cached is not None and (self.cached is None or cached > self.cached):
            self.cached = cached
        if output is not None and (self.output is None or output > self.output):
            self.output = output


class UsageCount:
    """Tokens of one request. With `several_prompts`, each has `per_prompt` answers."""

    __slots__ = (
        "_answers",
        "_bound",
        "_by_choice",
        "_closed",
        "_ended",
        "_is_running",
        "_nothing",
        "_per_prompt",
        "_pieces",
        "_several_prompts",
        "_summed",
        "text_bytes",
    )

    def __init__(self, *, several_prompts: bool = False, per_prompt: int = 1) -> None:
        self._several_prompts = several_prompts
        self._per_prompt = max(1, per_prompt)
        self._by_choice: dict[int, _Said] = {}
        self._answers: list[_Said] = []  # reports without choices: one, or one for each answer that ended
        self._closed: set[int] = set()  # answers that have ended
        self._ended: set[int] = set()  # those of them since the last report without choices
        self._is_running = False  # reports without choices come while answers go on
        self._pieces: dict[int, int] = {}  # with text, since the last report: tokens, of most engines
        self._bound: tuple[int, int] | None = None
        self._nothing = False
        self._summed: tuple[int | None, int | None, int | None] | None = None  # until more is said
        self.text_bytes: int | None = None  # of an answer in one piece that was not counted

    def piece(self, choice: int) -> None:
        """A piece of an answer with text was seen."""
        self._summed = None
        self._pieces[choice] = self._pieces.get(choice, 0) + 1

    def ended(self, choice: int) -> None:
        """An answer came to its end."""
        if choice not in self._closed:
            self._closed.add(choice)
            self._ended.add(choice)

    def report(self, usage: dict[str, Any], choices: Sequence[int]) -> None:
        """Take note of a usage object; with `choices` (their indices) it came with a part of these."""
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        said = _count(usage.get("prompt_tokens")), _count(cached), _count(usage.get("completion_tokens"))
        self._note(said, choices)

    def report_counts(self, prompt: object, cached: object, output: object) -> None:
        """Take note of what was said without choices of what, under whatever names."""
        self._note((_count(prompt), _count(cached), _count(output)), ())

    def report_timings(self, timings: dict[str, Any], choices: Sequence[int]) -> None:
        """Take note of llama.cpp's own counts so far."""
        cached, read = _count(timings.get("cache_n")), _count(timings.get("prompt_n"))
        prompt = None if read is None else read + (cached or 0)
        self._note((prompt, cached, _count(timings.get("predicted_n"))), choices)

    def bound(self, prompt: int, output: int) -> None:
        """What counts where the engine said nothing of the prompt, or of an answer that was not seen."""
        self._bound = (prompt, output)

    def nothing(self) -> None:
        """The client got nothing, by no fault of its own: nothing counts."""
        self._nothing = True

    @property
    def is_said(self) -> bool:
        """Whether the engine has said all that counts."""
        prompt, _, output = self._said()
        return prompt is not None and output is not None

    @property
    def counted_by(self) -> CountedBy:
        """By what `totals` are counted."""
        if self._nothing:
            return "none"
        prompt, _, output = self._said()
        if prompt is not None and output is not None:
            return "bound" if self._pieces else "engine"
        if self._bound is None and not self._pieces and prompt is None and output is None:
            return "none"
        return "bound"

    def totals(self) -> tuple[int, int, int]:
        """(input incl. cached, cached, output) tokens as far as they are known."""
        if self._nothing:
            return 0, 0, 0
        prompt, cached, output = self._said()
        most_prompt, most_output = self._bound or (0, 0)
        if prompt is None:
            prompt = most_prompt
        unreported = sum(self._pieces.values())
        if output is None:
            output = unreported or most_output
        else:
            output += unreported
        return prompt, min(prompt, cached or 0), output

    def _note(self, said: tuple[int | None, int | None, int | None], choices: Sequence[int]) -> None:
        if said == _NOTHING_SAID:
            return
        self._summed = None
        reported = choices
        if choices:
            so_far = self._by_choice.get(choices[0])
            if so_far is None:
                so_far = self._by_choice[choices[0]] = _Said()
            so_far.take(*said)
        else:
            reported = self._note_without_choices(said)
        if said[2]:
            for choice in reported:
                self._pieces.pop(choice, None)

    def _note_without_choices(self, said: tuple[int | None, int | None, int | None]) -> list[int]:
        """Returns the answers that the report is of."""
        if not self._ended and (self._pieces or not self._answers):
            self._is_running = True
        if not self._answers or (self._ended and not self._is_running):
            self._answers.append(_Said())
        self._answers[-1].take(*said)
        reported = list(self._ended or self._pieces) if not self._is_running else list(self._pieces)
        self._ended.clear()
        return reported

    def _said(self) -> tuple[int | None, int | None, int | None]:
        """What the engine said in all."""
        if self._summed is None:
            self._summed = self._sum()
        return self._summed

    def _sum(self) -> tuple[int | None, int | None, int | None]:
        whole, parts = self._of_answers(), self._of_choices()
        output = _larger(whole[2], parts[2]) if len(self._by_choice) < 2 else _first(whole[2], parts[2])
        prompt, cached = _larger(whole[0], parts[0]), _larger(whole[1], parts[1])
        if not prompt and not output and self._pieces:
            return None, None, None  # no tokens at all beside a text is no count
        return prompt, cached, output

    def _of_answers(self) -> tuple[int | None, int | None, int | None]:
        """Answers to one prompt share it."""
        answers = self._answers
        if len(answers) == 1:
            return answers[0].prompt, answers[0].cached, answers[0].output
        of_all = _most if self._is_running else _sum
        return (
            _most([said.prompt for said in answers]),
            _most([said.cached for said in answers]),
            of_all([said.output for said in answers]),
        )

    def _of_choices(self) -> tuple[int | None, int | None, int | None]:
        if not self._by_choice:
            return _NOTHING_SAID
        by_prompt: dict[int, _Said] = {}
        for choice, said in self._by_choice.items():
            prompt = choice // self._per_prompt if self._several_prompts else 0
            by_prompt.setdefault(prompt, _Said()).take(said.prompt, said.cached, None)
        return (
            _sum([said.prompt for said in by_prompt.values()]),
            _sum([said.cached for said in by_prompt.values()]),
            _sum([said.output for said in self._by_choice.values()]),
        )


def _count(value: Any) -> int | None:
    """A count, or None for what is none: only whole numbers from 0 are."""
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _first(one: int | None, other: int | None) -> int | None:
    return one if one else other


def _most(values: list[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
