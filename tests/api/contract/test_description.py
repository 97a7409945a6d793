"""The description is valid OpenAPI, and says what is true of the actions and queues there are."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from task_queue.api.contract.description import describe, problems_of
from task_queue.api.contract.offers import Offered, Offers
from task_queue.api.contract.schemas import JSON
from task_queue.api.responses import problems
from task_queue.api.responses.problems import PROBLEMS
from task_queue.api.routes.table import OPERATIONS
from tests.harness import ROOT

RESIZE = {
    "type": "object",
    "properties": {"size": {"$ref": "#/$defs/Size"}, "name": {"type": "string"}},
    "required": ["size"],
    "additionalProperties": False,
    "$defs": {
        "Size": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/Size"}}},
    },
}
SIZE: dict[str, Any] = {"size": {"inner": {"inner": {}}}}
ACTIONS = (
    Offered("sum", None, takes_nothing=True),
    Offered("image:resize", RESIZE, takes_nothing=False),
    Offered("note", {"type": "object", "maxProperties": 1}, takes_nothing=True),
)


@cache
def described(*, any_action: bool = False, needs_key: bool = False) -> dict[str, Any]:
    offers = Offers(ACTIONS, any_action, ("tasks", "mail"))
    return describe(OPERATIONS, "1.0", offers, needs_key=needs_key)


def fits(document: Mapping[str, Any], schema: str, value: object) -> bool:
    """Whether the value is what the schema of this name takes."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return jsonschema_rs.is_valid(whole, value)


@pytest.mark.parametrize("needs_key", [False, True])
@pytest.mark.parametrize("any_action", [False, True])
def test_the_description_is_valid(*, any_action: bool, needs_key: bool) -> None:
    validate(described(any_action=any_action, needs_key=needs_key))
    validate(describe(OPERATIONS, "1.0", None, needs_key=needs_key))


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"action": "sum"}, True),
        ({"action": "sum", "data": None, "queue": "mail", "priority": None}, True),
        ({"action": "sum", "data": {"a": [1, {"b": None}]}}, True),
        ({"action": "sum", "data": {"a\x00": 1}}, False),
        ({"action": "sum", "data": {"a": ["\x00"]}}, False),
        ({"action": "sum", "queue": "other"}, False),
        ({"action": "other"}, False),
        ({"action": "sum", "prority": 1}, False),
        ({"action": "sum", "run_at": 1.5}, True),
        ({"action": "sum", "run_at": "2026-11-22T10:00:00+01:00"}, True),
        ({"action": "sum", "run_at": "tomorrow"}, False),
        ({"action": "sum", "run_at": True}, False),
        ({"action": "sum", "priority": 101}, False),
        ({"action": "image:resize", "data": SIZE}, True),
        ({"action": "image:resize", "data": {}}, False),
        ({"action": "image:resize"}, False),
        ({"action": "image:resize", "data": None}, False),
        ({"action": "image:resize", "data": {"size": {"inner": 1}}}, False),
        ({"action": "image:resize", "data": {**SIZE, "name": "\x00"}}, False),
        ({"action": "note"}, True),
        ({"action": "note", "data": None}, True),
        ({"action": "note", "data": {"a": 1, "b": 2}}, False),
    ],
)
def test_a_publish_fits_if_its_action_takes_the_data(
    body: Mapping[str, Any],
    good: bool,  # noqa: FBT001
) -> None:
    document = described()
    assert fits(document, "PublishBody", body) is good
    assert fits(document, "BatchBody", {"tasks": [body]}) is good
    when = {"cron": "@daily", "task": body}
    assert fits(document, "ScheduleBody", when) is (good and "run_at" not in body)


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("/docs#not-found", True),
        ("/behind/a/proxy/docs#not-found", True),
        ("/docs#of-a-later-version", True),
        ("about:blank", False),
    ],
)
def test_the_type_of_a_problem_may_be_one_that_a_client_does_not_know(
    kind: str,
    good: bool,  # noqa: FBT001
) -> None:
    problem = {"error": "no", "type": kind, "title": "No", "status": 404, "detail": "no"}
    assert fits(described(), "ProblemDocument", problem) is good


def test_of_several_documents_the_first_that_a_client_takes_has_all_that_was_answered() -> None:
    schemas = described()["components"]["schemas"]
    for operation in OPERATIONS:
        for answered in operation.answers.values():
            needed = [{*schemas[model.__name__]["required"]} for model in answered.models]
            for earlier, later in pairwise(needed):
                assert not earlier <= later, operation.operation_id


def test_whatever_is_in_data_is_not_taken_for_a_list_nor_for_an_object_by_generators() -> None:
    assert {"type", "items", "properties", "additionalProperties"}.isdisjoint(JSON)


def test_what_nobody_may_publish_is_in_no_body_that_publishes() -> None:
    actions = (*ACTIONS, Offered("callback", None, takes_nothing=False, published=False))
    document = describe(
        OPERATIONS, "1.0", Offers(actions, any_action=False, queues=("tasks",)), needs_key=False
    )
    assert not fits(document, "PublishBody", {"action": "callback"})
    assert fits(document, "RedriveBody", {"action": "callback"})


def strings_in(schema: object) -> Iterator[dict[str, Any]]:
    """The schemas of strings, however deep."""
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            yield schema
        schema = [*schema.values()]
    if isinstance(schema, list):
        for each in schema:
            yield from strings_in(each)


@pytest.mark.parametrize("text", ["\x00", "a\x00", "http://host\x00", "application/json;\x00"])
def test_no_string_of_a_body_may_hold_what_databases_cannot_store(text: str) -> None:
    schemas = described()["components"]["schemas"]
    names = [name for name in schemas if name.endswith("Body") or name == "CloudEvent"]
    for each in strings_in([schemas[name] for name in names]):
        assert not jsonschema_rs.is_valid(each, text, validate_formats=True), each


def test_with_a_fallback_any_name_of_an_action_fits() -> None:
    document = described(any_action=True)
    assert fits(document, "PublishBody", {"action": "other", "data": {"a": 1}})
    assert not fits(document, "PublishBody", {"action": "two words"})
    assert not fits(document, "PublishBody", {"action": "image:resize", "data": {}})


def test_whoever_may_not_read_is_told_no_names() -> None:
    text = str(describe(OPERATIONS, "1.0", None, needs_key=True))
    assert "image:resize" not in text
    assert "data.sum" not in text
    assert "mail" not in text


def test_where_keys_are_needed_only_what_is_open_goes_without() -> None:
    for needs_key in (False, True):
        for path, methods in described(needs_key=needs_key)["paths"].items():
            for method, operation in methods.items():
                [scope] = {
                    each.scope
                    for each in OPERATIONS
                    if (each.path, each.method.lower()) == (path, method)
                }
                free = [] if scope is None else [{"key": [scope.value]}]
                assert operation["security"] == ([{}, *free] if free and not needs_key else free)


def test_each_problem_is_one_that_an_operation_names_or_a_wrong_method_meets() -> None:
    named = {problem for each in OPERATIONS for problem in problems_of(each)}
    assert {*PROBLEMS.values()} - named == {problems.METHOD_NOT_ALLOWED}


def test_each_problem_is_given_somewhere_in_the_code() -> None:
    registry = ROOT / "api" / "responses" / "problems.py"
    elsewhere = "".join(
        path.read_text("utf-8")
        for path in (ROOT / "api").rglob("*.py")
        if path != registry and "routes" not in path.parts and "contract" not in path.parts
    )
    by_status = registry.read_text("utf-8").partition("OF_HTTP = {")[2]
    names = {name for name, each in vars(problems).items() if each in PROBLEMS.values()}
    dead = {name for name in names if name not in elsewhere and f" {name}," not in by_status}
    assert not dead
