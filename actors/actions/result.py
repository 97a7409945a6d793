"""The result of an action as JSON, which is what is stored of it."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import orjson

from task_queue.actors.errors import Reject
from task_queue.actors.tasks.text import with_article


def result_text(value: object, max_bytes: int) -> str:
    """Return the value as JSON.

    Args:
        value: What JSON can hold, and what has an obvious form in it: tuples, dataclasses, pydantic
            models, UUIDs, times (RFC 3339), enumerations.
        max_bytes: How long the JSON may be.

    Raises:
        Reject: It cannot be stored: it is not JSON, or too long.
    """
    try:
        text = orjson.dumps(value, _as_json)
    except TypeError as error:
        message = f"the result is not JSON: {error.__cause__ or error}"
        raise Reject(message) from error
    # orjson writes a NaN as null, so it is looked for only where there is a null.
    if b"null" in text and _has_nan(value):
        message = "the result is not JSON: it has a NaN or an infinity in it"
        raise Reject(message)
    if len(text) > max_bytes:
        raise too_long(len(text), max_bytes)
    return text.decode()


def foreign_text(output: bytes, max_bytes: int) -> str:
    """Return the output of a program or a server as JSON: as it is, or as a string; empty is null.

    Raises:
        Reject: It is too long.
    """
    text = output.strip()
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        text = orjson.dumps(text.decode("utf-8", "replace")) if text else b"null"
    if len(text) > max_bytes:
        raise too_long(len(text), max_bytes)
    return text.decode()


def too_long(size: int | None, max_bytes: int) -> Reject:
    """Return the error of a result that is too long.

    Args:
        size: Its bytes; None: unknown, since it was not read to its end.
        max_bytes: How many it may have.
    """
    has = "more" if size is None else f"{size}"
    return Reject(f"the result has {has} bytes; execution.max_result_bytes is {max_bytes}")


def _as_json(value: Any) -> object:  # noqa: ANN401 - whatever the action returned
    if callable(dump := getattr(value, "model_dump", None)):  # a pydantic model
        return dump(mode="json")
    if isinstance(value, tuple):  # a named tuple
        return list(value)
    message = f"{with_article(type(value).__name__)} has no form in it"
    raise TypeError(message)


def _has_nan(value: object) -> bool:
    """Return whether a NaN or an infinity is in the value, in the parts of it that are written."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, float):
            if not math.isfinite(each):
                return True
        elif isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
        elif isinstance(each, Enum):
            waiting.append(each.value)
        elif is_dataclass(each):
            names = [field.name for field in fields(each) if not field.name.startswith("_")]
            waiting += [getattr(each, name) for name in names]
        elif callable(dump := getattr(each, "model_dump", None)):
            waiting.append(dump(mode="json"))
    return False
