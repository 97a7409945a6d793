"""The JSON Schema of an external action: what it refuses, and that it never hangs."""

from pathlib import Path
from typing import Any

import pytest

from task_queue.config import data_schema
from task_queue.config.data_schema import DataSchema, WrongSchemaError
from task_queue.config.layers import load
from task_queue.config.settings import SettingsError
from tests.fakes import ManualClock

SCHEMA = {
    "type": "object",
    "required": ["width"],
    "properties": {
        "width": {"type": "integer", "minimum": 1, "maximum": 100},
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2},
        "format": {"enum": ["png", "jpeg"]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "size": {"$ref": "#/$defs/size"},
        "choice": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "never": False,
    },
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": False,
    "$defs": {"size": {"properties": {"height": {"const": 3}}}},
}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"width": 1, "name": "ab", "tags": ["a", "b"], "x-a": "b", "choice": 1}, None),
        ({}, ("data.width", "is missing")),
        ({"width": "x"}, ("data.width", 'must be of type "integer", not "x"')),
        ({"width": 0}, ("data.width", "must be at least 1, not 0")),
        ({"width": 101}, ("data.width", "must be at most 100, not 101")),
        ({"width": 1, "name": "a"}, ("data.name", "must have at least 2 characters, not 1")),
        (
            {"width": 1, "name": "A1"},
            ("data.name", 'must match the pattern "^[a-z]+$", not "A1"'),
        ),
        ({"width": 1, "format": 3}, ("data.format", 'must be one of ["png", "jpeg"], not 3')),
        ({"width": 1, "tags": ["a", 1]}, ("data.tags[1]", 'must be of type "string", not 1')),
        ({"width": 1, "tags": ["a", "a"]}, ("data.tags", "must have no item twice")),
        ({"width": 1, "size": {"height": 4}}, ("data.size.height", "must be 3, not 4")),
        ({"width": 1, "other": 1}, ("data.other", "is not known")),
        ({"width": 1, "x-a": 1}, ("data.x-a", 'must be of type "string", not 1')),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_what_is_allowed(
    data: dict[str, Any], problem: tuple[str, str] | None
) -> None:
    assert DataSchema(SCHEMA).problem(data) == problem


def test_a_part_may_stand_where_the_specification_has_none() -> None:
    tree = {"properties": {"name": {"pattern": "^a"}, "left": {"$ref": "#/parts/tree"}}}
    schema = DataSchema({"$ref": "#/parts/tree", "parts": {"tree": tree}})
    assert schema.problem({"left": {"name": "a"}}) is None
    wrong = 'must match the pattern "^a", not "b"'
    assert schema.problem({"left": {"name": "b"}}) == ("data.left.name", wrong)


def test_numbers_that_are_the_same_are_one_item_twice() -> None:
    schema = DataSchema({"properties": {"a": {"uniqueItems": True}}})
    assert schema.problem({"a": [1, 1.0]}) is not None
    assert schema.problem({"a": [[1], [1.0]]}) is not None
    assert schema.problem({"a": [1, True, "1", 1.5, None, {"b": 1}, {"b": 2}]}) is None


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strin"}, "type: 'strin' is not valid"),
        ({"$ref": "https://example.com/schema"}, "is not in it, and is not fetched"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "is not in it, and is not fetched"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"pattern": "(?=a)"}, "look-around"),
        ({"patternProperties": {"(a)\\1": {}}}, "backreferences"),
        ({"pattern": "("}, "pattern"),
        ({"unevaluatedProperties": False}, "use additionalProperties"),
        ({"items": {"allOf": [{"unevaluatedItems": False}]}}, "unevaluatedItems"),
        ({"$ref": "#/parts/a", "parts": {"a": {"$ref": "https://a.example"}}}, "is not fetched"),
        ({"$ref": "#/parts/a", "parts": {"a": 3}}, "3 is not of type"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error_of_the_settings(
    schema: dict[str, Any], reason: str
) -> None:
    with pytest.raises(WrongSchemaError, match=reason.replace("(", r"\(")):
        DataSchema(schema)


def test_the_error_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[actions.a]\nexternal = true\ndata_schema = {type = "no"}\n')
    expected = r"^actions\.a\.data_schema .*must be a JSON Schema; type"
    with pytest.raises(SettingsError, match=expected):
        load(tmp_path / "a.toml", environ={})


def test_a_pattern_takes_linear_time() -> None:
    schema = DataSchema({"properties": {"a": {"pattern": "^(a+)+$"}}})
    assert schema.problem({"a": "a" * 100_000 + "b"}) is not None


def test_many_items_are_compared_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_schema, "CHECK_SECONDS", 60.0)
    schema = DataSchema({"properties": {"a": {"uniqueItems": True}}})
    assert schema.problem({"a": [{"n": n} for n in range(50_000)]}) is None


def test_a_check_that_takes_too_long_is_ended() -> None:
    clock = ManualClock()
    recursive = {"properties": {"x": {"$ref": "#"}}}
    schema = DataSchema(
        {"anyOf": [{**recursive, "required": ["y"]}, {**recursive, "required": ["z"]}]},
        lambda: clock.advance(0.0001),
    )
    data: dict[str, Any] = {}
    for _ in range(60):  # each level doubles the work
        data = {"x": data}
    assert schema.problem(data) == ("data", "takes more than 1 s to check")


def test_data_nested_too_deeply_for_a_schema_is_refused() -> None:
    schema = DataSchema({"properties": {"x": {"allOf": [{"allOf": [{"$ref": "#"}]}]}}})
    data: dict[str, Any] = {}
    for _ in range(400):
        data = {"x": data}
    problem = schema.problem(data)
    assert problem is not None
    assert "too deeply" in problem[1]
