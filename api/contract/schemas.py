"""JSON Schemas of models, with the words of their docstrings, and true to what is checked."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from task_queue.actors.actions.plain import INTEGERS
from task_queue.config.reference import descriptions

Schema = dict[str, Any]

COMPONENTS = "#/components/schemas/"
"""Where the description has the schemas that have a name."""
NO_NUL = "^[^\\u0000]*$"
"""What all strings of requests match: no database holds the NUL character."""

_ATTRIBUTES = re.compile(r"^Attributes:\n(.*)", re.DOTALL | re.MULTILINE)
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class _Described(GenerateJsonSchema):
    """Makes schemas with the docstrings' words, and without what only repeats a name."""

    def field_title_should_be_set(self, _schema: object) -> bool:
        """Set no titles: they repeat the names."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave out defaults that only say that the member may be missing."""
        made = super().default_schema(schema)
        if made.get("default") in (None, [], ()):
            made.pop("default", None)
        return made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model, described by its docstring."""
        made = super().model_schema(schema)
        made.pop("title", None)
        model: type[BaseModel] = schema["cls"]
        made["description"] = (inspect.getdoc(model) or "").partition("\n\n")[0].replace("\n", " ")
        texts = _texts(model)
        for name, member in made.get("properties", {}).items():
            if name in texts:
                member["description"] = texts[name]
        return made


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings, or the strings below the fields, say of each member."""
    texts = dict(descriptions(model))
    for each in reversed(model.__mro__):
        listed = _ATTRIBUTES.search(inspect.cleandoc(each.__doc__ or ""))
        texts |= dict(_ATTRIBUTE.findall(listed[1])) if listed else {}
    # An alias is how the member is called outside.
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    return {names.get(name, name): " ".join(text.split()) for name, text in texts.items()}


def named_schemas(
    models: Iterable[type[BaseModel]], of: Literal["requests", "answers"]
) -> dict[str, Schema]:
    """Return the schemas of models and of all that they hold, by name.

    Args:
        models: The models.
        of: What they are the documents of.
    """
    # What is answered has all its members; its models hold a default where one may be missing.
    wanted = [(model, "validation") for model in dict.fromkeys(models)]
    generator = _Described if of == "requests" else _OfAnswers
    _, found = models_json_schema(
        wanted,  # type: ignore[arg-type] # it is a literal
        ref_template=f"{COMPONENTS}{{model}}",
        schema_generator=generator,
    )
    made: dict[str, Schema] = found.get("$defs", {})
    return {name: without_nul(each) for name, each in made.items()} if of == "requests" else made


class _OfAnswers(_Described):
    """Makes the schemas of answers, in which a default means only that a member may be missing."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave out the default."""
        made = super().default_schema(schema)
        made.pop("default", None)
        return made


def without_nul(schema: Any) -> Any:  # noqa: ANN401 - a schema, or a part of one
    """Return the schema with what bounds all JSON that is taken: its strings and its integers."""
    match schema:
        case {"type": "string"} if schema.keys().isdisjoint({"pattern", "enum", "const", "format"}):
            return {**schema, "pattern": NO_NUL}
        case {"type": "object"} if schema.keys() <= {"type", "additionalProperties", "description"}:
            return schema | _ANY
        case {"description": str(text)} if len(schema) == 1:  # any value
            return {"description": text, "$ref": f"{COMPONENTS}Json"}
        case {"additionalProperties": True}:
            rest = {name: each for name, each in schema.items() if name != "additionalProperties"}
            return without_nul(rest) | _ANY
        case dict():
            schema = {name: without_nul(each) for name, each in schema.items()}
        case list():
            schema = [without_nul(each) for each in schema]
    return schema


_ANY: Mapping[str, Any] = {
    "propertyNames": {"pattern": NO_NUL},
    "additionalProperties": {"$ref": f"{COMPONENTS}Json"},
}
"""What holds of the members of an object that can have any."""

JSON: Mapping[str, Any] = {
    "description": "Any JSON: without the NUL character in strings, integers of 64 bits, and at"
    " most 100 levels.",
    # All of it below `if`: generators of clients, of which few know types that hold themselves,
    # take the whole for any value. One that looks for `items` takes it for a list.
    "if": {"type": "integer"},
    "then": {"minimum": INTEGERS.start, "maximum": INTEGERS.stop - 1},
    "else": {
        "if": {"type": "array"},
        "then": {"items": {"$ref": f"{COMPONENTS}Json"}},
        "else": {"if": {"type": "object"}, "then": _ANY, "else": {"pattern": NO_NUL}},
    },
}
"""The schema of whatever may be in the data of a task."""
