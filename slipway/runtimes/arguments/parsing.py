"""Reading engine arguments as an engine's own parser would: one argument is one option with its values.

Belongs here: spellings (`--a-b`, `--a_b`, `-tp`), values (`--x=y`, `--x y`, several, JSON by parts),
negations, and what cannot be read. Pure.
Does not: options of an engine (vllm_options.py), judging them (owned.py).
As argparse and vLLM's FlexibleArgumentParser read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from slipway.runtimes.arguments.vllm_options import VLLM, VLLM_SHORT, Kind

_NUMBER = re.compile(r"^-\d*\.?\d+$")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Options:
    """What is known of an engine's options: the kind of each by its name, and short forms."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    short: Mapping[str, str] = field(default_factory=dict)

    def full_name(self, written: str) -> str:
        """The option that a name stands for; argparse takes a beginning that only one option has."""
        if written in self.kinds:
            return written
        beginning_so = [name for name in self.kinds if name.startswith(written)]
        return beginning_so[0] if len(beginning_so) == 1 else written


OF_VLLM = Options(VLLM, VLLM_SHORT)
OF_ANY = Options()


@dataclass(frozen=True)
class Argument:
    """One option as it was given: `at` is its place among the arguments, `words` all that belong to it.

    `key` is a part of a JSON value (`--compilation-config.mode=3`); `on` is false for `--no-x`.
    """

    option: str
    words: tuple[str, ...]
    at: int
    values: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    on: bool = True

    @property
    def value(self) -> str:
        """All of it as one text; empty for a flag."""
        return " ".join(self.values)


@dataclass(frozen=True)
class Unreadable:
    """A word that belongs to no option, or an option without its value; `reason` says what to write."""

    at: int
    word: str
    reason: str


@dataclass(frozen=True)
class Parsed:
    """Arguments in the order in which they were given, and what could not be read."""

    arguments: tuple[Argument, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def last(self, option: str) -> Argument | None:
        """The one that counts where an option is given twice."""
        return next((each for each in reversed(self.arguments) if each.option == option), None)

    def value(self, option: str) -> str | None:
        """The value that counts; None where the option is not given."""
        found = self.last(option)
        return found.value if found is not None else None


def parse(words: Sequence[str], options: Options = OF_VLLM) -> Parsed:
    """Read all arguments; what cannot be read is told, and the rest is read all the same."""
    arguments: list[Argument] = []
    unreadable: list[Unreadable] = []
    at = 0
    while at < len(words):
        word = words[at]
        reason = _unreadable(word, options)
        if reason is not None:
            unreadable.append(Unreadable(at, word, reason))
            at += 1
            continue
        argument = _argument(words, at, options)
        arguments.append(argument)
        at += len(argument.words)
        missing = _missing(argument, options)
        if missing is not None:
            unreadable.append(Unreadable(argument.at, word, missing))
    return Parsed(tuple(arguments), tuple(unreadable))


def is_option(word: str) -> bool:
    """Whether a word begins an option; a negative number is a value."""
    return len(word) > 1 and word.startswith("-") and not _NUMBER.match(word)


def size(text: str) -> int | None:
    """A number as vLLM reads `32k` (thousands) and `32K` (1024s); None for what says no number, as `auto`."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgGtT]?)", text.strip())
    if matched is None:
        return None
    power = "kmgt".find(matched[2].lower()) + 1 if matched[2] else 0
    return int(float(matched[1]) * (1000 if matched[2].islower() else 1024) ** power)


def _unreadable(word: str, options: Options) -> str | None:
    """Why a word begins no option, and what to write."""
    if not is_option(word):
        return "belongs to no option. Write it behind the option whose value it is, such as --max-num-seqs=7"
    name, equals, _ = word.partition("=")
    if not equals and any(each.isspace() for each in word):
        head, _, rest = word.partition(" ")
        return f"is one word with a space in it. Write {head}={rest.strip()}, or two items of the list"
    if options.short and not word.startswith("--") and _short(name, options) is None:
        return "is no option of the engine. Write its long name, such as --tensor-parallel-size=2"
    return None


def _short(name: str, options: Options) -> tuple[str, str] | None:
    """The option of a short form, and what is written on to it: `-q` and `-O` take a value so."""
    base = name.partition(".")[0]
    if base in options.short:
        return options.short[base], ""
    letter = name[:2]
    return (options.short[letter], name[2:]) if letter in options.short else None


def _argument(words: Sequence[str], at: int, options: Options) -> Argument:
    name, equals, text = words[at].partition("=")
    option, key, on, attached = _named(name, options)
    given = (words[at],)
    values = (text,) if equals else (attached,) if attached else ()
    kind = options.kinds.get(option)
    if kind == "flag" and values and values[0].lower() in _TRUTH:
        return Argument(option, given, at, on=_TRUTH[values[0].lower()] == on)
    if kind == "flag" or (values and kind != "list"):
        return Argument(option, given, at, values, key, on)
    following = _following(words, at + 1, kind, key)
    return Argument(option, (*given, *following), at, (*values, *following), key, on)


def _named(name: str, options: Options) -> tuple[str, tuple[str, ...], bool, str]:
    """The full name, the part of a JSON value, whether it is no negation, and a value written on to it."""
    if not name.startswith("--"):
        found = _short(name, options)
        key = tuple(name.split(".")[1:])
        if found is None:
            return name.lstrip("-"), key, True, ""
        # Before vLLM 0.12 -O was the compilation's configuration, part by part.
        option = "compilation-config" if key and found[0] == "optimization-level" else found[0]
        return option, key, True, "" if key else found[1]
    base, *parts = name.removeprefix("--").split(".")
    written = base.replace("_", "-")
    if options.full_name(written) not in options.kinds and written.startswith("no-"):
        return options.full_name(written.removeprefix("no-")), tuple(parts), False, ""
    return options.full_name(written), tuple(parts), True, ""


def _following(words: Sequence[str], at: int, kind: Kind | None, key: tuple[str, ...]) -> tuple[str, ...]:
    """The values that come as words of their own: one, or for a list all up to the next option."""
    values: list[str] = []
    for word in words[at:]:
        if is_option(word):
            break
        values.append(word)
        if key or kind not in ("list", None):
            break
    return tuple(values)


def _missing(argument: Argument, options: Options) -> str | None:
    kind = options.kinds.get(argument.option)
    name = f"--{argument.option}"
    if kind == "flag" and argument.values:
        return f"takes no value. Write {name}, or --no-{argument.option} for its opposite"
    if kind in (None, "flag"):
        return None
    if not argument.on:
        return f"is the opposite of an option with a value. Write {name}=..."
    return None if argument.values else f"has no value. Write {name}=..."


def spelled(argument: Argument) -> str:
    """How an option is named to a person: its full name, and its own spelling where that differs."""
    full = f"--{'' if argument.on else 'no-'}{argument.option}"
    written = argument.words[0].partition("=")[0]
    return full if written in (full, full.replace("-", "_").replace("__", "--", 1)) else f"{written} ({full})"


def without(parsed: Parsed, options: Iterable[str]) -> list[str]:
    """The words again, without those of some options."""
    left_out = frozenset(options)
    return [word for each in parsed.arguments if each.option not in left_out for word in each.words]
