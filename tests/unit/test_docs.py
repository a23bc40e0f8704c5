"""The documents tell the truth where a machine can check it: links, commands, variables, catalog fields.

What modules and files they name is checked with those that modules name: architecture/test_names.py.
"""

import re
from pathlib import Path

import click
import pytest

from slipway.catalog.files.reference import PART, field_paths
from slipway.commands.main import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def of_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_a_link_leads_to_a_file_that_exists(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_a_link_within_a_page_leads_to_one_of_its_headings(page: Path) -> None:
    text = page.read_text()
    anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert [anchor for anchor in re.findall(r"\]\(#([^)]+)\)", text) if anchor not in anchors] == []


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_a_command_in_the_documents_exists(page: Path) -> None:
    code = "\n".join(CODE.findall(page.read_text()))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) - targets == set()
    asked = re.findall(r"\bslipway ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", code)
    assert [words for words in asked if not _is_command(*words)] == []


def test_the_catalog_page_lists_every_field_as_the_code_has_it() -> None:
    page = (ROOT / "docs/catalog.md").read_text()
    assert PART.rewritten(page) == page, "run `python -m slipway.catalog.files.reference docs/catalog.md`"


def test_the_catalog_page_names_only_fields_that_exist() -> None:
    page = (ROOT / "docs/catalog.md").read_text()
    kinds = "Model|Adapter|Deployment|Endpoint|Organization|PriceBook|Engine|Settings"
    named = set(re.findall(rf"`((?:{kinds})\.[a-z_.0-9]+)`", page))
    assert named and named - field_paths() == set()


def test_the_operations_page_names_every_variable_that_the_code_reads() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    packages = ("slipway", "resources", "assets", "sensors", "pipelines")
    sources = [path.read_text() for name in packages for path in (ROOT / name).rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"(SLIPWAY_[A-Z0-9_]+)"', text)}
    assert read - set(re.findall(r"SLIPWAY_[A-Z0-9_]+", page)) == set()


def _anchor(heading: str) -> str:
    """As GitHub makes it: lower case, punctuation dropped, spaces to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _is_command(name: str, second: str) -> bool:
    command = cli.commands.get(name)
    if isinstance(command, click.Group) and second:
        return second in command.commands
    return command is not None
