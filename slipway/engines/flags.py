"""Engine arguments as every engine of ours reads them: a table of flags, their values and their defaults.

Belongs here: the form of a table, how values are read, the words for what is wrong.
Does not: any engine's table (llamacpp_args.py and its like in the engines' rooms).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from slipway.engines.errors import EngineRefusedError

Value = int | float | bool | str


@dataclass(frozen=True)
class EngineSettings:
    """Arguments as they were `given`, and the value of every flag that is given or has a default."""

    given: tuple[str, ...]
    values: Mapping[str, Value]

    def whole(self, name: str, otherwise: int = 0) -> int:
        """The value of a flag that is a whole number, or `otherwise` when it is not set."""
        return int(self.values.get(name, otherwise))

    def text(self, name: str, otherwise: str = "") -> str:
        """The value of a flag that is text, or `otherwise` when it is not set."""
        return str(self.values.get(name, otherwise))

    def on(self, name: str) -> bool:
        """Whether a flag that is on or off is on."""
        return bool(self.values.get(name, False))


@dataclass(frozen=True, kw_only=True)
class Flag:
    """How a flag's text is read, and its value where none is given; None: it is not set then."""

    read: Callable[[str], Value]
    default: Value | None = None


def parse(flags: Mapping[str, Flag], args: Iterable[str]) -> EngineSettings:
    """Read engine arguments by a table.

    Raises EngineRefusedError that names every unknown flag and every bad value.
    """
    values = {name: flag.default for name, flag in flags.items() if flag.default is not None}
    given = tuple(args)
    problems = []
    for arg in given:
        name, equals, text = arg.partition("=")
        try:
            values[name] = _read(flags, name, text, given=bool(equals))
        except ValueError as error:
            problems.append(f"engine argument {arg}: {error}.")
    if problems:
        raise EngineRefusedError(" ".join(problems))
    return EngineSettings(given, values)


def _read(flags: Mapping[str, Flag], name: str, text: str, *, given: bool) -> Value:
    if name not in flags:
        raise ValueError(f"unknown to this engine. It takes {', '.join(flags)}")
    if not given:
        raise ValueError(f"has no value. Write {name}=...")
    return flags[name].read(text)


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number between two bounds."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"not a whole number. Write one from {low} to {high}") from None
        if not low <= number <= high:
            raise ValueError(f"out of range. Write a number from {low} to {high}")
        return number

    return read


def decimal(low: float, high: float) -> Callable[[str], float]:
    """A number between two bounds."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"not a number. Write one from {low:g} to {high:g}") from None
        if not low <= number <= high:
            raise ValueError(f"out of range. Write a number from {low:g} to {high:g}")
        return number

    return read


def one_of(choices: Mapping[str, Value]) -> Callable[[str], Value]:
    """One of some words, and what each stands for."""

    def read(text: str) -> Value:
        if text not in choices:
            raise ValueError(f"unknown. Write one of {', '.join(choices)}")
        return choices[text]

    return read


def text(value: str) -> str:
    """Any text but none."""
    if not value:
        raise ValueError("empty. Give it a value")
    return value


ON_OFF = one_of({"on": True, "off": False})
