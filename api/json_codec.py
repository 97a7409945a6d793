"""The JSON of requests, read so that nothing of it is lost on the way."""

import json
import re
from collections.abc import Iterator
from typing import Any

import falcon
import orjson

from task_queue.actors.actions.plain import INTEGERS
from task_queue.actors.actions.strict_json import LONG_DIGITS, has_long_digits
from task_queue.actors.tasks.text import named
from task_queue.api.origin import comes_from_a_browser
from task_queue.api.responses import problems
from task_queue.api.responses.answer import JSON
from task_queue.api.responses.errors import InvalidRequestError

MAX_DEPTH = 100
"""How many objects and lists may be nested in a body."""

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^;"]*)', re.IGNORECASE)
_CHARSETS = {"utf-8", "utf8", "us-ascii"}
"""What a body may be said to be in; the last is a part of the first."""


class InvalidJSONError(ValueError):
    """The body is no JSON that can be kept as it is; the text says why."""


def read_json(req: falcon.Request, *, any_json: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in the request's body; the server has refused one that is too long.

    Args:
        req: The request.
        any_json: Whether it may be said to be of any type whose form is JSON.

    Raises:
        InvalidRequestError: It is not JSON, or said to be something else, or a browser does not
            say what it is.
    """
    if req.content_type != JSON:
        _check_type(req, any_json=any_json)
    try:
        return parse(req.bounded_stream.read())
    except InvalidJSONError as error:
        raise InvalidRequestError("invalid JSON", str(error), problems.INVALID_JSON) from error


def is_json_type(content_type: str) -> bool:
    """Return whether what is of this media type has the form of JSON (RFC 6839, section 3.1)."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == JSON or media_type.endswith("+json")


def _check_type(req: falcon.Request, *, any_json: bool) -> None:
    """Accept a body that is said to be JSON in UTF-8, or of which nothing is said.

    Raises:
        InvalidRequestError: So of `read_json`.
    """
    if not req.content_type:
        if comes_from_a_browser(req.env):
            raise _wrong_type(f"Content-Type is missing; a browser has to say {JSON}")
        return
    content_type = req.content_type.partition(";")[0].strip().lower()
    if content_type != JSON and not (any_json and is_json_type(content_type)):
        message = f"Content-Type must be {JSON}, not {named(content_type)}"
        raise _wrong_type(message, f"{message}; with curl: -H 'Content-Type: {JSON}'")
    for charset in _CHARSET.findall(req.content_type):
        if charset.strip().lower() in _CHARSETS:
            continue
        raise _wrong_type(f"charset must be utf-8, as JSON is always, not {named(charset)}")


def _wrong_type(message: str, detail: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(message, detail, problems.UNSUPPORTED_MEDIA_TYPE)


def refuse_members(req: falcon.Request) -> None:
    """Accept only an empty body, or an empty object, for a request without members.

    Raises:
        InvalidRequestError: Somebody expects a member to have an effect.
    """
    if req.content_length and (value := read_json(req)) != {}:
        name = next(iter(value), "") if isinstance(value, dict) else "the body"
        message = f"{named(name)} is not known; this request has no members"
        raise InvalidRequestError(message)


def parse(body: bytes, called: str = "the body") -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in the body.

    Args:
        body: What is read.
        called: What errors call it.

    Raises:
        InvalidJSONError: It is not JSON (RFC 8259, UTF-8, no NaN), or holds what would not come
            back the same from every database and reader: an integer beyond 64 bits, a NUL
            character, a member twice in one object, more than `MAX_DEPTH` levels.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSONError(_why(body, error, called)) from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _too_deep(value):
        message = f"{called} has more than {MAX_DEPTH} levels of nesting"
        raise InvalidJSONError(message)
    # The quick parser turns an integer beyond 64 bits into a float silently, and of a member that
    # occurs twice it keeps the last. Such bodies are rare, so only those that might hold one, or a
    # NUL, are read a second time.
    if b"\\u0000" in body or has_long_digits(body) or _may_repeat(body, value):
        _check_exactly(body)
    return value


def _may_repeat(body: bytes, value: object) -> bool:
    r"""Return whether the body may hold a member twice in one object.

    The value, written again, has the quotes of all its strings: two around each, and those that are
    escaped in it. The body has as many, and more if a member was dropped. Only where it writes a
    quote as `\u0022`, it has fewer.
    """
    return b"\\u0022" in body or body.count(b'"') != orjson.dumps(value).count(b'"')


def _why(body: bytes, error: orjson.JSONDecodeError, called: str) -> str:
    if not body:
        return f"{called} is empty; it must be a JSON object"
    try:
        body.decode()
    except UnicodeDecodeError as not_utf8:
        return f"{called} is not UTF-8: {not_utf8.reason} at byte {not_utf8.start}"
    return f"{called} is not valid JSON: {error}"


def _check_exactly(body: bytes) -> None:
    value = json.loads(body, parse_int=_fits_in_64_bits, object_pairs_hook=_without_repetition)
    for text in _strings(value):
        if "\x00" in text:
            message = "a string holds the NUL character (\\u0000), which databases cannot store"
            raise InvalidJSONError(message)


def _without_repetition(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in members:
        if name in read:
            message = f"{named(name)} is given twice in one object; give it once"
            raise InvalidJSONError(message)
        read[name] = value
    return read


def _fits_in_64_bits(digits: str) -> int:
    too_long = len(digits) > LONG_DIGITS + 3
    if too_long or int(digits) not in INTEGERS:
        shown = digits if not too_long else f"{digits[:LONG_DIGITS]}…"
        message = f"the integer {shown} does not fit in signed 64 bits; send it as a string"
        raise InvalidJSONError(message)
    return int(digits)


def _strings(value: object) -> Iterator[str]:
    """Yield every string inside the value, keys too."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            yield current
        elif isinstance(current, dict):
            yield from current
            waiting += current.values()
        elif isinstance(current, list):
            waiting += current


def _too_deep(value: object) -> bool:
    """Return whether there are too many levels. Large batches come here too, so level by level."""
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)
