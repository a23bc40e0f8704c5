"""Promises of the house: no circle between modules, and none between packages.

A package's own modules and those of a package inside it count as two packages.
"""

from pathlib import Path

import grimp
import pytest

CHECKOUT = Path(__file__).parents[3]
ROOTS = ("slipway", "resources", "assets", "sensors", "pipelines", "testbed")

Edges = dict[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> Edges:
    graph = grimp.build_graph(*ROOTS, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def test_no_circle_between_modules(imports: Edges) -> None:
    assert len(imports) > 300
    assert circles(imports) == []


def test_no_circle_between_packages(imports: Edges) -> None:
    between: Edges = {}
    for importer, imported in imports.items():
        others = {package_of(each) for each in imported} - {package_of(importer)}
        between.setdefault(package_of(importer), set()).update(others)
    assert circles(between) == []


def test_a_circle_would_be_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def package_of(module: str) -> str:
    is_package = (CHECKOUT / module.replace(".", "/")).is_dir()
    return module if is_package else module.rpartition(".")[0]


def circles(edges: Edges) -> list[list[str]]:
    """Sets of nodes that all reach each other."""
    reached = {node: reachable(node, edges) for node in edges}
    together = {frozenset({n for n in reached[node] if node in reached.get(n, ())}) for node in edges}
    return sorted(sorted(each) for each in together if len(each) > 1)


def reachable(start: str, edges: Edges) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for following in edges.get(waiting.pop(), set()) - seen:
            seen.add(following)
            waiting.append(following)
    return seen
