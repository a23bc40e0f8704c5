"""The table of fields and runtimes is true: nothing that a person may write is silently ignored."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from slipway.catalog import Deployment
from slipway.catalog.runtimes import RUNTIMES
from slipway.runtimes import rules, table
from slipway.runtimes.samples import SAMPLES, Sample

PAGE = Path(__file__).parents[3] / "docs/runtimes.md"


def leaves(model: type[BaseModel]) -> Iterator[str]:
    """Every field that can be written, but for items of lists and maps."""
    for name, item in model.model_fields.items():
        written = item.alias or name
        inner = [
            each for each in (item.annotation, *getattr(item.annotation, "__args__", ())) if is_model(each)
        ]
        if inner:
            yield from (f"{written}.{below}" for below in leaves(inner[0]))
        else:
            yield written


def is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_there_is_a_sample_of_every_field() -> None:
    for_people = {"name", "description", "owner"}
    fields = {sample.field for sample in SAMPLES}
    missing = [
        leaf
        for leaf in leaves(Deployment)
        if leaf not in for_people and not any(leaf == each or leaf.startswith(f"{each}.") for each in fields)
    ]
    assert missing == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_field_is_honoured_or_refused_with_a_reason_or_somebody_elses(runtime: str) -> None:
    treatments = {sample.title: table.treatment(runtime, sample) for sample in SAMPLES}
    assert [title for title, found in treatments.items() if found.kind == "ignored"] == []
    for found in treatments.values():
        if found.kind == "refused":
            assert ". " in found.said, f"no remedy in: {found.said}"


def test_the_page_says_what_the_code_does() -> None:
    page = PAGE.read_text()
    assert table.PART.rewritten(page) == page, "run `python -m slipway.runtimes.table docs/runtimes.md`"


def test_what_a_runtime_refuses_names_those_that_can() -> None:
    deployment = Deployment.model_validate(
        {"name": "c", "model": "m", "runtime": "vllm", "engine": "e", "resources": {"gpu": {"fraction": 0.5}}}
    )
    (found,) = rules.refused(deployment, None)
    assert (found.field, found.runtimes) == ("resources.gpu.fraction", ("ray", "kuberay"))
    assert str(found).endswith("or a runtime that can: ray, kuberay")


def test_a_field_that_is_ignored_would_be_found() -> None:
    """The judge itself: a value that changes nothing and that nobody refuses."""
    nothing = Sample("args", {"args": []})
    assert table.treatment("vllm", nothing).kind == "ignored"
