"""The drawn parts of docs/architecture.md: import layers from the contracts, rooms from their first lines.

Run `python tests/unit/architecture/drawing.py` to draw them anew.

Belongs here: drawing. Does not: comparing (test_architecture.py), the prose around it (the page).
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs" / "architecture.md"
LAYERS, ROOMS = "layers", "rooms"

# In the order of imports; testbed stands beside them, and is imported by none.
_ROOTS = ("pipelines", "sensors", "assets", "resources", "slipway", "testbed")
_WIDTH = 110


def drawn(page: str) -> str:
    """The page with its drawings as they should be; each stands between two comments that name it."""
    for name, drawing in ((LAYERS, layers()), (ROOMS, rooms())):
        around = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        page = around.sub(lambda found, drawing=drawing: f"{found[1]}\n{drawing}\n{found[2]}", page)
    return page


def layers() -> str:
    """Every contract of layers in pyproject.toml, the highest layer first."""
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layered = (each for each in contracts if each["type"] == "layers")
    return "\n".join(
        _block(_layered(container, contract["layers"]))
        for contract in layered
        for container in contract.get("containers", [""])
    )


def rooms() -> str:
    """Every package, each under the one that it is in."""
    lines = [line for root in _ROOTS for line in _rooms(CHECKOUT / root, 0)]
    return _block(lines)


def first_line(module: str) -> str:
    """What a module or package says of itself in its first line."""
    path = CHECKOUT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]


def _layered(container: str, contract: list[str]) -> Iterator[str]:
    yield container or "the checkout"
    width = max(len(room) for layer in contract for room in layer.split(" | "))
    for layer in contract:
        yield "|"
        for n, room in enumerate(layer.split(" | ")):
            said = first_line(f"{container}.{room}" if container else room)
            yield _line(f"{'|  ' if n else '+- '}{room:<{width}}", said)


def _rooms(package: Path, depth: int) -> Iterator[str]:
    name = str(package.relative_to(CHECKOUT)).replace("/", ".")
    shown = f"{'  ' * depth}{name if depth == 0 else package.name}/"
    yield _line(f"{shown:<20}", first_line(name))
    for inner in sorted(package.iterdir()):
        if (inner / "__init__.py").exists():
            yield from _rooms(inner, depth + 1)


def _line(name: str, said: str) -> str:
    return f"{name}  {textwrap.shorten(said, _WIDTH - len(name) - 2, placeholder=' ...')}".rstrip()


def _block(lines: Iterator[str] | list[str]) -> str:
    return "\n".join(["```text", *lines, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
