"""A form made of a JSON Schema, and the data that is read out of it again. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from task_queue.api.json_codec import InvalidJSONError, parse
from task_queue.api.ui.render import editable

DATA = "data"
"""What the names of all fields begin with, as the API names the members of a task's data."""
MAX_DEPTH = 4
"""How deep objects may be nested to be fields; what is deeper is written as JSON."""
LONG_CHARS = 200
"""A text that may be longer than this is given several lines."""

Schema = Mapping[str, Any] | bool
"""A JSON Schema: what must hold, or `true` for anything and `false` for nothing."""
Kind = Literal["text", "long", "number", "choice", "lines", "object", "json"]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_MEMBER = re.compile(r"[^A-Za-z0-9_.\[\]]")
_INDEX = re.compile(r"\[[0-9]*\]|\.$")
_WHOLE = re.compile(r"-?[0-9]+")
_SIMPLE = {"string", "number", "integer"}
_ABSENT: Any = object()


class NotJsonError(ValueError):
    """What was written into a field for JSON is none, or none that can be kept as it is.

    Attributes:
        name: The field's name.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form, or a group of them.

    Attributes:
        name: As in `data.size.width`.
        kind: `text` and `long` hold a text, `number` a number, `choice` one of the choices, `lines`
            a simple value a line, `object` further fields, `json` any JSON value.
        label: The member's name.
        hint: What its schema says of it.
        required: Whether it has to be given.
        choices: JSON values as text, and how each is shown.
        default: What holds if it is not given, as JSON; empty: nothing does.
        fields: Those of an object.
        is_text: Of `lines`: whether each line is a text.
    """

    name: str
    kind: Kind
    label: str
    hint: str = ""
    required: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    fields: tuple["Field", ...] = ()
    is_text: bool = False


def field_of(schema: Mapping[str, Any] | None) -> Field:
    """Return the field of all data: an object with a field for each member, or one for JSON.

    Args:
        schema: A JSON Schema; None: any object will do.
    """
    whole = Field(DATA, "json", DATA, required=True)
    if not schema:
        return whole
    found = _field(DATA, schema, schema.get("$defs", {}), required=True, depth=0)
    return found if found.kind == "object" else whole


def field_at(detail: str, names: Iterable[str]) -> str | None:
    """Return the field that an error of the API is about, which begins with the member's name.

    Args:
        detail: As in `data.sizes[0].width: is missing`.
        names: Of the fields there are; that of a group of members counts for each of them.
    """
    member = _INDEX.sub("", _NO_MEMBER.split(detail, maxsplit=1)[0])
    fitting = [name for name in names if f"{member}.".startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def names_of(field: Field) -> Iterator[str]:
    """Return the names of all fields in this one that can be filled in."""
    if field.kind != "object":
        yield field.name
    for each in field.fields:
        yield from names_of(each)


def data_of(field: Field, form: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the data that was written into a form; of an empty one `{}`.

    What is no number is passed on as a text: the API says what is wrong with it.

    Raises:
        NotJsonError: A field for JSON holds none.
    """
    value = _value(field, form)
    return {} if value is _ABSENT else value


def texts_of(field: Field, data: object) -> dict[str, str]:
    """Return what the form has to hold for this data, by the names of the fields."""
    texts: dict[str, str] = {}
    _write(field, data, texts)
    return texts


def fits(field: Field, data: object) -> bool:
    """Return whether the form can hold this data without a change."""
    try:
        return orjson.dumps(data_of(field, texts_of(field, data))) == orjson.dumps(data)
    except NotJsonError:
        return False


def number_in(text: str) -> object:
    """Return the number written; the text, if it is none, or a whole one beyond 64 bits."""
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    is_rounded = isinstance(value, float) and _WHOLE.fullmatch(text.strip())
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and not is_rounded else text


def _field(
    name: str,
    schema: Schema,
    defs: Mapping[str, Any],
    *,
    required: bool,
    depth: int,
) -> Field:
    schema, optional = _without_null(_resolved(schema, defs), defs)
    field = Field(
        name,
        "json",
        name.rpartition(".")[2],
        str(schema.get("description", "")),
        required and not optional,
        default=_json(schema["default"]) if schema.get("default") is not None else "",
    )
    return replace(field, **_shape(field, schema, defs, depth))


def _shape(
    field: Field, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    """Return what the type in the schema says of the field; nothing: it is one for JSON."""
    shape: dict[str, Any] = {}
    match {"type": "choice"} if _choices(schema) else schema:
        case {"type": "choice"}:
            shape = {"kind": "choice", "choices": _choices(schema)}
        case {"type": "boolean"}:
            shape = {"kind": "choice", "choices": (("true", "yes"), ("false", "no"))}
        case {"type": "string"}:
            long = schema.get("maxLength", 0) > LONG_CHARS
            shape = {"kind": "long" if long else "text", "hint": _hint(field, schema)}
        case {"type": "integer" | "number"}:
            shape = {"kind": "number", "hint": _hint(field, schema)}
        case {"type": "array"}:
            kind = _resolved(schema.get("items", {}), defs).get("type")
            if isinstance(kind, str) and kind in _SIMPLE:
                shape = {"kind": "lines", "is_text": kind == "string"}
        case {"type": "object"} if _has_plain_members(schema) and depth < MAX_DEPTH:
            needed = schema.get("required", ())
            fields = (
                _field(f"{field.name}.{key}", each, defs, required=key in needed, depth=depth + 1)
                for key, each in schema["properties"].items()
            )
            shape = {"kind": "object", "fields": tuple(fields)}
    return shape


def _resolved(schema: Schema, defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that this one refers to, with what it adds itself.

    Of `true` and `false` there is nothing that a field could show.
    """
    if isinstance(schema, bool):
        return {}
    match schema:
        case {"$ref": str(path)} | {"allOf": [{"$ref": str(path)}]}:
            target = _resolved(defs.get(path.removeprefix("#/$defs/"), True), {})
        case _:
            return schema
    own = {name: value for name, value in schema.items() if name not in {"$ref", "allOf"}}
    return {**target, **own}


def _without_null(
    schema: Mapping[str, Any], defs: Mapping[str, Any]
) -> tuple[Mapping[str, Any], bool]:
    """Return the schema of what is not null, and whether null will do, too."""
    match schema.get("anyOf"):
        case [one, {"type": "null"}] | [{"type": "null"}, one]:
            rest = {name: value for name, value in schema.items() if name != "anyOf"}
            return {**_resolved(one, defs), **rest}, True
    return schema, False


def _choices(schema: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return tuple((_json(each), each if isinstance(each, str) else _json(each)) for each in values)


def _has_plain_members(schema: Mapping[str, Any]) -> bool:
    """Return whether the object is no more than members by names that stand between points."""
    return (
        bool(schema.get("properties"))
        and all(_PLAIN_NAME.fullmatch(name) for name in schema["properties"])
        and not schema.keys() & {"anyOf", "oneOf", "allOf", "patternProperties"}
        and not schema.get("additionalProperties")
    )


def _hint(field: Field, schema: Mapping[str, Any]) -> str:
    """Return the description with the limits in words."""
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "format": "{}",
        "pattern": "as {}",
    }
    limits = [text.format(schema[name]) for name, text in words.items() if name in schema]
    if schema.get("type") == "integer":
        limits.insert(0, "a whole number")
    said = ", ".join(limits)
    return " ".join(filter(None, (field.hint, said and f"{said[0].upper()}{said[1:]}.")))


def _value(field: Field, form: Mapping[str, str]) -> Any:  # noqa: ANN401
    if field.kind == "object":
        values = {each.label: _value(each, form) for each in field.fields}
        given = {name: value for name, value in values.items() if value is not _ABSENT}
        return given if given or field.required else _ABSENT
    text = form.get(field.name, "").replace("\r\n", "\n")
    if field.kind in {"text", "long"}:
        return text if text or field.required else _ABSENT
    if not text.strip():
        return [] if field.kind == "lines" and field.required else _ABSENT
    match field.kind:
        case "lines":
            lines = [line for line in text.split("\n") if line.strip()]
            return lines if field.is_text else [number_in(line) for line in lines]
        case "number":
            return number_in(text)
        case _:
            try:
                return parse(text.encode(), "this")
            except InvalidJSONError as error:
                raise NotJsonError(field.name, str(error)) from error


def _write(field: Field, value: object, texts: dict[str, str]) -> None:
    match field.kind, value:
        case "object", dict():
            for each in field.fields:
                if each.label in value:
                    _write(each, value[each.label], texts)
        case "text" | "long", str():
            texts[field.name] = value
        case "lines", list():
            texts[field.name] = "\n".join(
                each if isinstance(each, str) else _json(each) for each in value
            )
        case "json", _:
            texts[field.name] = editable(value)
        case _:
            texts[field.name] = _json(value)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
