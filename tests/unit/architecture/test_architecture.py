"""docs/architecture.md tells the truth: its drawings are those of the code, and what it names is there."""

import re

import pytest

from .drawing import CHECKOUT, LAYERS, PAGE, ROOMS, drawn, first_line
from .names import missing_paths

FOUND_HERE = re.compile(r"^\| (?!you look for|\*\*|-)(?P<thing>[^|]+) \| (?P<room>[^|]+) \|$", re.MULTILINE)
JOURNEYS = ("A deployment", "Weights", "A request", "An hour")


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


def test_layers_are_drawn_as_the_contracts_say_and_rooms_as_they_say_of_themselves(page: str) -> None:
    assert drawn(page) == page, "run `python tests/unit/architecture/drawing.py`"


@pytest.mark.parametrize("name", [LAYERS, ROOMS])
def test_a_drawing_that_is_lost_would_be_seen(page: str, name: str) -> None:
    beginning, end = page.index(f"<!-- {name}: "), page.index(f"<!-- end of {name} -->")
    emptied = page[:beginning] + f"<!-- {name}: -->\n" + page[end:]
    assert "```text" in page[beginning:end]
    assert drawn(emptied) != emptied


def test_every_package_is_in_the_drawing_of_rooms(page: str) -> None:
    drawing = page[page.index(f"<!-- {ROOMS}: ") :]
    packages = [path.parent for path in (CHECKOUT / "slipway").rglob("__init__.py")]
    assert len(packages) > 40
    for package in packages:
        said = first_line(str(package.relative_to(CHECKOUT)).replace("/", "."))
        assert re.search(rf"^ *{package.name}/ ", drawing, re.MULTILINE), package
        assert said, f"{package}: says nothing of itself"


def test_every_path_that_it_names_exists(page: str) -> None:
    assert len(re.findall(r"slipway/[\w./]+", page)) > 100
    assert missing_paths(page) == []


def test_each_journey_goes_through_modules(page: str) -> None:
    for journey in JOURNEYS:
        (drawing,) = re.findall(rf"^### {journey}[^\n]*\n\n```text\n(.*?)```", page, re.MULTILINE | re.DOTALL)
        assert len(set(re.findall(r"[\w/]+/\w+\.(?:py|sql)", drawing))) >= 10, journey


def test_each_thing_to_look_for_leads_to_a_room(page: str) -> None:
    things = FOUND_HERE.findall(page)
    assert len(things) > 50
    assert [thing for thing, room in things if not re.search(r"`[\w./-]+/[\w.]*`", room)] == []


def test_a_name_that_is_not_there_would_be_seen() -> None:
    assert missing_paths("see `slipway/nowhere.py`, and slipway/control/") == ["slipway/nowhere.py"]
