"""Whatever lies in a catalog's directory: each odd file is skipped or a problem, and hides nothing."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.catalog.catalog import Catalog
from slipway.catalog.files import finding, positions
from slipway.catalog.files.loader import LoadedCatalog, load
from slipway.catalog.problems import CatalogError

ORGANIZATION = "kind: Organization\nname: acme\n"
BAD = "kind: Organization\nname: Bad_Name\n"
Make = Callable[[Path], object]

LEVELS = "abcdefghij"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{level}: &{level} [{', '.join([f'*{LEVELS[n]}'] * 10)}]\n" for n, level in enumerate(LEVELS[1:])
)
PRICES = """\
kind: PriceBook
name: standard
spec:
  prices:
    - {effective_from: %s, input: %s, cached_input: "0.05", output: "0.4"}
"""


def broken(directory: Path) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load(directory)
    lines = [str(problem).removeprefix(f"{directory}/") for problem in caught.value.problems]
    assert not any("\n" in line for line in lines)
    return lines


def write(name: str, content: str | bytes) -> Make:
    def make(directory: Path) -> None:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def link(name: str, target: str) -> Make:
    return lambda directory: (directory / name).symlink_to(target)


SKIPPED = {
    "an editor's lock": (link(".#x.yaml", "me@host.1234:1"), ".#x.yaml:1  warning: file: skipped: hidden."),
    "a link to itself": (link("x.yaml", "x.yaml"), "x.yaml:1  warning: file: skipped: a link to nothing"),
    "a link to nothing": (link("x.yaml", "nowhere"), "x.yaml:1  warning: file: skipped: a link to nothing"),
    "links in a circle": (
        lambda here: (link("x.yaml", "y.yaml")(here), link("y.yaml", "x.yaml")(here)),
        "x.yaml:1  warning: file: skipped: a link to nothing",
    ),
    "a directory": (lambda here: (here / "x.yaml").mkdir(), "x.yaml:1  warning: file: skipped: a directory"),
    "a link to around": (link("x", "."), "x:1  warning: file: skipped: a link to a directory"),
    "a pipe": (lambda here: os.mkfifo(here / "x.yaml"), "x.yaml:1  warning: file: skipped: a pipe"),
    "a device": (link("x.yaml", "/dev/zero"), "x.yaml:1  warning: file: skipped: a device"),
    "a hidden file": (write(".x.yaml", "{"), ".x.yaml:1  warning: file: skipped: hidden"),
    "another tool's": (
        write(".github/workflows/ci.yml", "on: push"),
        ".github:1  warning: file: skipped: hidden",
    ),
}


@pytest.mark.parametrize("odd", SKIPPED)
def test_what_is_no_file_of_a_catalog_is_skipped_with_a_word(tmp_path: Path, odd: str) -> None:
    (tmp_path / "good.yaml").write_text(ORGANIZATION)
    make, expected = SKIPPED[odd]
    make(tmp_path)
    loaded = load(tmp_path)
    assert [each.name for each in loaded.catalog.organizations] == ["acme"]
    lines = [str(each).removeprefix(f"{tmp_path}/") for each in loaded.warnings]
    assert lines[0].startswith(expected), lines
    (tmp_path / "bad.yaml").write_text(BAD)
    assert [line[:11] for line in broken(tmp_path)] == ["bad.yaml:2 "]


@pytest.mark.parametrize(
    "name", [".x.yaml.swp", "x.yaml~", "#x.yaml#", ".git/x.yaml", "..data/x.yaml", "x.txt"]
)
def test_what_nobody_takes_for_a_catalog_is_not_spoken_of(tmp_path: Path, name: str) -> None:
    (tmp_path / "good.yaml").write_text(ORGANIZATION)
    write(name, "{")(tmp_path)
    assert load(tmp_path).warnings == ()


@pytest.mark.parametrize("name", ["X.YAML", "x.Yml", "deep/er/x.yaml", "x.yaml/y.yaml"])
def test_endings_know_no_case_and_directories_any_name(tmp_path: Path, name: str) -> None:
    write(name, ORGANIZATION)(tmp_path)
    assert [each.name for each in load(tmp_path).catalog.organizations] == ["acme"]


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    write("..2026_01_01/x.yaml", ORGANIZATION)(tmp_path)
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "x.yaml").symlink_to("..data/x.yaml")
    loaded = load(tmp_path)
    assert loaded.warnings == ()
    assert len(loaded.catalog.organizations) == 1


ERRORS: dict[str, tuple[str | bytes, str]] = {
    "no day": (
        PRICES % ("2026-02-30T00:00:00Z", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_from = 2026-02-30T00:00:00Z: no instant",
    ),
    "no month": (
        PRICES % ("2026-13-01T00:00:00Z", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_",
    ),
    "no second": (
        PRICES % ("2026-01-01T00:00:60Z", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_",
    ),
    "no zone": (
        PRICES % ("2026-01-01T00:00:00", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_from",
    ),
    "zones end": (
        PRICES % ("2026-01-01T00:00:00+99:99", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effec",
    ),
    "before all": (
        PRICES % ("0001-01-01T00:00:00+14:00", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_from = 0001-01-01T00:00:00+14:00: before",
    ),
    "after all": (
        PRICES % ("9999-12-31T23:00:00-05:00", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_from = 9999-12-31T23:00:00-05:00: before",
    ),
    "seconds since 1970": (
        PRICES % ("20260101", '"1"'),
        "x.yaml:5  price_books[standard].prices[0].effective_from",
    ),
    "infinite": (
        PRICES % ("2026-01-01T00:00:00Z", '"1e400"'),
        "x.yaml:5  price_books[standard].prices[0].input = 1e400: not a price.",
    ),
    "32 digits": (
        PRICES % ("2026-01-01T00:00:00Z", f'"{"9" * 32}"'),
        f"x.yaml:5  price_books[standard].prices[0].input = {'9' * 32}: not a price.",
    ),
    "28 digits": (
        PRICES % ("2026-01-01T00:00:00Z", f'"{"9" * 28}"'),
        f"x.yaml:5  price_books[standard].prices[0].input = {'9' * 28}: more than 9223372036854.775807 per",
    ),
    "NaN": (
        PRICES % ("2026-01-01T00:00:00Z", '"NaN"'),
        "x.yaml:5  price_books[standard].prices[0].input = NaN: not a price.",
    ),
    "underscores": (
        PRICES % ("2026-01-01T00:00:00Z", '"1_0"'),
        "x.yaml:5  price_books[standard].prices[0].input = 1_0: not a price.",
    ),
    "digits of another script": (
        PRICES % ("2026-01-01T00:00:00Z", '"١٢"'),
        "x.yaml:5  price_books[standard].prices[0].input = ١٢: not a price.",
    ),
    "latin-1": (
        b"kind: Organization\nname: acme\ndescription: caf\xe9\n",
        "x.yaml:3  document: not UTF-8 text: byte 0xe9",
    ),
    "UTF-16": ("kind: Organization".encode("utf-16"), "x.yaml:1  document: UTF-16 text. Save it as UTF-8"),
    "a NUL": ("kind: Organization\nname: a\0b\n", "x.yaml:2  document: holds the control character U+0000"),
    "a colour": (
        'kind: Organization\nname: acme\ndescription: "\\e[31m"\n',
        "x.yaml:3  organizations[acme].description = \\x1b[31m: holds the control character U+001B",
    ),
    "an alias within itself": (
        "kind: Model\nname: &a [*a]\n",
        "x.yaml:2  document: alias *a stands within itself",
    ),
    "an alias of nothing": ("kind: Model\nname: *a\n", "x.yaml:2  document: alias *a of nothing"),
    "a key that is a list": (
        "kind: Model\n[a]: b\n",
        "x.yaml:2  document: a list, a mapping or an alias where",
    ),
    "a tag": (
        "kind: Organization\nname: acme\ndescription: !!python/name:os.system a\n",
        "x.yaml:3  organizations[acme].description = a: has a tag that a catalog does not know",
    ),
    "a merge": (
        "kind: Organization\nname: acme\nspec:\n  <<: {external_id: a}\n",
        "x.yaml:4  organizations[acme].<<: mappings are not merged",
    ),
    "too deep": ("kind: Model\nname: " + "[" * 100_000, "x.yaml:2  document: nested too deeply"),
    "too long": ("kind: Model\nname: " + "a" * finding.MOST_BYTES, "x.yaml:1  document: larger than 4 MiB"),
    "aliases of aliases": (BOMB, "x.yaml:5  document: too much: a file holds at most 20000 values"),
    "anchors": (
        "".join(f"k{n}: &a{n} x\n" for n in range(300)),
        "x.yaml:201  document: more than 200 anchors",
    ),
    "many values": (
        "a: [" + "x," * 100_000 + "]",
        "x.yaml:1  document: too much: a file holds at most 20000 values",
    ),
    "no YAML again and again": ("a: [}\n---\n" * 30_000, "x.yaml:1  document: not YAML:"),
    "a number of many digits": (
        f"kind: Model\nname: m\nspec: {{source: 'hf://a/b@main', context_length: {'9' * 5000}}}\n",
        "x.yaml:3  models[m].context_length = 99999",
    ),
}


@pytest.mark.parametrize("odd", ERRORS)
def test_what_cannot_be_read_is_a_line_with_its_place_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    content, expected = ERRORS[odd]
    write("x.yaml", content)(tmp_path)
    (tmp_path / "y.yaml").write_text(BAD)
    monkeypatch.setattr(positions, "MOST_NODES", 20_000)
    begun = time.process_time()
    lines = broken(tmp_path)
    assert time.process_time() - begun < 5  # the alias bomb took 30 s, and all memory there was
    assert any(line.startswith(expected) for line in lines), lines
    assert any(line.startswith("y.yaml:2  organizations[Bad_Name].name = Bad_Name: does") for line in lines)
    assert len(lines) < 40


def test_what_is_no_yaml_hides_no_other_document_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"{BAD}---\nkind: Model\nname: [\n---\n{BAD.replace('Bad', 'Worse')}")
    assert [line.split(" = ")[0] for line in broken(tmp_path)] == [
        "x.yaml:2  organizations[Bad_Name].name",
        "x.yaml:6  document: not YAML: did not find expected node content. Correct the syntax.",
        "x.yaml:8  organizations[Worse_Name].name",
    ]


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who reads everything: the system's refusal is put in the way."""
    (tmp_path / "x.yaml").write_text(ORGANIZATION)
    (tmp_path / "y.yaml").write_text(BAD)
    opened = os.open

    def refuse(path: str | Path, flags: int, *rest: int) -> int:
        if Path(path).name == "x.yaml":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert [line.split(":")[0] for line in broken(tmp_path)] == ["x.yaml", "y.yaml"]
    assert "x.yaml:1  file: cannot be read: permission denied. Let this user read it" in broken(tmp_path)[0]


def test_a_file_that_becomes_a_pipe_after_it_was_seen_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    assert stat.S_ISFIFO((tmp_path / "x.yaml").stat().st_mode)
    found = finding.text_of(tmp_path / "x.yaml")
    assert found.text is None
    assert "skipped: not a file" in str(found.problem)


def test_a_file_that_is_gone_after_it_was_seen_is_none(tmp_path: Path) -> None:
    assert finding.text_of(tmp_path / "gone.yaml") == finding.Text(None)


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.yaml"), "a\nb.yaml", "\x1b[31m.yaml"])
def test_names_of_files_are_shown_on_one_line_that_any_terminal_takes(tmp_path: Path, name: str) -> None:
    write(name, BAD)(tmp_path)
    (line,) = broken(tmp_path)
    assert line.encode().isascii()
    assert "\x1b" not in line


@pytest.mark.parametrize("what", ["absent", "a file", "empty"])
def test_where_no_catalog_is_it_says_how_to_point_at_one(tmp_path: Path, what: str) -> None:
    directory = tmp_path / "catalog"
    if what == "a file":
        directory.write_text(ORGANIZATION)
    elif what == "empty":
        directory.mkdir()
    assert "SLIPWAY_CATALOG" in broken(directory)[0]


def test_a_rule_that_fails_is_a_problem_and_the_others_are_run(tmp_path: Path) -> None:
    def a_rule(catalog: Catalog) -> list[object]:
        raise ZeroDivisionError(len(catalog.organizations))

    (tmp_path / "x.yaml").write_text(BAD)
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, rules=[a_rule])  # type: ignore[list-item]
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == 2
    assert "catalog: cannot be judged: the check of a rule failed" in lines[0]


@pytest.fixture
def accepted(tmp_path: Path) -> Callable[[str], LoadedCatalog]:
    def read(text: str) -> LoadedCatalog:
        (tmp_path / "x.yaml").write_text(text)
        return load(tmp_path)

    return read


@pytest.mark.parametrize(
    ("instant", "utc"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01 01:30:00.5 +01:30", "2026-01-01T00:00:00.500000+00:00"),
        ("'2026-01-01t00:00:00z'", "2026-01-01T00:00:00+00:00"),
        ("2026-1-1 2:00:00 +2", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_instants_are_read_as_yaml_writes_them(
    accepted: Callable[[str], LoadedCatalog], instant: str, utc: str
) -> None:
    (book,) = accepted(PRICES % (instant, '"1"')).catalog.price_books
    assert book.prices[0].effective_from.isoformat() == utc


def test_an_alias_stands_for_its_value_with_the_lines_of_it(accepted: Callable[[str], LoadedCatalog]) -> None:
    text = "kind: Organization\nname: &n acme\nspec:\n  external_id: *n\n"
    assert accepted(text).catalog.organizations[0].external_id == "acme"
