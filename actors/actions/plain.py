"""What an action returns, in JSON's own types; what has no form in them is refused with its place.

Where a type has one obvious form it is that of pydantic, so a value looks the same in a result as
in data whose type names it: a `Decimal` is a text with all its digits, a `timedelta` a duration of
ISO 8601.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import singledispatch
from pathlib import PurePath
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeVar
from uuid import UUID

from task_queue.actors.errors import Reject
from task_queue.actors.tasks.text import cut, printable, shown, titled

Answer = TypeVar("Answer")

INTEGERS = range(-(2**63), 2**63)
"""Integers beyond 64 bits are not the same to every reader of JSON."""
MAX_DEPTH = 254
"""How many objects and lists may be nested in a result: orjson writes no more."""
MAX_PLACE_CHARS = 200
"""How much of the way to a wrong value is shown."""

_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((bytes, bytearray, memoryview), "decode it, or write it as Base64"),
    ((GeneratorType, AsyncGeneratorType), "return a list of what it yields"),
    (CoroutineType, "await it"),
    (type, "return an instance of it"),
)
"""What to do instead, for types that look as if they had a form."""


class _NoFormError(Exception):
    """A value has no form in JSON.

    Attributes:
        steps: The way to it from the result, the last step first, as `[3]`, `.files`.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.steps: list[str] = []


def plain(result: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return the result in JSON's own types.

    Raises:
        Reject: A part of it has no form in them; the text says which part, as in `result.files[3]`.
    """
    try:
        return _plain(result, 0)
    except _NoFormError as error:
        place = cut("".join(("result", *reversed(error.steps))), MAX_PLACE_CHARS)
        problem, cause = str(error), error.__cause__
    message = printable(f"{place}: {problem}")
    raise Reject(message) from cause


def moment(value: object) -> str:
    """Return a date, a time or both as RFC 3339 has them, which knows offsets of whole minutes.

    Where a zone has seconds in its offset, as all had them once, that becomes the nearest whole
    minute, and it stays the same moment.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, date | time):
        raise TypeError
    minute = timedelta(minutes=1)
    if isinstance(value, datetime) and (offset := value.utcoffset()) and offset % minute:
        value = value.astimezone(timezone(round(offset / minute) * minute))
    return value.isoformat()


@singledispatch
def _plain(value: Any, depth: int) -> Any:  # noqa: ANN401 - any value, any JSON value
    kind = type(value)
    if is_dataclass(kind):
        names = [each.name for each in fields(kind) if not each.name.startswith("_")]
        own = _asked(
            lambda: [(each, getattr(value, each)) for each in names if hasattr(value, each)]
        )
        return _object(own, depth)
    if hasattr(kind, "model_dump"):  # a model of pydantic
        return _plain(_asked(lambda: value.model_dump(mode="json")), _deeper(depth))
    # A number or an array of numpy; a view of bytes is refused as these are.
    if hasattr(kind, "tolist") and kind is not memoryview:
        return _plain(_asked(value.tolist), _deeper(depth))
    advice = next((f"; {each}" for types, each in _ADVICE if isinstance(value, types)), "")
    message = f"{kind.__name__} has no JSON form{advice}"
    raise _NoFormError(message)


@_plain.register(bool)
@_plain.register(type(None))
def _(value: object, _depth: int) -> object:
    return value


@_plain.register
def _(value: str, _depth: int) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        message = f"the lone surrogate {value[error.start]!a} has no JSON form"
        raise _NoFormError(message) from None
    return str.__str__(value)


@_plain.register
def _(value: int, _depth: int) -> int:
    number = int(value)  # a range looks for a number of another type one by one
    if number not in INTEGERS:
        message = "an integer beyond 64 bits has no JSON form here; return it as a text"
        raise _NoFormError(message)
    return number


@_plain.register
def _(value: float, _depth: int) -> float:
    if not math.isfinite(value):
        raise _not_finite(is_nan=math.isnan(value))
    return float(value)


@_plain.register
def _(value: Decimal, _depth: int) -> str:
    if not value.is_finite():
        raise _not_finite(is_nan=value.is_nan())
    return str(value)


@_plain.register
def _(value: date | time, _depth: int) -> str:
    return _asked(lambda: moment(value))


@_plain.register
def _(value: timedelta, _depth: int) -> Any:  # noqa: ANN401 - a text
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - slow to import, rarely needed

    return to_jsonable_python(value)


@_plain.register
def _(value: UUID | PurePath, depth: int) -> Any:  # noqa: ANN401 - a text
    return _plain(str(value), depth)


@_plain.register
def _(value: Enum, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    return _plain(value.value, _deeper(depth))


@_plain.register(Mapping)
def _(value: Mapping[object, object], depth: int) -> dict[str, Any]:
    return _object(_asked(lambda: [*value.items()]), depth)


@_plain.register(list)
@_plain.register(tuple)
@_plain.register(deque)
@_plain.register(AbstractSet)
def _(value: Iterable[object], depth: int) -> list[Any]:
    depth = _deeper(depth)
    elements: list[Any] = []
    for each in _asked(lambda: [*value]):
        try:
            elements.append(_plain(each, depth))
        except _NoFormError as error:
            error.steps.append(f"[{len(elements)}]")
            raise
    return elements


def _object(members: Iterable[tuple[object, object]], depth: int) -> dict[str, Any]:
    depth = _deeper(depth)
    found: dict[str, Any] = {}
    for key, value in members:
        name = key if type(key) is str and key.isascii() else _name(key)
        if name in found:
            message = f"two of its keys are {shown(name)} in JSON"
            raise _NoFormError(message)
        try:
            found[name] = _plain(value, depth)
        except _NoFormError as error:
            error.steps.append(f".{name}" if name.isidentifier() else f"[{shown(name)}]")
            raise
    return found


def _name(key: object) -> str:
    """Return the key as JSON has it: what is a text there, or an integer's digits."""
    name = _plain(key, 0)
    if type(name) is int:
        return str(name)
    if not isinstance(name, str):
        message = f"the key {cut(ascii(key))} is neither a text nor an integer"
        raise _NoFormError(message)
    return name


def _deeper(depth: int) -> int:
    if depth == MAX_DEPTH:
        message = f"there are more than {MAX_DEPTH} levels of nesting, or it holds itself"
        raise _NoFormError(message)
    return depth + 1


def _asked(ask: Callable[[], Answer]) -> Answer:
    """Return what a value's own code says of it."""
    try:
        return ask()
    except Exception as error:  # foreign code
        raise _NoFormError(titled(error)) from error


def _not_finite(*, is_nan: bool) -> _NoFormError:
    return _NoFormError(f"{'NaN' if is_nan else 'an infinity'} has no JSON form")
