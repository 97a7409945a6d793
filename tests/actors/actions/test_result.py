"""What an action returns, or a program prints, as the JSON that is kept; and what is refused."""

import math
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import Enum, IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import pydantic
import pytest

from task_queue.actors.actions.result import foreign_text, result_text
from task_queue.actors.errors import Reject

MANY_BYTES = 20_000_000
MIB = 1_048_576
NAN = "it has a NaN or an infinity in it"


class Pair(NamedTuple):
    left: Any
    right: Any


OldPair = namedtuple("OldPair", "left right")  # noqa: PYI024 - there are such, too


@dataclass
class Point:
    x: Any
    y: Any = None


@dataclass(slots=True, frozen=True)
class SlottedPoint:
    x: Any
    y: Any = None


@dataclass
class Branch:
    """Knows where it hangs; what begins with an underscore is not written."""

    twigs: "list[Branch]" = field(default_factory=list)
    leaf: None = None
    _stem: "Branch | None" = None
    _weight: float = math.nan


class Model(pydantic.BaseModel):
    at: datetime
    weight: float | None = None
    inner: "Model | None" = None


class Colour(Enum):
    RED = "red"
    NOTHING = None
    UNKNOWN = math.nan


class Level(IntEnum):
    HIGH = 3


class Unwilling(pydantic.BaseModel):
    secret: str = "x"

    @pydantic.field_serializer("secret")
    def _refuse(self, _value: str) -> str:
        raise ValueError("no way")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def nested_model(depth: int, weight: float | None) -> Model:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    value = Model(at=moment, weight=weight)
    for _ in range(depth):
        value = Model(at=moment, inner=value)
    return value


def a_branch() -> Branch:
    stem = Branch()
    stem.twigs.append(Branch(_stem=stem))
    return stem


MODEL = '{"at":"2026-01-01T00:00:00Z","weight":1.5,"inner":null}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.5, "0.5"),
        ("\x00 é 😀", '"\\u0000 é 😀"'),
        ([None, {"a": None}], '[null,{"a":null}]'),
        ((1, (2, None)), "[1,[2,null]]"),
        (2**63, "9223372036854775808"),
        (-(2**63), "-9223372036854775808"),
        (Pair(1, None), "[1,null]"),
        ({"pairs": [OldPair(1, Pair(2, 3))]}, '{"pairs":[[1,[2,3]]]}'),
        (Point(1, SlottedPoint(2)), '{"x":1,"y":{"x":2,"y":null}}'),
        (a_branch(), '{"twigs":[{"twigs":[],"leaf":null}],"leaf":null}'),
        (nested_model(0, 1.5), MODEL),
        ([{"model": nested_model(0, 1.5)}], f'[{{"model":{MODEL}}}]'),
        ([Colour.RED, Colour.NOTHING, Level.HIGH], '["red",null,3]'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), '"2026-01-02T03:04:05.000006+00:00"'),
        (
            datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
            '"2026-01-02T00:00:00-03:30"',
        ),
        (datetime(2026, 1, 2), '"2026-01-02T00:00:00"'),  # noqa: DTZ001 - an action may
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4, 5), '"03:04:05"'),
        (nested(200), "[" * 201 + "]" * 201),
    ],
)
def test_what_json_can_say_and_what_has_an_obvious_form_in_it_is_kept(
    value: object, text: str
) -> None:
    assert result_text(value, MANY_BYTES) == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({1}, "a set has no form in it"),
        ([{"deep": ({1},)}], "a set has no form in it"),
        (object(), "a object has no form in it"),
        (b"bytes", "a bytes has no form in it"),
        (1j, "a complex has no form in it"),
        (Point, "a type has no form in it"),
        (math.nan, NAN),
        (math.inf, NAN),
        ([{"deep": (1, -math.inf)}], NAN),
        (Point(1, [math.nan]), NAN),
        (SlottedPoint(math.nan), NAN),
        (Pair(None, math.nan), NAN),
        ({"pair": OldPair(math.inf, None)}, NAN),
        (nested_model(3, math.nan), NAN),
        ([Colour.UNKNOWN], NAN),
        (2**64, "Integer exceeds 64-bit range"),
        ([-(2**63) - 1], "Integer exceeds 64-bit range"),
        ("\ud800", "str is not valid UTF-8: surrogates not allowed"),
        ({"\ud800": 1}, "str is not valid UTF-8: surrogates not allowed"),
        ({1: "one"}, "Dict key must be str"),
        ({None: "one"}, "Dict key must be str"),
        (nested(300), "Recursion limit reached"),
        (nested(100_000), "Recursion limit reached"),
        (Unwilling(), "Error calling function `_refuse`: ValueError: no way"),
    ],
)
def test_what_json_cannot_say_is_refused_with_the_reason(value: object, problem: str) -> None:
    with pytest.raises(Reject) as refused:
        result_text(value, MANY_BYTES)
    assert str(refused.value) == f"the result is not JSON: {problem}"


def test_a_value_that_holds_itself_is_refused() -> None:
    knot: list[Any] = []
    knot.append(knot)
    ring = Point(None)
    ring.x = ring
    for value in (knot, ring):
        with pytest.raises(Reject, match="Recursion limit reached"):
            result_text(value, MANY_BYTES)


def as_json(value: str) -> str:
    return result_text(value, MIB)


def as_text(value: str) -> str:
    return foreign_text(value.encode(), MIB)


@pytest.mark.parametrize("keep", [as_json, as_text])
def test_a_result_may_be_as_long_as_the_settings_say_and_no_longer(
    keep: Callable[[str], str],
) -> None:
    longest = "é" * (MIB // 2 - 1)  # of two bytes each, and two quotation marks
    assert len(keep(longest).encode()) == MIB
    with pytest.raises(Reject) as refused:
        keep(f"{longest}x")
    assert str(refused.value) == (
        "the result has 1048577 bytes; execution.max_result_bytes is 1048576"
    )


def test_ten_megabytes_are_too_long_whoever_made_them() -> None:
    sentence = "the result has 10000002 bytes; execution.max_result_bytes is 1048576"
    value = "x" * 10_000_000
    with pytest.raises(Reject, match=sentence):
        result_text(value, MIB)
    with pytest.raises(Reject, match=sentence):
        foreign_text(value.encode(), MIB)
    with pytest.raises(Reject, match=sentence):
        foreign_text(orjson.dumps(value), MIB)


# --- what a program or a server answered ----------------------------------------------------


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b'{"b": 1,  "a":\n[1.0, 1e2]}', '{"b": 1,  "a":\n[1.0, 1e2]}'),
        (b' \r\n{"output": 1}\n\n', '{"output": 1}'),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        ('"é"'.encode(), '"é"'),
        (b'"\\u00e9\\u0000"', '"\\u00e9\\u0000"'),
        (b"null", "null"),
        (b"", "null"),
        (b" \n\t ", "null"),
    ],
)
def test_json_from_elsewhere_is_kept_to_the_letter_and_nothing_is_null(
    output: bytes, text: str
) -> None:
    assert foreign_text(output, MIB) == text


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"done\n", "done"),
        ("größer\n  als".encode(), "größer\n  als"),
        (b"\xff\xfe a", "\ufffd\ufffd a"),
        (b'{"half": "\xff"}', '{"half": "\ufffd"}'),
        (b"NaN", "NaN"),
        (b'{"a": NaN}', '{"a": NaN}'),
        (b"[Infinity, -Infinity]", "[Infinity, -Infinity]"),
        (b'"\\ud800"', '"\\ud800"'),
        (b"{} {}", "{} {}"),
        (b'{"a":1}\n{"a":2}', '{"a":1}\n{"a":2}'),
        (b"\x00\x1b[1m", "\x00\x1b[1m"),
        (b"[" * 100_000, "[" * 100_000),
    ],
)
def test_what_is_no_json_from_elsewhere_is_a_text(output: bytes, text: str) -> None:
    kept = foreign_text(output, MIB)
    assert orjson.loads(kept) == text


def test_a_text_is_as_long_as_it_is_when_it_is_written_as_json() -> None:
    assert len(foreign_text(b"\x00" * 100, 602)) == 602
    with pytest.raises(Reject, match=r"the result has 602 bytes; .* is 601"):
        foreign_text(b"\x00" * 100, 601)
    with pytest.raises(Reject, match=r"the result has 302 bytes; .* is 301"):
        foreign_text(b"\xff" * 100, 301)
