"""Which modules and files a text names, and which of them there are not.

Belongs here: reading names out of prose and comments. Does not: which texts are read (test_names.py).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
ROOTS = ("slipway", "resources", "assets", "sensors", "pipelines", "testbed", "bench")
FOLDERS = (*ROOTS, "tests", "docs", "catalog", r"\.ci")

# A dotted name of ours; not the beginning of a label, such as slipway.example/key.
_DOTTED = re.compile(rf"(?<![\w./@-])(?:{'|'.join(ROOTS)})(?:\.[A-Za-z_]\w*)+(?![\w/-])")
_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w/?")
_FILE = re.compile(r"(?<![\w./*{}-])\w[\w./-]*\.(?:py|sql)\b")

# Files of other projects, named where theirs is the format.
_OTHERS = frozenset({"ray/serve/schema.py", "docs/gguf.md"})


def missing_modules(text: str) -> list[str]:
    """Dotted names in a text that are neither a module nor something that its module says."""
    return sorted({name for name in _DOTTED.findall(text) if not is_there(name)})


def missing_paths(text: str) -> list[str]:
    """Paths from the checkout's root in a text that lead nowhere; `docs/adr/0020` is one of its decision."""
    return sorted(path for path in {*_PATH.findall(text)} - _OTHERS if not any(CHECKOUT.glob(f"{path}*")))


def missing_files(text: str, beside: Path) -> list[str]:
    """Files of Python or SQL in a text that there are not: a bare name means one in the same folder.

    One with a folder is looked for in the room, too: `weights/pull.py` in slipway/artifacts/sources.
    """
    within = [beside, *(each for each in beside.parents if each.is_relative_to(CHECKOUT))]
    return sorted(
        name
        for name in {*_FILE.findall(text)} - _OTHERS
        if not any((place / name).exists() for place in (within if "/" in name else [beside]))
    )


def is_there(dotted: str) -> bool:
    """Whether this is a package, a module, or a name that the module above it binds."""
    path = CHECKOUT / dotted.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, _, name = dotted.rpartition(".")
    if not module or name.startswith("__"):
        return bool(module)
    source = CHECKOUT / module.replace(".", "/")
    for file in (source.with_suffix(".py"), source / "__init__.py"):
        if file.is_file() and re.search(rf"\b{name}\b", file.read_text()):
            return True
    return module.rpartition(".")[2][0].isupper() and is_there(module)


def said_of_modules() -> Iterator[tuple[Path, str]]:
    """Every module of ours with its docstring."""
    for root in (*ROOTS, "tests"):
        for path in sorted((CHECKOUT / root).rglob("*.py")):
            docstring = ast.get_docstring(ast.parse(path.read_text()))
            if docstring:
                yield path, docstring
