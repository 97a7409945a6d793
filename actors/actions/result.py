"""The result of an action as JSON, which is what is stored of it."""

import codecs
from enum import StrEnum

import orjson

from task_queue.actors.actions.plain import MAX_DEPTH, moment, plain
from task_queue.actors.actions.strict_json import LONG_DIGITS, NotJSONError, check, has_long_digits
from task_queue.actors.errors import Reject

# Dataclasses take the longer way, which looks at each of their fields by itself: what is wrong with
# one of them is then an error that names it. Of times orjson rounds the offset, and not the time.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_BLANK = " \t\n\r\v\f"
_BYTE_ORDER_MARK = "\ufeff"


class Form(StrEnum):
    """What a program writes to standard output.

    Attributes:
        AUTO: JSON if it is JSON, else text.
        JSON: One JSON value.
        TEXT: Any text; it becomes a JSON string.
    """

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


def result_text(value: object, max_bytes: int) -> str:
    """Return the value as JSON.

    Args:
        value: What JSON can hold, and what has an obvious form in it; see `plain`.
        max_bytes: How long the JSON may be.

    Raises:
        Reject: It cannot be stored: a part of it has no form in JSON, or it is too long.
    """
    try:
        text = orjson.dumps(value, default=moment, option=_OPTIONS)
    except TypeError:
        text = orjson.dumps(plain(value))
    else:
        # What orjson writes and what is not kept: null for a NaN, integers that no signed 64 bits
        # hold. Looked for only where there is a null, or a long row of digits.
        if b"null" in text or (len(text) > LONG_DIGITS and has_long_digits(text)):
            plain(value)
    return _bounded(text, max_bytes)


def program_text(output: bytes, form: Form, max_bytes: int) -> str:
    """Return a program's output as JSON, without the blanks around it.

    Raises:
        Reject: It is not UTF-8, not of the form, or too long. Also for `AUTO` if it is an object or
            a list and JSON but for a NaN or the like: it is not a text that happens to begin so.
    """
    try:
        written = output.decode()
    except UnicodeDecodeError as error:
        message = f"the output is not UTF-8: {error.reason} at byte {error.start}"
        raise Reject(message) from None
    written = written.removeprefix(_BYTE_ORDER_MARK)
    text = written.strip(_BLANK)
    if form is Form.AUTO and not text:
        return "null"
    if form is not Form.TEXT:
        try:
            check(written)
        except NotJSONError as error:
            if form is Form.JSON or (error.is_meant and text[0] in "[{"):
                message = f"the output is not JSON: {error}"
                raise Reject(message) from None
        else:
            return _bounded(text.encode(), max_bytes)
    return _bounded(orjson.dumps(text), max_bytes)


def foreign_text(output: bytes, max_bytes: int) -> str:
    """Return a server's answer as JSON: as it is, or as a string; empty is null.

    So many levels that readers of JSON give up make it a string, as what is not JSON.

    Raises:
        Reject: It is too long.
    """
    text = output.removeprefix(codecs.BOM_UTF8).strip()
    try:
        value = orjson.loads(text)
        if text.count(b"[") + text.count(b"{") > MAX_DEPTH:
            orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        text = orjson.dumps(text.decode("utf-8", "replace")) if text else b"null"
    return _bounded(text, max_bytes)


def too_long(size: int | None, max_bytes: int) -> Reject:
    """Return the error of a result that is too long.

    Args:
        size: Its bytes; None: unknown, since it was not read to its end.
        max_bytes: How many it may have.
    """
    has = "more" if size is None else f"{size}"
    return Reject(f"the result has {has} bytes; execution.max_result_bytes is {max_bytes}")


def _bounded(text: bytes, max_bytes: int) -> str:
    if len(text) > max_bytes:
        raise too_long(len(text), max_bytes)
    return text.decode()
