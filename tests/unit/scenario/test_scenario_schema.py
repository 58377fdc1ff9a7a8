"""The published schema and the reference are what the installed parts give, and are complete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from dummies import plugins

from simcore.plugins import Plugins
from simcore.scenario import published_schema
from simcore.scenario.reference import reference, schema_text

ROOT = Path(__file__).parents[3]


def test_the_committed_schema_is_the_generated_one():
    committed = (ROOT / "schemas/scenario.schema.json").read_text()
    assert committed == schema_text(published_schema(Plugins())), (
        "regenerate it: python -m simcore schema > schemas/scenario.schema.json"
    )


def test_the_committed_reference_is_the_generated_one():
    committed = (ROOT / "docs/scenario-reference.md").read_text()
    assert committed == reference(published_schema(Plugins())), (
        "regenerate it: python -m simcore schema --reference > docs/scenario-reference.md"
    )


def test_the_schema_is_a_valid_schema_and_plain_json():
    schema = published_schema(plugins())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(schema_text(schema)) == schema


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every property of a schema, of its parts and alternatives; conditions left out."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from properties(item, f"{path}[{index}]")
    elif isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}.{name}", value
            yield from properties(value, f"{path}.{name}")
        for word, value in schema.items():
            if word not in ("properties", "if", "examples", "default", "const", "enum"):
                yield from properties(value, f"{path}/{word}")


def test_every_property_is_described():
    found = dict(properties(published_schema(Plugins())))
    assert len(found) > 40
    assert [path for path, value in found.items() if "description" not in value] == []


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"nodes": {"a": {"model": "m.py:f", "unknown": 1}}}, False),
        ({"nodes": {"a": {"implementation": "robot"}}}, False),
        ({"nodes": {"a": {"implementation": "robot", "leader": "a"}}}, True),
        ({"nodes": {"a": {"implementation": "nothing"}}}, False),
        ({"network": {"model": "carrier", "pigeons": 3}}, True),
        ({"network": {"model": "direct", "pigeons": 3}}, False),
        ({"storms": ["wind"]}, True),
        ({"unknown": 1}, False),
    ],
)
def test_any_validator_can_use_the_schema(change, valid):
    scenario = {"simcore": 1, "duration": "1s", "nodes": {"a": {}}, **change}
    validator = jsonschema.Draft202012Validator(published_schema(plugins()))
    assert validator.is_valid(scenario) is valid


def test_examples_and_defaults_fit_their_schemas():
    schema = published_schema(Plugins())
    found = [*properties(schema), ("nodes", schema["properties"]["nodes"])]
    checked = 0
    for path, value in found:
        whole = {**value, "$defs": schema["$defs"]}
        for example in [
            *value.get("examples", ()),
            *([value["default"]] if "default" in value else ()),
        ]:
            assert jsonschema.Draft202012Validator(whole).is_valid(example), (path, example)
            checked += 1
    assert checked > 20


def test_the_reference_tells_every_key_of_every_part():
    schema = published_schema(plugins())
    text = reference(schema)
    for path, _ in properties(schema):
        assert f"`{path.rpartition('.')[2]}`" in text, path
    assert "`implementation: robot`" in text
    assert "## `storms`" in text
