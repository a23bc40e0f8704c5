from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.catalog.files.loader import load
from slipway.catalog.problems import CatalogError

REPOSITORY = Path(__file__).parents[3]
GOOD = {
    "models.yaml": """\
kind: Model
name: tiny
spec: {source: "hf://org/tiny@0123456789012345678901234567890123456789"}
---
kind: Model
name: other
spec: {source: "hf://org/other@0123456789012345678901234567890123456789"}
---
kind: Adapter
name: tone
spec: {base: tiny, source: "hf://org/tone@0123456789012345678901234567890123456789"}
---
kind: Engine
name: llama-cpp
spec: {server: llama.cpp}
""",
    "chat.yaml": """\
kind: Deployment
name: chat
spec:
  model: tiny
  adapters: [tone]
  runtime: ray
  engine: llama-cpp
  resources:
    requests: {cpu: 1, memory: 1Gi}
  sharing: [acme]
  price: standard
""",
    "tenants.yaml": """\
kind: Organization
name: acme
---
kind: PriceBook
name: standard
spec:
  prices:
    - {effective_from: 2026-01-01T00:00:00Z, input: "0.1", cached_input: "0.05", output: "0.4"}
""",
}


@pytest.fixture
def a_directory(tmp_path: Path) -> Callable[..., Path]:
    def write(**replaced: tuple[str, str]) -> Path:
        """The good catalog; each keyword is a file (without .yaml) and (old, new) text in it."""
        for name, text in GOOD.items():
            old, new = replaced.get(name.removesuffix(".yaml"), ("", ""))
            assert old in text
            (tmp_path / name).write_text(text.replace(old, new, 1) if old else text)
        return tmp_path

    return write


def problems(directory: Path) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load(directory)
    return [str(problem).removeprefix(f"{directory}/") for problem in caught.value.problems]


def test_a_good_catalog_has_every_document(a_directory: Callable[..., Path]) -> None:
    loaded = load(a_directory())
    assert loaded.warnings == ()
    assert [each.name for each in loaded.catalog.models] == ["tiny", "other"]
    assert loaded.catalog.deployment("chat").served_names == ("chat", "tone")
    assert loaded.catalog.deployment("chat").resources.requests.cpu == "1"
    assert loaded.places[("Deployment", "chat")].endswith("chat.yaml:1")


def test_the_demo_catalog_is_good() -> None:
    loaded = load(REPOSITORY / "catalog")
    assert loaded.warnings == ()
    assert {each.name for each in loaded.catalog.organizations} == {"acme", "globex", "initech"}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "chat",
            "runtime: ray",
            "runtime: ray\n  replcas: 2",
            "chat.yaml:7  deployments[chat].replcas = 2: unknown field. Did you mean replicas?",
        ),
        (
            "chat",
            "memory: 1Gi",
            "memory: 16GB",
            "chat.yaml:9  deployments[chat].resources.requests.memory = 16GB: not a Kubernetes quantity.",
        ),
        (
            "chat",
            "cpu: 1",
            "cpu: lots",
            "chat.yaml:9  deployments[chat].resources.requests.cpu = lots: not a Kubernetes CPU quantity.",
        ),
        (
            "chat",
            "model: tiny",
            "model: tinny",
            "chat.yaml:4  deployments[chat].model = tinny: no Model of that name. Add one, or use one of:",
        ),
        (
            "chat",
            "model: tiny",
            "model: other",
            "chat.yaml:5  deployments[chat].adapters[0] = tone: adapter for another base: "
            "it was made for tiny, this deployment serves other.",
        ),
        (
            "chat",
            "sharing: [acme]",
            "sharing: [acme, umbrella]",
            "chat.yaml:10  deployments[chat].sharing[1] = umbrella: no Organization of that name.",
        ),
        (
            "chat",
            "price: standard",
            "price: gold",
            "chat.yaml:11  deployments[chat].price = gold: no PriceBook of that name.",
        ),
        (
            "chat",
            "runtime: ray",
            "runtime: ray\n  env: {HF_TOKEN: hf_abcdef}",
            "chat.yaml:7  deployments[chat].env.HF_TOKEN: looks like a secret in plain text.",
        ),
        (
            "chat",
            "price: standard",
            "autoscaling: {min_replicas: 3, max_replicas: 2}",
            "chat.yaml:11  deployments[chat].autoscaling.min_replicas = 3: larger than max_replicas = 2. "
            "Lower min_replicas or raise max_replicas.",
        ),
        (
            "chat",
            "price: standard",
            "limits: {org: {tokens_per_minute: 10}, api_key: {tokens_per_minute: 20}}",
            "chat.yaml:11  deployments[chat].limits.api_key.tokens_per_minute = 20: above "
            "limits.org.tokens_per_minute = 10, so never reached.",
        ),
        (
            "models",
            "name: other",
            "name: tiny",
            "models.yaml:6  models[tiny].name = tiny: duplicate name: Model tiny is also at",
        ),
        (
            "models",
            "@0123456789012345678901234567890123456789",
            "",
            "models.yaml:3  models[tiny].source = hf://org/tiny: names no revision.",
        ),
        (
            "models",
            "base: tiny",
            "base: huge",
            "models.yaml:11  adapters[tone].base = huge: no Model of that name.",
        ),
        ("models", "kind: Engine", "kind: Motor", "models.yaml:13  kind = Motor: unknown kind."),
        (
            "tenants",
            'input: "0.1"',
            "input: 0.1",
            "tenants.yaml:8  price_books[standard].prices[0].input = 0.1: a float. Quote it",
        ),
        (
            "tenants",
            'input: "0.1"',
            'input: "0.1234567"',
            "tenants.yaml:8  price_books[standard].prices[0].input = 0.1234567: finer than a millionth",
        ),
        (
            "tenants",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "tenants.yaml:8  price_books[standard].prices[0].effective_from",
        ),
        ("tenants", "spec:\n", "spec: [\n", "tenants.yaml:8  document: not YAML:"),
        (
            "tenants",
            "name: acme",
            "name: " + "[" * 3000 + "]" * 3000,
            "tenants.yaml:2  document: nested too",
        ),
    ],
)
def test_each_mistake_is_named_with_its_place_and_remedy(
    a_directory: Callable[..., Path], file: str, old: str, new: str, expected: str
) -> None:
    found = problems(a_directory(**{file: (old, new)}))
    assert any(problem.startswith(expected) for problem in found), found
    assert "hf_abcdef" not in "".join(found)


def test_all_problems_of_all_files_come_at_once(a_directory: Callable[..., Path]) -> None:
    directory = a_directory(chat=("runtime: ray", "runtime: rai"), tenants=('"0.4"', '"-1"'))
    (directory / "more.yaml").write_text("kind: Deployment\nname: Bad_Name\n")
    found = problems(directory)
    files = [problem.split(":", 1)[0] for problem in found]
    assert files == sorted(files)
    assert set(files) == {"chat.yaml", "more.yaml", "tenants.yaml"}
    assert sum(problem.startswith("more.yaml:2  deployments[Bad_Name].name") for problem in found) == 1
    assert sum("is missing. Add it" in problem for problem in found) == 3


def test_a_key_written_twice_is_a_problem(a_directory: Callable[..., Path]) -> None:
    found = problems(a_directory(chat=("runtime: ray", "runtime: ray\n  runtime: vllm")))
    assert any("chat.yaml:7  deployments[chat].runtime = vllm: given twice" in problem for problem in found)


def test_an_empty_directory_says_how_to_point_at_a_catalog(tmp_path: Path) -> None:
    assert "SLIPWAY_CATALOG" in problems(tmp_path)[0]


def test_downloading_at_start_is_allowed_with_a_warning(a_directory: Callable[..., Path]) -> None:
    loaded = load(a_directory(models=("spec: {", "spec: {host_locally: false, ")))
    assert [warning.field for warning in loaded.warnings] == ["models[tiny].host_locally"]


def test_a_document_with_a_mistake_is_not_also_reported_as_missing(a_directory: Callable[..., Path]) -> None:
    found = problems(a_directory(models=("name: tiny", "name: tiny\ndescription: [1]")))
    assert [problem.split("  ")[0] for problem in found] == ["models.yaml:3"]


def test_a_document_that_has_anothers_name_is_judged_too(a_directory: Callable[..., Path]) -> None:
    directory = a_directory()
    copied = GOOD["chat.yaml"].replace("[acme]", "[umbrella]").replace("1Gi", "1X")
    (directory / "copy.yaml").write_text(copied)
    assert [problem.split(" = ")[0] for problem in problems(directory)] == [
        "copy.yaml:2  deployments[chat].name",
        "copy.yaml:9  deployments[chat].resources.requests.memory",
        "copy.yaml:10  deployments[chat].sharing[0]",
    ]
