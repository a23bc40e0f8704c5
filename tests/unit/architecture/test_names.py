"""No document, no code and no module's first lines name a module or a file that is not there."""

from pathlib import Path

import pytest

from .names import CHECKOUT, ROOTS, is_there, missing_files, missing_modules, missing_paths, said_of_modules

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
# A file of a catalog that stands for anybody's.
EXAMPLES = {"catalog/chat.yaml"}
# What makes a state with the modules of a version before.
OF_A_VERSION_BEFORE = "tests/services/upgrade/version_"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_what_a_document_names_is_there(page: Path) -> None:
    text = page.read_text()
    paths = [path for path in missing_paths(text) if path not in EXAMPLES]
    assert (_modules_missing(text), paths) == ([], [])


def test_what_modules_name_in_their_first_lines_is_there() -> None:
    stale = {
        str(path.relative_to(CHECKOUT)): missing
        for path, said in said_of_modules()
        if (missing := [*missing_modules(said), *missing_paths(said), *missing_files(said, path.parent)])
    }
    assert stale == {}


def test_no_code_comment_or_setting_names_a_module_that_is_gone() -> None:
    texts = [path for root in (*ROOTS, "tests") for path in (CHECKOUT / root).rglob("*.py")]
    texts += [CHECKOUT / name for name in ("pyproject.toml", "workspace.yaml", "dagster.yaml", "Makefile")]
    assert len(texts) > 600
    stale = {
        name: missing
        for path in texts
        if not (name := str(path.relative_to(CHECKOUT))).startswith(OF_A_VERSION_BEFORE)
        and path != Path(__file__)
        and (missing := _modules_missing(path.read_text()))
    }
    assert stale == {}


def test_names_that_are_not_there_would_be_seen() -> None:
    beside = CHECKOUT / "slipway" / "control"
    assert missing_files("fetching it (rollout.py, gone.py)", beside) == ["gone.py"]
    assert missing_files("as in fit/arithmetic.py and fit/gone.py", beside) == ["fit/gone.py"]
    assert missing_modules("slipway.control.rollout and slipway.gone.") == ["slipway.gone"]
    assert missing_paths("`docs/adr/0001`, docs/gone.md") == ["docs/gone.md"]
    assert is_there("slipway.objectstore.ObjectStore.list")
    assert not is_there("slipway.objectstore.NotThere")


def test_what_only_looks_like_a_name_is_none() -> None:
    assert missing_modules("label slipway.example/spec-digest, ../slipway.d") == []


def _modules_missing(text: str) -> list[str]:
    """But for `resources.gpu` and the like, which is a field of a deployment."""
    return [name for name in missing_modules(text) if not name.startswith("resources.")]
