"""Pydantic's errors in words: for settings, for what requests hold, and for the data of actions.

One table, in front of which settings put words of their own: in TOML a value is a text in a table
of keys, in a body it is a string in a JSON object, and users know both texts. The data of actions
takes only the words for missing and unknown members from it: its types are the users' own, with all
errors that pydantic knows, so it keeps pydantic's messages.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

PREDICATES: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "rule": "{predicate}",
    "contradiction": "{predicate}",
    "callback": "{predicate}",
    "value_error": "{error}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_type": "must be a string",
    "string_unicode": "must be UTF-8",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "list_type": "must be a list",
    **dict.fromkeys(("model_type", "dict_type"), "must be a JSON object"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
}
"""What is wrong with a value, by pydantic's type of error."""

_OF_SETTINGS = {
    "missing": "must be set",
    "literal_error": "must be {expected}",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must look like module:function",
    "tuple_type": 'must be a list, as in ["one", "two"]',
    "action_kind": "{message}",
    "cap_below_base": "must be at least {other}",
    "needs_database": 'needs driver = "database", but {other}',
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type", "mapping_type"),
        "must be a table of keys",
    ),
}
_OF_ENVIRONMENT = {
    **_OF_SETTINGS,
    "tuple_type": "must be a list, which only a file or --set can hold",
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "dict_type", "mapping_type"),
        "must be a table: each of its keys is a variable of its own, with __ before the key",
    ),
}
_SECRET = re.compile(r"(://[^:/@\s]*:).*@|([?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)


def predicate(
    kind: str, context: Mapping[str, object], own: Mapping[str, str] | None = None
) -> str | None:
    """Return what is wrong with a value; None: there are no words for this type of error.

    Args:
        kind: Pydantic's type of error.
        context: Its `ctx`.
        own: Words that replace those of the table.
    """
    template = (own or {}).get(kind) or PREDICATES.get(kind)
    return template and template.format(**context)


def way_to(path: Iterable[int | str], start: str = "") -> str:
    """Return where a value is, as in `tasks[17].backoff.cap`."""
    text = start
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def look_up(
    model: type[BaseModel], path: Iterable[int | str]
) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the model that the path's last part belongs to, and that field, if it has one."""
    holder, inner, field = model, model, None
    for part in path:
        if isinstance(part, int):
            continue
        holder, field = inner, inner.model_fields.get(part)
        if field is None:
            break
        inner = next(filter(_is_model, types_of(field)), inner)
    return holder, field


def types_of(field: FieldInfo) -> tuple[Any, ...]:
    """Return what the field may hold: its own type, and the parts of that."""
    return (field.annotation, *get_args(field.annotation))


def described(error: ErrorDetails, settings: type[BaseModel], origins: Mapping[str, str]) -> str:
    """Return a line about a wrong setting: its key, its value, its origin and what is allowed.

    Args:
        error: What pydantic found.
        settings: The model of all settings.
        origins: As in `Loaded.origins`.
    """
    path = [str(part) for part in error["loc"] if part != "[key]"]
    kind, context = error["type"], dict(error.get("ctx", {}))
    origin = origin_of(path, origins)
    if kind == "missing" and origin.startswith("environment"):
        # That is the variable of a key beside it: the one that is to be set is its neighbour.
        origin = "__".join([*origin.split("__")[: len(path) - 1], path[-1].upper()])
    key = f"{'.'.join(path)} (from {origin})"
    if kind == "extra_forbidden":
        # Without the value: under an unknown key it could be anything, a password too.
        return f"{key}: unknown key; known are {', '.join(look_up(settings, path)[0].model_fields)}"
    if kind == "unknown_action_key":
        return f"{key}: unknown key; known are {context['known']}"
    if "other" in context:
        other = [*path[:-1], context["other"]]
        context["other"] = _stated(other, context["value"], origins)
    from_environment = origin.startswith("environment")
    own = _OF_ENVIRONMENT if from_environment else _OF_SETTINGS
    allowed = predicate(kind, context, own) or error["msg"]
    if error["loc"][-1] == "[key]":
        return f"{key}: the name {allowed}"
    if kind == "missing" or _may_be_secret(path, error["input"]):
        return f"{key}: {allowed}"
    return f"{_stated(path, error['input'], origins)}: {allowed}"


def shown(value: object) -> str:
    """Return the value of a setting as text, without passwords."""
    if isinstance(value, str) and value.isprintable() and value == value.strip() != "":
        return redacted(value)
    return redacted(json.dumps(value, default=str))


def redacted(url: str) -> str:
    """Return the URL, or any text with one in it, with `***` for its password.

    Of a URL that is malformed it hides too much rather than too little.
    """
    return _SECRET.sub(lambda match: f"{match[1]}***@" if match[1] else f"{match[2]}***", url)


def _is_model(kind: object) -> bool:
    return isclass(kind) and issubclass(kind, BaseModel)


def _may_be_secret(path: Sequence[str], value: object) -> bool:
    """Return whether the value of this key must not be shown."""
    match path:
        case ["auth" | "actions" | "callbacks"]:
            return isinstance(value, Mapping | list)
        case ["auth", "keys", *inner]:
            return len(inner) <= 1 or inner[-1] == "key"
        case ["actions" | "callbacks", *inner]:
            return isinstance(value, Mapping) or "secret" in inner or "headers" in inner
    return False


def _stated(path: Sequence[str], value: object, origins: Mapping[str, str]) -> str:
    return f"{'.'.join(path)} = {shown(value)} (from {origin_of(path, origins)})"


def origin_of(path: Sequence[str], origins: Mapping[str, str]) -> str:
    """Return where the key comes from, else what is in it, else what it is missing from."""
    for end in range(len(path), 0, -1):
        key = ".".join(path[:end])
        inside = (origin for k, origin in origins.items() if k.startswith(f"{key}."))
        origin = next((o for o in inside if o != "default"), None) or origins.get(key)
        if origin:
            return origin
    return "default"
