"""JSON that a program wrote: accepted if nothing of it can get lost, else refused with the place.

RFC 8259 leaves it open what a name means that an object has twice, or a number that no double or
64-bit integer holds; readers differ, so such JSON is refused.
"""

import json
import re
from typing import Any

import orjson

from task_queue.actors.actions.plain import INTEGERS, MAX_DEPTH
from task_queue.actors.tasks.text import one_line, shown

LONG_DIGITS = 18
"""Integers with more digits may not fit in 64 bits."""
MAX_EXCERPT_CHARS = 20
"""How much an error shows of what is wrong."""

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * (LONG_DIGITS + 1)
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")(?P<name>[ \t\n\r]*:)?
    |(?P<open>[\[{])|(?P<close>[\]}])
    |(?P<integer>-?[0-9]{19,})(?![0-9.eE])|-?[0-9.eE+-]+""",
    re.VERBOSE | re.DOTALL,
)


class NotJSONError(ValueError):
    """The text is no JSON that is kept; the error's text says why, and where.

    Attributes:
        is_meant: Whether it is JSON but for a NaN and the like: whoever wrote it meant JSON.
    """

    def __init__(self, problem: str, text: str, position: int, *, is_meant: bool) -> None:
        excerpt = one_line(text[position : position + MAX_EXCERPT_CHARS])
        super().__init__(f"{problem} at {_place(text, position)}: {excerpt or 'the end'}")
        self.is_meant = is_meant


def has_long_digits(text: bytes) -> bool:
    """Return whether there may be an integer in it that 64 bits do not hold."""
    # Searched as zeros because that is 30 times as fast as a regular expression.
    return _LONG in text.translate(_ZEROS)


def check(text: str) -> None:
    """Accept JSON that every reader takes for the same.

    Raises:
        NotJSONError: It is no JSON, or has in it what a reader may lose: a NaN, a number beyond a
            double or 64 bits, a lone surrogate, a name twice in an object, too many levels.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotJSONError(error.msg, text, error.pos, is_meant=_is_nearly_json(text)) from None
    if _is_suspect(text, value):
        _find(text)


def _is_nearly_json(text: str) -> bool:
    """Return whether Python's own reader takes it: it takes NaN, 1e999, and half a surrogate."""
    try:
        json.loads(text, parse_int=str)
    except RecursionError:  # so many levels that it gives up, too: no text happens to begin so
        return True
    except ValueError:
        return False
    return True


def _is_suspect(text: str, value: object) -> bool:
    """Return whether there may be something wrong in this JSON; `_find` is ten times slower."""
    if has_long_digits(text.encode()):
        return True
    try:
        orjson.dumps(value)
    except TypeError:  # too many levels
        return True
    twice = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len({name for name, _ in members}) < len(members)

    json.loads(text, object_pairs_hook=look)
    return twice


def _find(text: str) -> None:
    """Accept JSON without a name twice in an object, long integers, and too many levels.

    Raises:
        NotJSONError: It has one of these.
    """
    names: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        problem = None
        if token["open"]:
            names.append(set())
            if len(names) > MAX_DEPTH:
                problem = f"more than {MAX_DEPTH} levels of nesting"
        elif token["close"]:
            names.pop()
        elif token["name"]:
            name = orjson.loads(token["string"])
            if name in names[-1]:
                problem = f"the name {shown(name)} for the second time in its object"
            names[-1].add(name)
        elif (digits := token["integer"]) and not _fits(digits):
            problem = "an integer that 64 bits do not hold"
        if problem is not None:
            raise NotJSONError(problem, text, token.start(), is_meant=True)


def _fits(digits: str) -> bool:
    """Return whether 64 bits hold the integer; thousands of digits Python would not even read."""
    return len(digits) <= LONG_DIGITS + 2 and int(digits) in INTEGERS


def _place(text: str, position: int) -> str:
    """Return where that is: line and column from 1, and the bytes before it."""
    before = text[:position]
    line, column = before.count("\n") + 1, position - before.rfind("\n")
    return f"line {line}, column {column} (byte {len(before.encode())})"
