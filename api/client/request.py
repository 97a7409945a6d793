"""A request and its answer, as values: nothing here sends anything."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import uuid4

MAX_KEY_CHARS = 255

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[R]):
    """What is asked for, and how its answer is read.

    Attributes:
        method: As in `GET`.
        path: Below the server's URL, with its query.
        read: Makes the result of the answer's document; None for an answer without one.
        body: JSON; None: there is none.
        headers: Those that belong to it.
        wait_seconds: How long the answer may wait for a task, or for the end of one; 0: not.
        repeatable: Whether it may be sent again when it is unknown whether it took effect: twice
            does the same as once.
        accepts: Statuses besides 2xx that have the document that was asked for.
    """

    method: str
    path: str
    read: Callable[[Any], R]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: int = 0
    repeatable: bool = False
    accepts: frozenset[int] = frozenset()

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    def is_answered_by(self, answer: "Answer") -> bool:
        """Return whether the answer has what was asked for."""
        return 200 <= answer.status < 300 or answer.status in self.accepts  # noqa: PLR2004

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, with those that say what its other members mean."""
        headers = dict(self.headers)
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.wait_seconds:
            headers["Prefer"] = f"wait={self.wait_seconds}"
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By their names in small letters.
        content: The body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Nothing came back.

    Attributes:
        why: A few words.
        was_sent: Whether the server may have got the request all the same.
    """

    why: str
    was_sent: bool


def get(
    path: str, read: Callable[[Any], R], query: Mapping[str, object] | None = None
) -> Request[R]:
    """Return a request that only looks."""
    return Request(method="GET", path=path + query_of(query or {}), read=read, repeatable=True)


def post(
    path: str,
    read: Callable[[Any], R],
    body: object = None,
    *,
    repeatable: bool,
    query: Mapping[str, object] | None = None,
) -> Request[R]:
    """Return a request that changes something."""
    return Request(
        method="POST",
        path=path + query_of(query or {}),
        read=read,
        body=None if body is None else json_of(body),
        repeatable=repeatable,
    )


def post_once(
    path: str, read: Callable[[Any], R], body: object, idempotency_key: str | None
) -> Request[R]:
    """Return a request that publishes; sent several times, it takes effect once.

    Args:
        path: Below the server's URL.
        read: Makes the result of the answer's document.
        body: The JSON value in its body.
        idempotency_key: What repetitions have in common; None: one that is drawn.

    Raises:
        ValueError: The key cannot be one.
    """
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not (is_visible(key) and 0 < len(key) <= MAX_KEY_CHARS):
        message = f"idempotency_key must be 1 to 255 visible ASCII characters, not {key[:300]!r}"
        raise ValueError(message)
    return Request(
        method="POST",
        path=path,
        read=read,
        body=json_of(body),
        headers={"Idempotency-Key": key},
        repeatable=True,
    )


def is_visible(text: str) -> bool:
    """Return whether a header can hold the text: visible ASCII characters, and no blanks."""
    return text.isascii() and text.isprintable() and " " not in text


def segment(name: str) -> str:
    """Return a name as a part of a path."""
    return quote(name, safe="")


def query_of(parameters: Mapping[str, object]) -> str:
    """Return a query with its `?`; empty if no parameter is given.

    `data` is a mapping of paths in a task's data to values: `{"user": 17}` becomes `data.user=17`.
    """
    given: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if name == "data" and isinstance(value, Mapping):
            given += [(f"data.{path}", json.dumps(member)) for path, member in value.items()]
        elif value is not None:
            given.append((name, _text(value)))
    return f"?{urlencode(given)}" if given else ""


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def json_of(value: object) -> bytes:
    """Return the value as JSON.

    Dataclasses, models of pydantic's, times, UUIDs and the like are written as pydantic does.

    Raises:
        TypeError: It cannot be written.
        ValueError: It holds a NaN or an infinity, which JSON has not.
    """
    return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    # Imported where it is needed: most data is plain, and a start is quicker without.
    from pydantic_core import PydanticSerializationError, to_jsonable_python  # noqa: PLC0415

    try:
        return to_jsonable_python(value)
    except PydanticSerializationError as error:
        message = f"a value of the type {type(value).__name__} cannot be written as JSON"
        raise TypeError(message) from error
