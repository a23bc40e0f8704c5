import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from slipway.catalog.files.schema import json_schema

FILES = sorted((Path(__file__).parents[3] / "catalog").glob("*.yaml"))


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_schema_accepts_the_demo_catalog(file: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for document in yaml.safe_load_all(file.read_text()):
        as_json = json.loads(json.dumps(document, default=str))
        assert [error.message for error in validator().iter_errors(as_json)] == []


def test_the_schema_refuses_an_unknown_field() -> None:
    document = {"kind": "Organization", "name": "acme", "spec": {"nmae": "x"}}
    assert not validator().is_valid(document)
