"""JSON Schema of the catalog's documents, for editors.

Belongs here: putting each kind's schema into the shape that is written: kind, name, spec.
Does not: the fields themselves (slipway.catalog.documents, slipway.catalog.deployment).
"""

from __future__ import annotations

from typing import Any

from slipway.catalog.files.written import HEADER, KINDS


def json_schema() -> dict[str, Any]:
    """Schema (JSON Schema 2020-12) of one YAML document of any kind."""
    definitions: dict[str, Any] = {}
    for kind, (model, _) in KINDS.items():
        schema = model.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[kind] = _as_written(kind, schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Slipway catalog document",
        "type": "object",
        "required": ["kind"],
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS],
        "$defs": definitions,
    }


def _as_written(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema["properties"]
    header = {name: fields[name] for name in HEADER}
    spec = {name: value for name, value in fields.items() if name not in HEADER}
    required = [name for name in schema.get("required", []) if name not in HEADER]
    return {
        "type": "object",
        "description": schema.get("description", ""),
        "additionalProperties": False,
        "required": ["kind", "name", *(["spec"] if required else [])],
        "properties": {
            "kind": {"const": kind},
            **header,
            "spec": {
                "type": "object",
                "additionalProperties": False,
                "properties": spec,
                "required": required,
            },
        },
    }
