"""Events as publishes (CloudEvents 1.0): `POST /tasks` takes them in structured and binary mode.

An event's `type` names the action, its `data` is the task's, and `id` and `source` together make a
repetition of it the same request. Of the other attributes only `partitionkey` (the task's key),
`queue`, `traceparent` and `tracestate` mean anything here; all others are let pass, whatever they
are, as the specification asks.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import falcon
import orjson

from task_queue.actors.tasks.conditions import EVENT
from task_queue.actors.tasks.text import named, shown
from task_queue.actors.tasks.trace import Trace, trace_of
from task_queue.api.json_codec import is_json_type, read_json
from task_queue.api.requests.bodies import MAX_KEY_CHARS
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.names import MAX_NAME_CHARS, NAME_RULE, is_name

STRUCTURED = "application/cloudevents+json"
"""The media type of an event in structured mode."""
VERSION = "1.0"

_EVENTS = "application/cloudevents"
_REQUIRED = ("specversion", "id", "source", "type")
_HEADER = "HTTP_CE_"
_VERSION_HEADER = f"{_HEADER}SPECVERSION"
_READ = (*_REQUIRED, "partitionkey", "queue", "traceparent", "tracestate")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Event(NamedTuple):
    """What an event publishes.

    Attributes:
        value: The body of a publish.
        name: What identifies the event, which no `Idempotency-Key` can be.
        trace: The trace that the event names, if it does.
    """

    value: dict[str, Any]
    name: str
    trace: Trace | None


def event_in(req: falcon.Request) -> Event | None:
    """Return the event in a request; None: it holds none.

    Raises:
        InvalidRequestError: It holds one that cannot be a publish.
    """
    content_type = req.content_type or ""
    if content_type[: len(_EVENTS)].lower() == _EVENTS:
        if content_type.partition(";")[0].strip().lower() != STRUCTURED:
            message = f"an event must be sent as {STRUCTURED}, one at a time, or in binary mode"
            raise InvalidRequestError(message, problem=problems.UNSUPPORTED_MEDIA_TYPE)
        attributes = read_json(req, any_json=True)
        if not isinstance(attributes, dict):
            message = "the body must be a JSON object"
            raise InvalidRequestError("invalid JSON", message, problems.INVALID_JSON)
        return _published(attributes, _data_of(attributes))
    if _VERSION_HEADER in req.env:
        found = {name: _decoded(req.env, name) for name in _READ}
        attributes = {name: text for name, text in found.items() if text is not None}
        return _published(attributes, read_json(req, any_json=True) if req.content_length else None)
    return None


def _published(attributes: Mapping[str, Any], data: object) -> Event:
    """Return what an event with these attributes publishes."""
    if missing := [name for name in _REQUIRED if attributes.get(name) is None]:
        needed = f"an event needs {', '.join(_REQUIRED)}"
        raise InvalidRequestError(f"{' and '.join(missing)} must be given; {needed}")
    specversion, event_id, source, action = (_text(attributes, name) for name in _REQUIRED)
    if specversion != VERSION:
        raise InvalidRequestError(f"specversion must be {VERSION}, not {shown(specversion)}")
    if not is_name(action):
        message = f"type is the name of an action, which {NAME_RULE}, not {shown(action)}"
        raise InvalidRequestError(message)
    if data is not None and not isinstance(data, dict):
        raise InvalidRequestError(f"data must be a JSON object, not {shown(data)}")
    value = {"action": action, "data": {} if data is None else data}
    for attribute, member, most in (
        ("partitionkey", "key", MAX_KEY_CHARS),
        ("queue", "queue", MAX_NAME_CHARS),
    ):
        if attributes.get(attribute) is not None:
            text = value[member] = _text(attributes, attribute)
            if len(text) > most:
                message = f"{attribute} must have at most {most} characters, not {len(text)}"
                raise InvalidRequestError(message)
    # Of any length, so a digest.
    digest = sha256(orjson.dumps([source, event_id])).hexdigest()
    trace = trace_of(attributes.get("traceparent"), attributes.get("tracestate"))
    return Event(value, f"{EVENT}{digest}", trace)


def _data_of(attributes: Mapping[str, Any]) -> object:
    """Return the data of an event in structured mode.

    Raises:
        InvalidRequestError: It is not JSON.
    """
    if attributes.get("data_base64") is not None:
        message = "data_base64 is not taken: data must be a JSON object, in the member data"
        raise InvalidRequestError(message)
    kind = attributes.get("datacontenttype")
    if kind is not None and not (isinstance(kind, str) and is_json_type(kind)):
        message = f"datacontenttype must be a type of JSON, as application/json, not {shown(kind)}"
        raise InvalidRequestError(message)
    return attributes.get("data")


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes[name]
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a string, not {shown(value)}")
    if not value:
        raise InvalidRequestError(f"{name} must not be empty")
    if _CONTROL.search(value):  # which the type String of CloudEvents does not have
        raise InvalidRequestError(f"{name} must have no control characters, not {shown(value)}")
    return value


def _decoded(env: Mapping[str, Any], name: str) -> str | None:
    """Return an attribute in a header (HTTP Protocol Binding 1.0.2, section 3.1.3.2).

    Raises:
        InvalidRequestError: It is not UTF-8.
    """
    if (header := env.get(f"{_HEADER}{name.upper()}")) is None:
        return None
    text: str = header.strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        text = _ESCAPED.sub(r"\1", quoted[1])
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        message = f"ce-{name} must be UTF-8, each byte beyond ASCII as % and two digits"
        raise InvalidRequestError(message, f"{message}, not {named(text)}") from None
