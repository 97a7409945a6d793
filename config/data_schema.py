"""The JSON Schema that the data of an external action is checked with.

By `jsonschema` (draft 2020-12), with some parts of it replaced or left out, as data comes from
anybody and a publish must not hang. Patterns are matched in linear time, by the expressions of Rust
that pydantic has. Items are compared by their text. `unevaluatedItems` and `unevaluatedProperties`,
which take much more than linear time, are not known. A check that takes too long, as where a schema
refers to itself in several ways, is ended. What a `$ref` names is looked for in the schema itself,
and fetched from nowhere.
"""
# ruff: noqa: ANN401 - JSON values, and the library's own classes, can be anything

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import orjson
import referencing
from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from task_queue.config.problems import way_to

MAX_SHOWN_CHARS = 60
"""What an error shows of a value."""
MAX_PATH_CHARS = 200
"""And of its path."""
CHECK_SECONDS = 1.0
"""How much time of the processor one check may take; that of a kilobyte takes a tenth of a
millisecond."""

_NOT_KNOWN = ("unevaluatedItems", "unevaluatedProperties")
_Check = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]
_PHRASES: Mapping[str, str] = {
    "type": "must be of type {limit}, not {value}",
    "enum": "must be one of {limit}, not {value}",
    "const": "must be {limit}, not {value}",
    "minimum": "must be at least {limit}, not {value}",
    "exclusiveMinimum": "must be more than {limit}, not {value}",
    "maximum": "must be at most {limit}, not {value}",
    "exclusiveMaximum": "must be less than {limit}, not {value}",
    "multipleOf": "must be a multiple of {limit}, not {value}",
    "minLength": "must have at least {limit} characters, not {count}",
    "maxLength": "must have at most {limit} characters, not {count}",
    "minItems": "must have at least {limit} items, not {count}",
    "maxItems": "must have at most {limit} items, not {count}",
    "minProperties": "must have at least {limit} members, not {count}",
    "maxProperties": "must have at most {limit} members, not {count}",
    "uniqueItems": "must have no item twice",
    "pattern": "must match the pattern {limit}, not {value}",
}
"""What is wrong with a value, by the schema's keyword."""


class WrongSchemaError(ValueError):
    """The schema cannot be used; the text is a clause that says why."""


class _TooLongError(Exception):
    pass


class DataSchema:
    """A schema, ready to check data; for any thread."""

    def __init__(
        self, schema: Mapping[str, Any], processor_time: Callable[[], float] = time.thread_time
    ) -> None:
        """Accept a schema.

        Args:
            schema: The JSON Schema.
            processor_time: Seconds that the present thread has used.

        Raises:
            WrongSchemaError: It is none, or asks for what is not known here.
        """
        self._processor_time = processor_time
        self._patterns: dict[str, SchemaValidator] = {}
        self._present = threading.local()  # when the present check has to end
        self._looked_at: set[int] = set()  # parts of the schema, by their ids
        _check_is_schema(schema, "it")
        resource = referencing.Resource.from_contents(schema, default_specification=DRAFT202012)
        registry: referencing.Registry[Any] = referencing.Registry()
        self._look_through(resource, registry.resolver_with_root(resource))
        made = validators.extend(Draft202012Validator, self._keywords())  # type: ignore[no-untyped-call]
        self._validator = made(schema, registry=registry)
        try:
            next(self._errors({}), None)
        except RecursionError:
            raise WrongSchemaError("it refers to itself without end") from None

    def problem(self, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return what is wrong with the data: a member's path, and a clause; None: nothing.

        Args:
            data: A JSON object.
        """
        try:
            error = next(self._errors(data), None)
        except _TooLongError:
            return "data", f"takes more than {CHECK_SECONDS:g} s to check"
        except RecursionError:
            return "data", "is nested too deeply to check, or the schema refers to itself for ever"
        return None if error is None else _told(error)

    def _look_through(self, resource: Any, resolver: Any) -> None:
        """Accept a part of the schema and all parts of that."""
        part = resource.contents
        if not isinstance(part, Mapping) or id(part) in self._looked_at:
            return
        self._looked_at.add(id(part))
        for keyword in _NOT_KNOWN:
            if keyword in part:
                raise WrongSchemaError(f"{keyword} is not known here; use additionalProperties")
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(target := part.get(keyword), str):
                try:
                    found = resolver.lookup(target)
                except Unresolvable:
                    message = f"{keyword} {_shown(target)} is not in it, and is not fetched"
                    raise WrongSchemaError(message) from None
                # It may be where the specification has no schemas: nothing else gets there.
                _check_is_schema(found.contents, _shown(target))
                self._look_through(DRAFT202012.create_resource(found.contents), found.resolver)
        patterns = part.get("patternProperties", {})
        for pattern in (*patterns, *([part["pattern"]] if "pattern" in part else ())):
            self._patterns[pattern] = _compiled(pattern)
        for each in resource.subresources():
            self._look_through(each, resolver.in_subresource(each))

    def _errors(self, data: Mapping[str, Any]) -> Iterator[ValidationError]:
        self._present.ends_at = self._processor_time() + CHECK_SECONDS
        errors: Iterator[ValidationError] = self._validator.iter_errors(data)
        return errors

    def _keywords(self) -> dict[str, _Check]:
        """Return what checks each keyword, in time."""

        def in_time(check: _Check) -> _Check:
            def checked(validator: Any, limit: Any, value: Any, schema: Any) -> Any:
                if self._processor_time() > self._present.ends_at:
                    raise _TooLongError
                return check(validator, limit, value, schema)

            return checked

        own: dict[str, _Check] = {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "uniqueItems": _unique_items,
        }
        return {
            keyword: in_time(own.get(keyword) or check)
            for keyword, check in Draft202012Validator.VALIDATORS.items()
            if check is not None
        }

    def _matches(self, pattern: str, text: str) -> bool:
        return self._patterns[pattern].isinstance_python(text)

    def _pattern(
        self,
        _validator: Any,
        pattern: str,
        value: Any,
        _schema: Any,
    ) -> Iterator[ValidationError]:
        if isinstance(value, str) and not self._matches(pattern, value):
            yield ValidationError("")

    def _pattern_properties(
        self,
        validator: Any,
        patterns: Mapping[str, Any],
        value: Any,
        _schema: Any,
    ) -> Iterator[ValidationError]:
        if isinstance(value, dict):
            for pattern, schema in patterns.items():
                for name, each in value.items():
                    if self._matches(pattern, name):
                        yield from validator.descend(each, schema, path=name, schema_path=pattern)

    def _additional_properties(
        self,
        validator: Any,
        limit: Any,
        value: Any,
        schema: Mapping[str, Any],
    ) -> Iterator[ValidationError]:
        if not isinstance(value, dict):
            return
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, each in value.items():
            if name not in known and not any(self._matches(one, name) for one in patterns):
                if limit is False:
                    yield ValidationError("", path=[name])
                else:
                    yield from validator.descend(each, limit, path=name)


def _check_is_schema(part: Any, name: str) -> None:
    """Accept what is a schema in itself.

    Args:
        part: What is to be one.
        name: What it is called, where it is wrong as a whole.

    Raises:
        WrongSchemaError: It is none.
    """
    try:
        Draft202012Validator.check_schema(part)
    except SchemaError as error:
        where = way_to(map(str, error.absolute_path), "")
        raise WrongSchemaError(f"{where or name}: {error.message}") from None


def _compiled(pattern: str) -> SchemaValidator:
    """Return what matches the pattern in linear time.

    Raises:
        WrongSchemaError: It is no expression, or one that can only be matched by trying.
    """
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except PatternError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise WrongSchemaError(f"the pattern {_shown(pattern)} cannot be used: {reason}") from None


def _unique_items(
    _validator: Any,
    limit: Any,
    value: Any,
    _schema: Any,
) -> Iterator[ValidationError]:
    if limit and isinstance(value, list):
        texts = {orjson.dumps(_as_compared(each), option=orjson.OPT_SORT_KEYS) for each in value}
        if len(texts) < len(value):
            yield ValidationError("")


def _as_compared(value: Any) -> Any:
    """Return the value with whole numbers in one form: 1 and 1.0 are the same."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_as_compared(each) for each in value]
    if isinstance(value, dict):
        return {name: _as_compared(each) for name, each in value.items()}
    return value


def _told(error: ValidationError) -> tuple[str, str]:
    """Return where the data is wrong, and how."""
    member = _cut(way_to(error.absolute_path, "data"))
    keyword, value = str(error.validator), error.instance
    limit: Any = error.validator_value
    if keyword == "required":
        missing = next(name for name in limit if name not in cast("dict[str, Any]", value))
        return _cut(f"{member}.{missing}"), "is missing"
    if keyword == "additionalProperties":
        return member, "is not known"
    if keyword == "None":  # of the schema `false`
        return member, "holds what the schema does not allow at all"
    count = len(value) if isinstance(value, str | list | dict) else 0
    phrase = _PHRASES.get(keyword, "does not meet {keyword} of the schema: {limit}")
    said = phrase.format(keyword=keyword, limit=_shown(limit), value=_shown(value), count=count)
    return member, said


def _shown(value: Any) -> str:
    return _cut(json.dumps(value), MAX_SHOWN_CHARS)


def _cut(text: str, longest: int = MAX_PATH_CHARS) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
