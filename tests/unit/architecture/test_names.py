"""No document and no module's first lines name a module or a file that is not there."""

from pathlib import Path

import pytest

from .names import CHECKOUT, is_there, missing_files, missing_modules, missing_paths, said_of_modules

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
# A file of a catalog that stands for anybody's.
EXAMPLES = {"catalog/chat.yaml"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_what_a_document_names_is_there(page: Path) -> None:
    text = page.read_text()
    # `resources.gpu` in a document is a field of a deployment.
    modules = [name for name in missing_modules(text) if not name.startswith("resources.")]
    assert (modules, [path for path in missing_paths(text) if path not in EXAMPLES]) == ([], [])


def test_what_modules_name_in_their_first_lines_is_there() -> None:
    stale = {
        str(path.relative_to(CHECKOUT)): missing
        for path, said in said_of_modules()
        if (missing := [*missing_modules(said), *missing_paths(said), *missing_files(said, path.parent)])
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
