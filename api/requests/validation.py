"""What a request holds, checked; what is wrong with it becomes one clear sentence."""

from collections.abc import Sequence
from inspect import isclass
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from task_queue.api.responses.errors import InvalidRequestError

MAX_SHOWN_CHARS = 60
"""What an error shows of a value: a line's worth."""

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], value: object, where: str = "") -> M:
    """The value as the model has it: a body, a part of one, or the parameters of a query.

    Args:
        model: What it must be.
        value: What it is.
        where: Where it stands in the body, as in `task`; empty: it is the body.

    Raises:
        InvalidRequestError: Something is missing, unknown or wrong; the sentence names it, its
            value and what is allowed.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(model, error.errors(include_url=False)[0], where) from error


def rule(predicate: str) -> PydanticCustomError:
    """What a validator of a model raises: the member's name and this become the sentence.

    Args:
        predicate: As in `must be at least 5, not 4`; see `shown` for the value.
    """
    return PydanticCustomError("rule", "{predicate}", {"predicate": predicate})


def canonical_id(text: str) -> str | None:
    """The task id that the text stands for, or None if it is no UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def shown(value: object) -> str:
    """The value as JSON, cut where it gets long."""
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


_SENTENCES = {
    "rule": "{member} {predicate}",
    "missing": "{member} is missing",
    "extra_forbidden": "{member} is not known; known: {known}",
    "string_type": "{member} must be a string, not {value}",
    "string_too_short": "{member} must not be empty",
    "string_too_long": "{member} must have at most {max_length} characters, not {length}",
    "dict_type": "{member} must be a JSON object, not {value}",
    "model_type": "{member} must be a JSON object, not {value}",
    "list_type": "{member} must be a list, not {value}",
    "too_short": "{member} must have {allowed}, not {length}",
    "too_long": "{member} must have {allowed}, not {length}",
    "bool_type": "{member} must be true or false, not {value}",
    "enum": "{member} must be one of {expected}, not {value}",
    "literal_error": "{member} must be one of {expected}, not {value}",
}
_NUMBER = "{member} must be {allowed}, not {value}"
_OTHER = "{member}: {message}"


def _invalid(model: type[BaseModel], error: ErrorDetails, where: str) -> InvalidRequestError:
    kind, value, path = error["type"], error["input"], error["loc"]
    if kind == "model_type" and not path and not where:
        return InvalidRequestError("invalid JSON", "the body must be a JSON object")
    holder, field = _look_up(model, path)
    allowed = "" if field is None else _allowed(field)
    sentence = _SENTENCES.get(kind, _NUMBER if allowed else _OTHER)
    return InvalidRequestError(
        sentence.format(
            member=_member(where, path),
            value=shown(value),
            length=len(value) if isinstance(value, str | list) else 0,
            allowed=allowed,
            known=", ".join(holder.model_fields),
            message=error["msg"],
            **{"max_length": "", "expected": "", "predicate": "", **error.get("ctx", {})},
        )
    )


def _member(where: str, path: Sequence[int | str]) -> str:
    """The member's name with the way to it, as in `tasks[17].backoff.cap`."""
    text = where
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if len(part) <= MAX_SHOWN_CHARS else f"{part[:MAX_SHOWN_CHARS]}…"
            text += f".{name}" if text else name
    return text


def _look_up(
    model: type[BaseModel], path: Sequence[int | str]
) -> tuple[type[BaseModel], FieldInfo | None]:
    """The model that the last part of the path belongs to, and that field of it, if it has one."""
    holder, inner, field = model, model, None
    for part in path:
        if isinstance(part, int):
            continue
        holder, field = inner, inner.model_fields.get(part)
        if field is None:
            break
        inner = next(filter(_is_model, _types(field)), inner)
    return holder, field


def _is_model(kind: object) -> bool:
    return isclass(kind) and issubclass(kind, BaseModel)


def _types(field: FieldInfo) -> tuple[Any, ...]:
    """What the field may hold: its own type, or the parts of that."""
    return (field.annotation, *get_args(field.annotation))


def _is_list(field: FieldInfo) -> bool:
    return any(get_origin(kind) is list for kind in _types(field))


def _allowed(field: FieldInfo) -> str:
    """The range of a number, or of a list's length, in words; empty if there is none."""
    limits = {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("ge", "gt", "le", "min_length", "max_length")
        if hasattr(limit, name)
    }
    kind = "whole number" if int in _types(field) else "number"
    match limits:
        case {"ge": least, "le": most}:
            return f"a {kind} from {least} to {most}"
        case {"gt": below, "le": most}:
            return f"a {kind} above {below} and up to {most}"
        case {"min_length": least, "max_length": most} if _is_list(field):
            return f"{least} to {most} entries"
        case _:
            return ""
