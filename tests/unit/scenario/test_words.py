"""Every keyword of JSON Schema that a fragment may use has its plain words."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from simcore.scenario.words import findings

EITHER = [{"required": ["a"]}, {"required": ["b", "c"]}]
FORMS = [
    {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}},
    {"type": "object", "required": ["y"], "properties": {"y": {"type": "integer"}}},
    {"type": "string"},
]


@pytest.mark.parametrize(
    ("schema", "value", "messages"),
    [
        ({"exclusiveMinimum": 0}, 0, ["must be greater than 0, got 0"]),
        ({"exclusiveMaximum": 1}, 1.5, ["must be less than 1, got 1.5"]),
        ({"maxItems": 1}, [1, 2], ["must have at most 1 items, has 2"]),
        ({"minLength": 3}, "ab", ["must have at least 3 characters, has 2"]),
        ({"minProperties": 2}, {"a": 1}, ["must have at least 2 keys, has 1"]),
        ({"uniqueItems": True}, [1, 1], ["holds the same thing twice"]),
        ({"pattern": "^a"}, "b", ["'b' does not match ^a"]),
        ({"pattern": "^a", "errorMessage": "begins with a"}, "b", ["begins with a"]),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, ["'a' needs 'b' as well"]),
        ({"not": {"required": ["a"]}}, {"a": 1}, ["is not allowed in this combination"]),
        ({"multipleOf": 2}, 3, ["3 is not a multiple of 2"]),
        ({"const": None}, 3, ["must be nothing, got 3"]),
        ({"enum": [True, "x"]}, "y", ["must be one of true, x, got 'y'"]),
        ({"type": ["integer", "null"]}, "x", ["must be an integer or nothing, got 'x'"]),
        ({"type": "boolean"}, 1, ["must be true or false, got 1"]),
        ({"oneOf": EITHER}, {}, ["needs 'a', or 'b' and 'c'"]),
        ({"oneOf": EITHER}, {"b": 1}, ["missing key 'c'"]),
        ({"oneOf": EITHER}, {"a": 1, "b": 1, "c": 1}, ["give 'a', or 'b' and 'c', not both"]),
        ({"oneOf": [{}, {}]}, 3, ["fits more than one form"]),
        ({"anyOf": FORMS}, {"y": "1"}, ["must be an integer, got '1'"]),
        ({"anyOf": FORMS}, {}, ["needs 'x' or 'y'"]),
        ({"anyOf": FORMS}, 3, ["expected a mapping or text, got a number"]),
        (
            {"additionalProperties": False, "properties": {"a": {}}},
            {"b": 1, "c": 2},
            ["unknown key"] * 2,
        ),
    ],
)
def test_words(schema, value, messages):
    found = findings(Draft202012Validator(schema).iter_errors(value))
    assert [item.message for item in found] == messages


def test_a_misspelt_required_key_is_one_problem():
    schema = {"properties": {"delay": {}}, "required": ["delay"], "additionalProperties": False}
    (item,) = findings(Draft202012Validator(schema).iter_errors({"dealy": 1}))
    assert (item.path, item.word, item.candidates) == (("dealy",), "dealy", ("delay",))
