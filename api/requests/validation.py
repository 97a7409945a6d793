"""What a request holds, checked; what is wrong with it becomes one clear sentence."""

import re
from typing import Any, TypeVar
from uuid import UUID

import falcon
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError, PydanticKnownError

from task_queue.actors.tasks.text import named, shown
from task_queue.api.contract.operation import may_be_empty
from task_queue.api.json_codec import read_json
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.problems import look_up, predicate, types_of, way_to

M = TypeVar("M", bound=BaseModel)

_WHOLE_NUMBER = re.compile("-?(0|[1-9][0-9]{0,18})")
_ID = re.compile(
    r"(urn:uuid:)?\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", re.IGNORECASE | re.ASCII
)
"""What Python takes for a UUID but for hyphens anywhere, a `+`, and the digits of other scripts."""


class Body(BaseModel):
    """What the models of bodies share. An optional member that is null counts as not given."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def checked(model: type[M], value: object, where: str = "") -> M:
    """Return the value as the model has it: a body, a part of one, or the parameters of a query.

    Args:
        model: What it must be.
        value: A JSON value, or the texts of a query.
        where: Where it stands in the body, as in `task`; empty: it is the body.

    Raises:
        InvalidRequestError: Something is missing, unknown or wrong; the sentence names it, its
            value and what is allowed.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(model, error.errors(include_url=False)[0], where) from error


def checked_body(req: falcon.Request, model: type[M]) -> M:
    """Return the request's body as the model has it; an empty one is `{}` if nothing is required.

    Raises:
        InvalidRequestError: See `read_json` and `checked`.
    """
    if not req.content_length and may_be_empty(model):
        return checked(model, {})
    return checked(model, read_json(req))


def rule(predicate: str) -> PydanticCustomError:
    """Return what a model's validator raises: the member's name and this become the sentence.

    Args:
        predicate: As in `must be at least 5, not 4`; see `shown` for the value.
    """
    return PydanticCustomError("rule", "{predicate}", {"predicate": predicate})


def contradiction(predicate: str) -> PydanticCustomError:
    """Return the same as `rule`, of a member that is right but for another one."""
    return PydanticCustomError("contradiction", "{predicate}", {"predicate": predicate})


def refused_callback(predicate: str) -> PydanticCustomError:
    """Return the same as `rule`, of an address at which nobody can be told."""
    return PydanticCustomError("callback", "{predicate}", {"predicate": predicate})


def _is_written_as_in_json(value: object) -> object:
    if isinstance(value, str) and not _WHOLE_NUMBER.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


whole_number = BeforeValidator(_is_written_as_in_json)
"""Behind the limits of an `int` in a query: it is written as in JSON, not `+5`, `1_0` or `1.0`."""


def canonical_id(text: str) -> str | None:
    """Return the task id that the text stands for, or None if it is no UUID."""
    return str(UUID(text)) if _ID.fullmatch(text) else None


def _invalid(model: type[BaseModel], error: ErrorDetails, where: str) -> InvalidRequestError:
    kind, value, path = error["type"], error["input"], error["loc"]
    if kind == "model_type" and not path and not where:
        detail = "the body must be a JSON object"
        return InvalidRequestError("invalid JSON", detail, problems.INVALID_JSON)
    member = way_to((named(part) if isinstance(part, str) else part for part in path), where)
    holder, field = look_up(model, path)
    length = len(value) if isinstance(value, str | list) else 0
    said = predicate(kind, error.get("ctx", {}))
    match kind:
        case "contradiction":
            return InvalidRequestError(f"{member} {said}", problem=problems.CONTRADICTION)
        case "callback":
            return InvalidRequestError(f"{member} {said}", problem=problems.CALLBACK_REFUSED)
        case "rule" | "missing" | "string_too_short":
            sentence = f"{member} {said}"
        case "extra_forbidden":
            sentence = f"{member} {said}; known: {', '.join(holder.model_fields) or 'none'}"
        case "string_too_long":
            sentence = f"{member} {said}, not {length}"
        case "too_short" | "too_long":
            sentence = f"{member} must have {_entries(field)}, not {length}"
        case _ if said := _range(field) or said:
            sentence = f"{member} {said}, not {shown(value)}"
        case _:
            sentence = f"{member}: {error['msg']}"
    return InvalidRequestError(sentence)


def _limits(field: FieldInfo | None) -> dict[str, Any]:
    return {
        name: getattr(limit, name)
        for limit in (field.metadata if field else ())
        for name in ("ge", "gt", "le", "min_length", "max_length")
        if hasattr(limit, name)
    }


def _entries(field: FieldInfo | None) -> str:
    """Return in words how many entries a list may have."""
    limits = _limits(field)
    return f"{limits['min_length']} to {limits['max_length']} entries"


def _range(field: FieldInfo | None) -> str:
    """Return in words what a number must be; empty if the field is none, or has no range."""
    kind = "whole number" if field and int in types_of(field) else "number"
    match _limits(field):
        case {"ge": least, "le": most}:
            return f"must be a {kind} from {least} to {most}"
        case {"gt": below, "le": most}:
            return f"must be a {kind} above {below} and up to {most}"
        case _:
            return ""
