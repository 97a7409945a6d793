"""What is wrong with a body is said in one sentence: the member, its value, what is allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.actors.tasks.text import MAX_SHOWN_CHARS
from task_queue.api.requests.bodies import (
    BatchBody,
    PublishBody,
    members_of,
    plain_body,
    publish_body,
)
from task_queue.api.requests.times import unix_seconds, unix_seconds_in_query
from task_queue.api.requests.validation import canonical_id, checked
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.names import MAX_NAME_CHARS
from tests.api.wrong_members import NO_TIME, WRONG_MEMBERS

NOON = 1_795_348_800.0
"""2026-11-22T12:00:00Z"""

names = st.sampled_from(["action", "data", "queue", "priority", "key", "other"])
members: st.SearchStrategy[object] = (
    st.none()
    | st.text(max_size=3)
    | st.integers(-(2**63), 2**63 - 1)  # all that a body can hold
    | st.just({})
    | st.just({"a": [1]})
)


def refusal(value: object, where: str = "") -> str:
    with pytest.raises(InvalidRequestError) as caught:
        publish_body(value, where)
    return caught.value.detail


def batch_refusal(value: object) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        checked(BatchBody, value)
    return caught.value.detail


@pytest.mark.parametrize(("wrong", "sentence"), WRONG_MEMBERS)
def test_a_wrong_member_is_named_with_the_way_to_it(wrong: dict[str, Any], sentence: str) -> None:
    task = {"action": "x", **wrong}
    assert refusal(task) == sentence
    assert refusal(task, "task") == f"task.{sentence}"
    entries = [{"action": "x"}] * 17 + [task]
    assert batch_refusal({"tasks": entries}) == f"tasks[17].{sentence}"


@pytest.mark.parametrize(
    ("value", "where", "sentence"),
    [
        (5, "", "the body must be a JSON object"),
        (5, "task", "task must be a JSON object, not 5"),
        ({}, "", "action is missing or empty; it names what to do"),
        ({}, "task", "task.action is missing"),
        ({"action": ""}, "task", "task.action must not be empty"),
        ({"action": None}, "task", "task.action must be a string, not null"),
    ],
)
def test_a_body_without_what_is_needed_is_refused(value: object, where: str, sentence: str) -> None:
    assert refusal(value, where) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({}, "tasks is missing"),
        ({"tasks": None}, "tasks must be a list, not null"),
        ({"tasks": {}}, "tasks must be a list, not {}"),
        ({"tasks": []}, "tasks must have 1 to 1000 entries, not 0"),
        ({"tasks": [{"action": "x"}] * 1001}, "tasks must have 1 to 1000 entries, not 1001"),
        ({"tasks": [{}] * 300_000}, "tasks must have 1 to 1000 entries, not 300000"),
        ({"tasks": [{"action": "x"}, 5]}, "tasks[1] must be a JSON object, not 5"),
        ({"tasks": [{}]}, "tasks[0].action is missing"),
        ({"tasks": [], "queue": "x"}, "tasks must have 1 to 1000 entries, not 0"),
        ({"tasks": [{"action": "x"}], "queue": "x"}, "queue is not known; known: tasks"),
    ],
)
def test_a_batch_that_is_none_is_refused(value: object, sentence: str) -> None:
    assert batch_refusal(value) == sentence


def test_names_and_values_are_cut_where_they_get_long() -> None:
    text = refusal({"action": "x", "n" * 10_000: 1})
    assert text.startswith(f"{'n' * MAX_SHOWN_CHARS}… is not known; known: action, data, queue,")
    text = refusal({"action": "x", "priority": "p" * 10_000})
    assert text.endswith(f'not "{"p" * (MAX_SHOWN_CHARS - 1)}…')


def test_null_is_the_same_as_not_given() -> None:
    body = publish_body({**dict.fromkeys(PublishBody.model_fields), "action": "x"})
    assert body == publish_body({"action": "x"})
    assert members_of(body) == {"action": "x", "data": "{}"}


def test_members_of_a_body_are_those_that_are_given() -> None:
    body = publish_body(
        {
            "action": "x",
            "data": {"a": [1, "ü"]},
            "priority": -100,
            "run_at": "2026-11-22T12:00:00Z",
            "backoff": {"base": 2, "factor": None},
            "keep_result_seconds": 0,
        }
    )
    assert members_of(body) == {
        "action": "x",
        "data": '{"a":[1,"ü"]}',
        "priority": -100,
        "run_at": NOON,
        "backoff": {"base": 2.0},
        "keep_result_seconds": 0,
    }
    assert body.given == ["action", "data", "priority", "run_at", "backoff", "keep_result_seconds"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", 100),
        ("delay_seconds", 0),
        ("delay_seconds", 0.001),
        ("delay_seconds", 315_360_000),
        ("max_attempts", 1),
        ("max_attempts", 1_000),
        ("unique_key", "😀" * 200),
        ("key", "k"),
        ("keep_result_seconds", 3_155_760_000),
        ("backoff", {}),
        ("backoff", {"base": 1e-9, "factor": 100, "cap": 2_592_000}),
        ("backoff", {"base": 5, "cap": 5}),
        ("queue", "q" * 200),
    ],
)
def test_a_member_at_its_limit_is_taken(name: str, value: object) -> None:
    body = publish_body({"action": "x" * MAX_NAME_CHARS, name: value})
    assert members_of(body)[name] == value


@given(st.dictionaries(names, members))
def test_the_short_look_takes_nothing_that_the_long_one_refuses_or_sees_otherwise(
    value: dict[str, Any],
) -> None:
    plain = plain_body(value)
    try:
        body = publish_body(value)
    except InvalidRequestError:
        # A queue's name may be too long or empty; then there is no queue by it.
        assert plain is None or value["queue"] == ""
        return
    assert (plain is not None) == body.is_plain
    if plain is not None:
        assert plain == (body.action, body.data or {}, body.queue)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22t12:00:00z", NOON),
        ("2026-11-22T12:00:00+00:00", NOON),
        ("2026-11-22T12:00:00-00:00", NOON),
        ("2026-11-22T17:30:00+05:30", NOON),
        ("2026-11-21T13:00:00-23:00", NOON),
        ("2026-11-22T12:00:00.5Z", NOON + 0.5),
        ("2026-11-22T12:00:00.250000000Z", NOON + 0.25),
        ("2024-02-29T00:00:00Z", 1_709_164_800.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799.999),
        ("9999-12-31T23:59:59.999-23:59", 253_402_300_799.999),  # as late as there is
        (NOON, NOON),
        (1_795_348_800, NOON),
        (0, 0.0),
        (-1.5, -1.5),
    ],
)
def test_a_time_is_unix_seconds_once_it_is_checked(written: object, seconds: float) -> None:
    assert unix_seconds(written) == seconds
    assert unix_seconds_in_query(str(written)) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22",
        "2026-11-22T12:00:00",  # whose noon?
        "2026-11-22T12:00Z",
        "2026-11-22 12:00:00Z",
        "2026-11-22T12:00:00 Z",
        "2026-11-22T12:00:00+0100",
        "2026-11-22T12:00:00+01",
        "2026-11-22T12:00:00+01:60",
        "2026-11-22T12:00:00+24:00",
        "2026-11-22T24:00:00Z",
        "2026-11-22T12:00:60Z",
        "2026-11-22T12:00:00,5Z",
        "2026-11-22T12:00:00.Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "100000-01-01T00:00:00Z",
        "2026-W47-7T12:00:00Z",
        "20261122T120000Z",
        "2026-11-22T12:00:00Z\n",
        "\N{FULLWIDTH DIGIT TWO}026-11-22T12:00:00Z",
        "tomorrow",
        "",
        "1e9",
        "NaN",
        "inf",
        253_402_300_800,
        1e300,
        -1e300,
        float("inf"),
        float("nan"),
        True,
        [NOON],
        {},
    ],
)
def test_what_is_no_time_is_refused(written: object) -> None:
    sentence = refusal({"action": "x", "expires_at": written})
    assert sentence.startswith(f"expires_at {NO_TIME}, not ")
    if written != "1e9":  # a number in a query, where all is text
        with pytest.raises(ValueError, match="must be a time"):
            unix_seconds_in_query(written)


def test_a_time_beyond_what_a_row_needs_is_no_time() -> None:
    assert refusal({"action": "x", "run_at": f"2026-11-22T12:00:00.{'1' * 10_000}Z"}).startswith(
        f'run_at {NO_TIME}, not "2026-11-22T12:00:00.1111'
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("01A1FFDF-EB26-7547-96BE-75E9038ABB1A", "01a1ffdf-eb26-7547-96be-75e9038abb1a"),
        ("{01a1ffdfeb26754796be75e9038abb1a}", "01a1ffdf-eb26-7547-96be-75e9038abb1a"),
        ("urn:uuid:01a1ffdf-eb26-7547-96be-75e9038abb1a", "01a1ffdf-eb26-7547-96be-75e9038abb1a"),
        ("01a1ffdf", None),
        ("", None),
        ("+1a1ffdf-eb26-7547-96be-75e9038abb1a", None),
        (" 1a1ffdf-eb26-7547-96be-75e9038abb1a", None),
        ("\uff101a1ffdf-eb26-7547-96be-75e9038abb1a", None),
        ("0-1a1ffdfeb26754796be75e9038abb1a", None),
        ("01a1ffdf-eb26-7547-96be-75e9038abb1a\n", None),
    ],
)
def test_an_id_is_known_in_every_form_of_a_uuid(text: str, found: str | None) -> None:
    assert canonical_id(text) == found
