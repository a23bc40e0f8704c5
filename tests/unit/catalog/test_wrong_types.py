"""What a field of the wrong kind is told: in words of a catalog, beside all other problems."""

import re
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import core_schema

from slipway.catalog.explaining import explain
from slipway.catalog.files.loader import load
from slipway.catalog.files.written import HEADER, KINDS
from slipway.catalog.problems import CatalogError
from slipway.control.check import check_catalog

# Words of Python, of pydantic and of regular expressions, which nobody who writes a catalog has to know.
FOREIGN = re.compile(
    r"\b(tuple|dict|dictionary|str|int|bool|instance|NoneType|None|True|False|pydantic|Traceback|Input should"
    r"|valid string|valid integer|validator|isinstance|ctx|loc|object at|Error)\b|\^|\\[dws.]|\)\?|\]\*|\$$"
)
WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**26,
    1.5,
    "Some text, with a {bracket}",
    "0001-01-01T00:00:00+14:00",
    [1, None, [], {"a": "b"}],
    {"Some Key!": 1, "b": [1], "nvidia": None},
)
COMMIT = "0123456789012345678901234567890123456789"


def a_document(kind: str) -> dict[str, Any]:
    spec: dict[str, dict[str, Any]] = {
        "Model": {"source": f"hf://org/tiny@{COMMIT}"},
        "Adapter": {"base": "tiny", "source": f"hf://org/tone@{COMMIT}"},
        "Deployment": {"model": "tiny", "runtime": "ray", "engine": "llama-cpp"},
        "Endpoint": {"host": "llm.example.com"},
        "Engine": {"server": "llama.cpp"},
        "PriceBook": {
            "prices": [{"effective_from": "2026-01-01T00:00:00Z", "input": 1, "cached_input": 1, "output": 1}]
        },
    }
    return spec.get(kind, {})


def inner(annotation: Any) -> tuple[type[BaseModel], tuple[str | int, ...]] | None:
    """The model within a field, and how to come to it: through a list or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ()
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    for argument in arguments[1:] if origin is dict else arguments:
        found = inner(argument)
        if found is not None:
            through = [0] if origin is tuple else ["nvidia"] if origin is dict else []
            return found[0], (*through, *found[1])
    return None


def paths(model: type[BaseModel]) -> Iterator[tuple[str | int, ...]]:
    for name, item in model.model_fields.items():
        written = item.alias or name
        yield (written,)
        within = inner(item.annotation)
        if within is not None:
            yield from ((written, *within[1], *path) for path in paths(within[0]))


def put(spec: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """The spec with a value at a path, and what is around it made where it is not there."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        items = list(spec) if isinstance(spec, list) else []
        return [put(items[0] if items else None, rest, value), *items[1:]]
    fields = dict(spec) if isinstance(spec, dict) else {}
    fields[first] = put(fields.get(first), rest, value)
    return fields


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """One for every field of every kind and every wrong value."""
    number = 0
    for kind, (model, _) in KINDS.items():
        for path in paths(model):
            for value in WRONG:
                number += 1
                name = f"d{number}"
                if path[0] in HEADER:
                    yield name, {"kind": kind, "name": name, "spec": a_document(kind), path[0]: value}
                else:
                    yield name, {"kind": kind, "name": name, "spec": put(a_document(kind), path, value)}


@pytest.fixture(scope="module")
def every_wrong_value(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a catalog is told that is wrong everywhere."""
    directory = tmp_path_factory.mktemp("wrong")
    text = yaml.dump_all((document for _, document in documents()), Dumper=yaml.CSafeDumper)
    (directory / "x.yaml").write_text(text)
    with pytest.raises(CatalogError) as caught:
        load(directory)
    lines = [str(problem).removeprefix(f"{directory}/") for problem in caught.value.problems]
    assert len(lines) > 1000
    return lines


def test_no_message_has_words_of_the_program(every_wrong_value: list[str]) -> None:
    messages = [line.partition(": ")[2] for line in every_wrong_value]
    foreign = [message for message in messages if FOREIGN.search(re.sub(r"^\S* = .*?: ", "", message))]
    assert foreign == []


def test_each_says_what_is_wrong_and_what_to_do(every_wrong_value: list[str]) -> None:
    short = [line for line in every_wrong_value if not re.search(r": .+\. .+\.$|\? .+\.$|: .+\.$", line)]
    assert short == []
    assert not any("cannot be judged" in line for line in every_wrong_value)


@pytest.mark.parametrize("kind", typing.get_args(core_schema.ErrorType))
def test_every_error_that_validation_knows_has_words(kind: str) -> None:
    class _Anything(dict[str, Any]):
        def __missing__(self, name: str) -> str:
            return "7"

    message = explain(
        [{"type": kind, "loc": ("a",), "ctx": _Anything(), "msg": "Input should be"}], ["b"], "x", None
    )
    assert not FOREIGN.search(message)
    assert "Input" not in message


Broken = Callable[..., list[str]]


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    def problems(**fields: object) -> list[str]:
        """Problems of a deployment with these lines in its spec, in a catalog that is otherwise good."""
        spec = {"model": "tiny", "runtime": "ray", "engine": "llama-cpp", **fields}
        lines = "".join(f"  {name}: {value}\n" for name, value in spec.items() if value is not None)
        name = fields.get("name", "chat")
        good = [
            f"kind: Model\nname: tiny\nspec: {{source: 'hf://org/tiny@{COMMIT}'}}\n",
            "kind: Engine\nname: llama-cpp\nspec: {server: llama.cpp}\n",
            "kind: Organization\nname: acme\n",
        ]
        (tmp_path / "chat.yaml").write_text(f"kind: Deployment\nname: {name}\nspec:\n{lines}")
        (tmp_path / "good.yaml").write_text("---\n".join(good))
        with pytest.raises(CatalogError) as caught:
            check_catalog(tmp_path)
        return [
            str(each).removeprefix(f"{tmp_path}/chat.yaml:").split("  ", 1)[1]
            for each in caught.value.problems
        ]

    return problems


TOGETHER: dict[str, tuple[Mapping[str, object], list[str]]] = {
    "a negative count, bounds and a dangling org": (
        {"replicas": -1, "autoscaling": "{min_replicas: 3, max_replicas: 2}", "sharing": "[acme, nobody]"},
        [
            "deployments[chat].replicas = -1: too small.",
            "deployments[chat].autoscaling.min_replicas = 3: larger than max_replicas = 2.",
            "deployments[chat].sharing[1] = nobody: no Organization of that name.",
        ],
    ),
    "one of two bounds, and what does not need it": (
        {"autoscaling": "{min_replicas: 3, max_replicas: x, idle: zero}"},
        [
            "deployments[chat].autoscaling.idle = zero: contradicts min_replicas = 3.",
            "deployments[chat].autoscaling.max_replicas = x: text where a number is expected.",
        ],
    ),
    "a runtime that is none": (
        {"runtime": "rai", "sharing": "[nobody]"},
        [
            "deployments[chat].runtime = rai: not one of the choices.",
            "deployments[chat].sharing[0] = nobody: no Organization of that name.",
        ],
    ),
    "no model": (
        {"model": None, "engine": "vllm"},
        [
            "deployments[chat].engine = vllm: no Engine of that name.",
            "deployments[chat].model: is missing. Add it.",
        ],
    ),
    "one entry of a list": (
        {"secrets": "[{name: A, env: A, secret: a}, {name: [], env: B}]"},
        [
            "deployments[chat].secrets: would be readable in Ray's dashboard.",
            "deployments[chat].secrets[0]: env and secret are both given.",
            "deployments[chat].secrets[1].name: a list where text is expected.",
        ],
    ),
    "a contradiction within a part that is wrong elsewhere": (
        {"resources": "{gpu: {fraction: 0.5, count: 2, vendor: acme}}"},
        [
            "deployments[chat].resources.gpu: fraction goes with count = 1.",
            "deployments[chat].resources.gpu.vendor = acme: not one of the choices.",
        ],
    ),
    "a name that was mistyped is not its default": (
        {"autoscaling": "{min_replcas: 0, idle: zero}"},
        ["deployments[chat].autoscaling.min_replcas = 0: unknown field. Did you mean min_replicas?"],
    ),
    "true for a name": (
        {"name": "yes", "replicas": "-1"},
        [
            "deployments[yes].name = yes: true or false where text is expected. Put it in quotes.",
            "deployments[yes].replicas = -1: too small.",
        ],
    ),
}


@pytest.mark.parametrize("what", TOGETHER)
def test_a_document_that_is_wrong_is_judged_as_far_as_it_is_known(broken: Broken, what: str) -> None:
    fields, expected = TOGETHER[what]
    found = broken(**fields)
    assert len(found) == len(expected), found
    assert all(any(line.startswith(start) for line in found) for start in expected), found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"replicas": "100000000000000000000000000"},
            "replicas = 100000000000000000000000000: larger than anything",
        ),
        ({"replicas": "1e26"}, "replicas = 1e26: larger than anything"),
        ({"replicas": "1.0e+26"}, "replicas = 1.0e+26: larger than anything"),
        ({"replicas": "1000000"}, "replicas = 1000000: too large. Write at most 100000."),
        ({"replicas": "yes"}, "replicas = yes: true or false where a number is expected."),
        ({"replicas": "010"}, "replicas = 010: begins with 0, which YAML takes for octal."),
        ({"replicas": "'1_0'"}, "replicas = 1_0: text where a number is expected."),
        ({"rollout": "{deadline_s: 1:30}"}, "rollout.deadline_s = 1:30: written with a colon"),
        (
            {"rollout": "{deadline_s: 190:20:30.15}"},
            "rollout.deadline_s = 190:20:30.15: written with a colon",
        ),
        ({"rollout": "{deadline_s: .inf}"}, "rollout.deadline_s = .inf: not a finite number"),
        (
            {"rollout": "{validation: {prompt: no}}"},
            "rollout.validation.prompt = no: true or false where text",
        ),
        ({"env": "{PORT: 8080}"}, "env.PORT = 8080: a number where text is expected. Put it in quotes."),
        ({"rollout": "[1]"}, "rollout = 1: a list where a mapping of fields is expected."),
        ({"adapters": "tone"}, "adapters = tone: text where a list is expected."),
        (
            {"sharing": "5"},
            "sharing = 5: a number, which this field does not take. Write none or all or a list.",
        ),
        (
            {"resources": "{requests: {memory: 99999999999999999999Ti}}"},
            "resources.requests.memory = 99999999999999999999Ti: larger than any disk or memory.",
        ),
        (
            {"path": "LLM"},
            "path = LLM: does not have the form that this field takes. Write a path such as /llm",
        ),
    ],
)
def test_what_would_be_taken_in_silence_is_a_problem(
    broken: Broken, fields: Mapping[str, object], expected: str
) -> None:
    found = broken(**fields)
    assert any(line.startswith(f"deployments[chat].{expected}") for line in found), found


def test_a_currency_is_one_of_those_there_are(tmp_path: Path) -> None:
    text = (
        "kind: PriceBook\nname: p\nspec:\n  currency: {}\n"
        "  prices: [{{effective_from: 2026-01-01T00:00:00Z, input: 1, cached_input: 1, output: 1}}]\n"
    )
    (tmp_path / "x.yaml").write_text(text.format("XXQ"))
    with pytest.raises(CatalogError, match="currency = XXQ: no currency of ISO 4217"):
        load(tmp_path)
    (tmp_path / "x.yaml").write_text(text.format("CHF"))
    assert load(tmp_path).catalog.price_books[0].currency == "CHF"


@pytest.mark.parametrize(
    "document",
    [
        "kind: Organization\nname: acme\nowner: nobody\n",
        "kind: Organisation\nname: acme\n",
        "name: acme\n",
        "kind: Organization\nname: Acme\n",
        "kind: Organization\nname: acme\nspec: [\n",
        "kind: Organization\nname: acme\nspec: {external_id: &a [*a]}\n",
        "kind: Organization\n",
    ],
)
def test_who_refers_to_a_document_that_is_wrong_is_not_told_that_it_is_missing(
    broken: Broken, tmp_path: Path, document: str
) -> None:
    (tmp_path / "orgs.yaml").write_text(document)
    found = broken(sharing="[acme, umbrella]", replicas=-1)
    assert not any("acme: no Organization" in line for line in found), found


def test_unquoted_words_that_are_no_numbers_are_text_where_text_is_taken(tmp_path: Path) -> None:
    text = "kind: Organization\nname: acme\nspec: {external_id: 010, display_name: 12:30}\n"
    (tmp_path / "x.yaml").write_text(text)
    (org,) = load(tmp_path).catalog.organizations
    assert (org.external_id, org.display_name) == ("010", "12:30")
