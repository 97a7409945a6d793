"""What an action returns, or a program prints, as the JSON that is kept; and what is refused."""

import math
from array import array
from collections import UserDict, deque, namedtuple
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import Mock
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pydantic
import pytest

from task_queue.actors.actions.result import Form, foreign_text, program_text, result_text
from task_queue.actors.errors import Reject

MANY_BYTES = 20_000_000
MIB = 1_048_576


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


class Word(str):
    __slots__ = ()


@dataclass
class Unfinished:
    x: int = 1
    y: int = field(init=False)


class Unready(UserDict[str, int]):
    def __iter__(self) -> Iterator[str]:
        raise ZeroDivisionError("not now")


async def a_stream() -> AsyncIterator[int]:
    yield 1


NO_FORM = "has no JSON form"
LIST = "return a list of what it yields"
TOO_LONG = "an integer beyond 64 bits has no JSON form here; return it as a text"
UNWILLING = "Error calling function `_refuse`: ValueError: no way"
MODEL = '{"at":"2026-01-01T00:00:00Z","weight":1.5,"inner":null}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.5, "0.5"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        ("\x00 é 😀", '"\\u0000 é 😀"'),
        ([None, {"a": None}], '[null,{"a":null}]'),
        ((1, (2, None)), "[1,[2,null]]"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
        ("1234567890123456789012", '"1234567890123456789012"'),
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
        # Amsterdam was 19 min 32 s ahead: RFC 3339 has the same example, at noon of 1937.
        (
            datetime(1937, 1, 1, 12, tzinfo=timezone(timedelta(minutes=19, seconds=32))),
            '"1937-01-01T12:00:28+00:20"',
        ),
        (
            {"at": [datetime(1890, 1, 1, tzinfo=ZoneInfo("America/New_York"))], "of": None},
            '{"at":["1890-01-01T00:00:00-05:00"],"of":null}',
        ),
        (
            datetime(1880, 1, 1, tzinfo=ZoneInfo("America/New_York")),
            '"1880-01-01T00:00:02-04:56"',
        ),
        (datetime(2026, 1, 2), '"2026-01-02T00:00:00"'),  # noqa: DTZ001 - an action may
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4, 5), '"03:04:05"'),
        (time(3, 4, 5, tzinfo=UTC), '"03:04:05+00:00"'),
        (Decimal("1.10"), '"1.10"'),
        (Decimal("1E+400"), '"1E+400"'),
        ({"a"}, '["a"]'),
        (frozenset({1}), "[1]"),
        ({"a": 1}.keys(), '["a"]'),
        (deque([1, 2]), "[1,2]"),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (Path("/tmp/é"), '"/tmp/é"'),  # noqa: S108 - a text
        (timedelta(hours=1, minutes=30), '"PT1H30M"'),
        (array("d", [1.5]), "[1.5]"),  # has a `tolist`, as what numpy makes has
        ({1: "one", -2: "two"}, '{"1":"one","-2":"two"}'),
        ({date(2026, 1, 2): 1, Colour.RED: 2}, '{"2026-01-02":1,"red":2}'),
        (Word("a"), '"a"'),
        ([{Word("a"): {1}}, Word("b")], '[{"a":[1]},"b"]'),
        (nested(200), "[" * 201 + "]" * 201),
        (nested(253), "[" * 254 + "]" * 254),
    ],
)
def test_what_json_can_say_and_what_has_an_obvious_form_in_it_is_kept(
    value: object, text: str
) -> None:
    assert result_text(value, MANY_BYTES) == text
    beside = text.count("[") < 200  # what takes the other way, where there is a level left for it
    assert not beside or result_text([value, {1}], MANY_BYTES) == f"[{text},[1]]"


class Typed(NamedTuple):
    """A value of each type whose form is pydantic's."""

    exact: Decimal = Decimal("0.1000")
    apart: timedelta = timedelta(days=400, seconds=3, microseconds=5)
    where: Path = Path("a/b")
    when: datetime = datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1)))
    day: date = date(2026, 1, 2)
    which: UUID = UUID(int=7)


@pytest.mark.parametrize("value", Typed())
def test_what_a_result_holds_is_taken_as_the_data_of_another_task(value: object) -> None:
    text = result_text(value, MIB)
    assert pydantic.TypeAdapter(type(value)).validate_json(text) == value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            {"files": [1, 2, 3, b"x"]},
            f".files[3]: bytes {NO_FORM}; decode it, or write it as Base64",
        ),
        (bytearray(), f": bytearray {NO_FORM}; decode it, or write it as Base64"),
        (memoryview(b""), f": memoryview {NO_FORM}; decode it, or write it as Base64"),
        ([{"deep": ({1j},)}], f"[0].deep[0][0]: complex {NO_FORM}"),
        (object(), f": object {NO_FORM}"),
        (Mock(), f": Mock {NO_FORM}"),
        (Point, f": type {NO_FORM}; return an instance of it"),
        ({"rows": (each for each in [1])}, f".rows: generator {NO_FORM}; {LIST}"),
        (a_stream(), f": async_generator {NO_FORM}; {LIST}"),
        (math.nan, f": NaN {NO_FORM}"),
        (-math.inf, f": an infinity {NO_FORM}"),
        ([{"deep": (1, -math.inf)}], f"[0].deep[1]: an infinity {NO_FORM}"),
        (Point(1, [math.nan]), f".y[0]: NaN {NO_FORM}"),
        (SlottedPoint(math.nan), f".x: NaN {NO_FORM}"),
        (Pair(None, math.nan), f"[1]: NaN {NO_FORM}"),
        ({"a b": OldPair(math.inf, None)}, f'["a b"][0]: an infinity {NO_FORM}'),
        (nested_model(3, math.nan), f".inner.inner.inner.weight: NaN {NO_FORM}"),
        ([Colour.UNKNOWN], f"[0]: NaN {NO_FORM}"),
        ([Decimal("sNaN")], f"[0]: NaN {NO_FORM}"),
        ({"n": 2**63}, f".n: {TOO_LONG}"),
        ([-(2**63) - 1], f"[0]: {TOO_LONG}"),
        ([10**100_000], f"[0]: {TOO_LONG}"),
        (["\ud800"], r"[0]: the lone surrogate '\ud800' has no JSON form"),
        ({"\ud800": 1}, r": the lone surrogate '\ud800' has no JSON form"),
        (Path("\udcff"), r": the lone surrogate '\udcff' has no JSON form"),
        ({"by": {None: 1}}, ".by: the key None is neither a text nor an integer"),
        ({True: 1}, ": the key True is neither a text nor an integer"),
        ({1.5: 1}, ": the key 1.5 is neither a text nor an integer"),
        ({(1, 2): 1}, ": the key (1, 2) is neither a text nor an integer"),
        ({1: 1, "1": 2}, ': two of its keys are "1" in JSON'),
        (Unwilling(), f": PydanticSerializationError: {UNWILLING}"),
        ([UserDict({"a": 1}), Unready()], "[1]: ZeroDivisionError: not now"),
    ],
)
def test_what_json_cannot_say_is_refused_with_the_place_and_the_reason(
    value: object, problem: str
) -> None:
    with pytest.raises(Reject) as refused:
        result_text(value, MANY_BYTES)
    assert str(refused.value) == f"result{problem}"


def test_a_value_with_too_many_levels_or_that_holds_itself_is_refused() -> None:
    knot: list[Any] = []
    knot.append(knot)
    ring = Point(None)
    ring.x = ring
    for value in (knot, ring, nested(254), nested(100_000)):
        with pytest.raises(Reject, match=r"^result.*…: there are more than 254 levels"):
            result_text(value, MANY_BYTES)


def test_a_value_that_lacks_an_attribute_is_written_without_it_and_does_not_end_the_process() -> (
    None
):
    assert result_text([Unfinished()], MIB) == '[{"x":1}]'


UNEXPECTED = "unexpected character, expected a JSON value"
TWICE = "for the second time in its object"
TOO_BIG = "an integer that 64 bits do not hold"


def as_json(value: str) -> str:
    return result_text(value, MIB)


def as_answer(value: str) -> str:
    return foreign_text(value.encode(), MIB)


def as_output(value: str) -> str:
    return program_text(value.encode(), Form.AUTO, MIB)


@pytest.mark.parametrize("keep", [as_json, as_answer, as_output])
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


# --- what a program wrote -------------------------------------------------------------------


@pytest.mark.parametrize("form", [Form.AUTO, Form.JSON])
@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b'{"b": 1,  "a":\n[1.0, 1e2]}', '{"b": 1,  "a":\n[1.0, 1e2]}'),
        (b' \r\n{"output": 1}\n\n', '{"output": 1}'),
        (b"[-9223372036854775808, 9223372036854775807]",) * 2,
        (b"[12345678901234567890.5, 1e-400]",) * 2,
        (b'{"a":{"b":1},"b":[{"a":1},{"a":1}],"c":"{\\"a\\":1,12345678901234567890"}',) * 2,
        ('"é"'.encode(), '"é"'),
        (b'"\\u00e9\\u0000\\ud83d\\ude00"',) * 2,
        (b'\xef\xbb\xbf{"a":1}', '{"a":1}'),
        (b"null", "null"),
        (b"[" * 254 + b"]" * 254,) * 2,
        (b'[{"a":1}' + b',{"a":1}' * 300 + b"]",) * 2,
    ],
)
def test_the_json_of_a_program_is_kept_to_the_letter(
    output: bytes, text: str | bytes, form: Form
) -> None:
    expected = text if isinstance(text, str) else text.decode()
    assert program_text(output, form, MIB) == expected


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (b'{"a":\n NaN}', f"{UNEXPECTED} at line 2, column 2 (byte 7): NaN}}"),
        (
            '{"é": -Infinity}'.encode(),
            "no digit after sign at line 1, column 8 (byte 8): Infinity}",
        ),
        (
            b"[1e999]",
            "number is infinity when parsed as double at line 1, column 2 (byte 1): 1e999]",
        ),
        (b'["\\ud800"]', 'no low surrogate in string at line 1, column 3 (byte 2): \\ud800"]'),
        (
            b'{"a":1,\n"a":2}',
            f'the name "a" {TWICE} at line 2, column 1 (byte 8): "a":2}}',
        ),
        (
            b'[{"a":{"c":1,"\\u0063":2}}]',
            f'the name "c" {TWICE} at line 1, column 14 (byte 13): "\\u0063":2}}}}]',
        ),
        (b"[9223372036854775808]", f"{TOO_BIG} at line 1, column 2 (byte 1): 9223372036854775808]"),
        (
            b"[-9223372036854775809]",
            f"{TOO_BIG} at line 1, column 2 (byte 1): -9223372036854775809",
        ),
        (b"[" + b"9" * 300 + b"]", f"{TOO_BIG} at line 1, column 2 (byte 1): {'9' * 20}"),
        (
            b"[" * 255 + b"]" * 255,
            f"more than 254 levels of nesting at line 1, column 255 (byte 254): [{']' * 19}",
        ),
        (
            b"[" * 100_000 + b"]" * 100_000,
            f"depth limit exceeded at line 1, column 1026 (byte 1025): {'[' * 20}",
        ),
    ],
)
def test_what_is_json_but_for_what_readers_may_lose_fails_and_says_where(
    output: bytes, problem: str
) -> None:
    for form in (Form.AUTO, Form.JSON):
        with pytest.raises(Reject) as refused:
            program_text(output, form, MIB)
        assert str(refused.value) == f"the output is not JSON: {problem}"
    assert orjson.loads(program_text(output, Form.TEXT, MIB)) == output.decode()


@pytest.mark.parametrize(
    ("output", "where"),
    [
        (b"done\n", "line 1, column 1 (byte 0): done"),
        (b"[INFO] done", "line 1, column 2 (byte 1): INFO] done"),
        (b'{"a":1', "line 1, column 7 (byte 6): the end"),
        (b'{"a":1}\n{"a":2}', 'line 2, column 1 (byte 8): {"a":2}'),
        (b'{"a": "half', "line 1, column 12 (byte 11): the end"),
        (b"NaN", "line 1, column 1 (byte 0): NaN"),
        (b"12e4567", "line 1, column 1 (byte 0): 12e4567"),  # as the hash of a commit may be
        (b"123456789012345678901234567890", "line 1, column 1 (byte 0): 12345678901234567890"),
        (b"\x00\x1b[1m", "line 1, column 1 (byte 0): [1m"),
    ],
)
def test_what_is_no_json_is_a_text_unless_the_program_has_to_write_json(
    output: bytes, where: str
) -> None:
    for form in (Form.AUTO, Form.TEXT):
        assert orjson.loads(program_text(output, form, MIB)) == output.decode().strip()
    with pytest.raises(Reject) as refused:
        program_text(output, Form.JSON, MIB)
    assert str(refused.value).startswith("the output is not JSON: ")
    assert str(refused.value).endswith(where)


def test_json_is_a_text_too_if_the_program_writes_text() -> None:
    assert program_text(b' {"a": 1}\n', Form.TEXT, MIB) == r'"{\"a\": 1}"'


def test_a_program_that_writes_nothing_returns_null_an_empty_text_or_fails() -> None:
    for nothing in (b"", b" \n\t "):
        assert program_text(nothing, Form.AUTO, MIB) == "null"
        assert program_text(nothing, Form.TEXT, MIB) == '""'
        with pytest.raises(Reject, match="the output is not JSON: "):
            program_text(nothing, Form.JSON, MIB)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (b"\xff\xfe a", "invalid start byte at byte 0"),
        (b'{"half": "\xc3"}', "invalid continuation byte at byte 10"),
        ("é".encode()[:1], "unexpected end of data at byte 0"),
        (b"a\xed\xa0\x80", "invalid continuation byte at byte 1"),
    ],
)
def test_what_is_not_utf_8_fails_and_says_where(output: bytes, problem: str, form: Form) -> None:
    with pytest.raises(Reject) as refused:
        program_text(output, form, MIB)
    assert str(refused.value) == f"the output is not UTF-8: {problem}"


# --- what a server answered -----------------------------------------------------------------


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
def test_json_of_a_server_is_kept_to_the_letter_and_nothing_is_null(
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
def test_what_is_no_json_of_a_server_is_a_text(output: bytes, text: str) -> None:
    kept = foreign_text(output, MIB)
    assert orjson.loads(kept) == text


def test_a_text_is_as_long_as_it_is_when_it_is_written_as_json() -> None:
    assert len(foreign_text(b"\x00" * 100, 602)) == 602
    with pytest.raises(Reject, match=r"the result has 602 bytes; .* is 601"):
        foreign_text(b"\x00" * 100, 601)
    with pytest.raises(Reject, match=r"the result has 302 bytes; .* is 301"):
        foreign_text(b"\xff" * 100, 301)
