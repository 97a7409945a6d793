"""Forms made of JSON Schemas."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter

from task_queue.api.ui.schema_form import (
    NotJsonError,
    data_of,
    field_at,
    field_of,
    fits,
    names_of,
    texts_of,
)


@dataclass
class Size:
    width: int
    height: int | None = None


@dataclass
class Picture:
    """What an action might take."""

    name: str
    size: Size
    format: Literal["png", "jpeg", 3]
    ratio: float | None = None
    tags: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    deep: bool = False
    crop: Size | None = None
    meta: dict[str, Any] | None = None


FORM = field_of(TypeAdapter(Picture).json_schema())
FILLED = {
    "data.name": "a",
    "data.size.width": "3",
    "data.format": "3",
    "data.ratio": "1e-2",
    "data.tags": "one\r\ntwo\r\n",
    "data.levels": "1\n2",
    "data.deep": "true",
    "data.crop.width": "",
    "data.meta": '{"x": [1]}',
}
DATA = {
    "name": "a",
    "size": {"width": 3},
    "format": 3,
    "ratio": 0.01,
    "tags": ["one", "two"],
    "levels": [1, 2],
    "deep": True,
    "meta": {"x": [1]},
}


def test_each_member_is_a_field_of_its_kind() -> None:
    kinds = {each.label: each.kind for each in FORM.fields}
    assert kinds == {
        "name": "text",
        "size": "object",
        "format": "choice",
        "ratio": "number",
        "tags": "lines",
        "levels": "lines",
        "deep": "choice",
        "crop": "object",
        "meta": "json",
    }
    assert [each.label for each in FORM.fields if each.required] == ["name", "size", "format"]


def test_a_filled_form_is_the_data_that_was_meant() -> None:
    assert data_of(FORM, FILLED) == DATA


def test_data_goes_into_the_form_and_comes_out_unchanged() -> None:
    assert fits(FORM, DATA)
    assert data_of(FORM, texts_of(FORM, DATA)) == DATA


@pytest.mark.parametrize(
    "data",
    [
        {**DATA, "other": 1},
        {**DATA, "name": 5},
        {**DATA, "ratio": None},
        {**DATA, "tags": ["one\ntwo"]},
        [],
    ],
)
def test_data_that_the_form_would_change_does_not_fit(data: object) -> None:
    assert not fits(FORM, data)


def test_what_is_no_number_is_left_to_the_api() -> None:
    for text in ("three", "true", "9" * 30):
        assert data_of(FORM, {**FILLED, "data.ratio": text})["ratio"] == text


def test_a_required_text_may_be_empty_and_an_optional_one_is_left_out() -> None:
    assert data_of(FORM, {}) == {"name": "", "size": {}}


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": 1, "a": 2}', "9" * 30, r'"\u0000"'])
def test_what_is_no_json_or_would_not_be_kept_as_it_is_is_named(text: str) -> None:
    with pytest.raises(NotJsonError) as caught:
        data_of(FORM, {**FILLED, "data.meta": text})
    assert caught.value.name == "data.meta"


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a.b": {}}},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        {"anyOf": [{"type": "object"}, {"type": "array"}]},
        {"$ref": "#/$defs/nowhere"},
    ],
)
def test_a_schema_that_is_no_list_of_members_is_one_field_for_json(schema: Any) -> None:  # noqa: ANN401
    assert list(names_of(field_of(schema))) == ["data"]
    assert data_of(field_of(schema), {"data": '{"any": 1}'}) == {"any": 1}
    assert data_of(field_of(schema), {}) == {}


def test_a_schema_that_holds_itself_ends_in_json() -> None:
    schema = {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }
    assert list(names_of(field_of(schema))) == ["data.next.next.next.next"]


@pytest.mark.parametrize(
    ("detail", "name"),
    [
        ("data.size.width: input should be a valid integer", "data.size.width"),
        ("data.tags[1]: input should be a valid string, not 1", "data.tags"),
        ("data.meta.x[0].y is missing", "data.meta"),
        ("priority must be a whole number", "priority"),
        ("priorities must rise", None),
        ("the queue 'mail' would hold 4 unfinished tasks; 3 may", None),
        ("", None),
    ],
)
def test_an_error_is_shown_at_its_field(detail: str, name: str | None) -> None:
    assert field_at(detail, [*names_of(FORM), "priority"]) == name


def test_any_json_schema_makes_a_form() -> None:
    odd = {
        "type": "object",
        "properties": {
            "anything": True,
            "nothing": False,
            "two": {"type": ["string", "null"]},
            "lists": {"type": "array", "items": {"type": ["string", "null"]}},
            "more": {"type": "array", "items": True},
            "there": {"$ref": "#/$defs/anything"},
            "nowhere": {"$ref": "#/properties/two"},
            "either": {"anyOf": [True, {"type": "null"}]},
            "same": {"$ref": "#/$defs/same"},
        },
        "$defs": {
            "anything": True,
            "same": {"type": "object", "properties": {"same": {"$ref": "#/$defs/same"}}},
        },
    }
    form = field_of(odd)
    assert [each.kind for each in form.fields] == ["json"] * 8 + ["object"]
    assert data_of(form, {"data.anything": "1", "data.lists": "[null]"}) == {
        "anything": 1,
        "lists": [None],
    }
