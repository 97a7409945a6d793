"""An operation of the HTTP API: one method of one path, and all that is promised of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import falcon
from pydantic import BaseModel

from task_queue.api.auth.scopes import Scope
from task_queue.api.responses.problems import Problem

METHODS_LIKE = {"HEAD": "GET"}
"""The methods that are answered as another one is (RFC 9110, section 9.3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Header:
    """A header of a request or of an answer.

    Attributes:
        name: As it is written.
        description: What it says.
        schema: The JSON Schema of its value.
        example: A value.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a status means, of those that are no problem.

    Attributes:
        description: When it is answered, and with what.
        model: The model of the document, or several if it is one of them; None: there is no body.
            Clients take the first that fits, so one that has all members of another goes before.
        headers: Those that it may have besides `X-Request-ID`.
        media_types: What the document is; several where the request says which.
    """

    description: str
    model: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    headers: tuple[Header, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """The models that the document can have."""
        if self.model is None:
            return ()
        return self.model if isinstance(self.model, tuple) else (self.model,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A request that a test sends.

    Attributes:
        status: How it is answered.
        path: The parameters of the path, by name; a test puts a task that there is for `task_id`.
        query: The query, by name.
        body: The JSON value in the body.
        headers: By name.
    """

    status: HTTPStatus = HTTPStatus.OK
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In capitals. `GET` stands for `HEAD`, too.
        path: The path as the router has it, as in `/tasks/{task_id}`.
        operation_id: Its name, which clients that are generated call it by.
        summary: What it does, in a line.
        description: What else there is to know; Markdown.
        tag: The group it is shown in.
        resource: Whose responder answers it.
        suffix: The suffix of that responder, if it has one: `on_post_cancel`.
        scope: What a key has to be allowed; None: it is open to everybody.
        query: The model that the query is checked with; None: it takes none.
        body: The model that the body is checked with; None: it takes none.
        other_bodies: Models of bodies in other media types than JSON's, which they describe.
        headers: The headers it looks at, besides `X-Request-ID` and those of HTTP itself.
        answers: By status, those that are no problem.
        problems: Those it can be answered with, besides what every request may meet.
        example: A request that a test sends.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    description: str = ""
    tag: str
    resource: type
    suffix: str | None = None
    scope: Scope | None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    other_bodies: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    answers: Mapping[HTTPStatus, Answered]
    problems: tuple[Problem, ...] = ()
    example: Example = field(default_factory=Example)

    @property
    def is_recorded(self) -> bool:
        """Whether the audit log has an entry of each request."""
        return self.scope is Scope.OPERATE or self.scope is Scope.ADMIN


def may_be_empty(body: type[BaseModel]) -> bool:
    """Return whether an empty body counts as `{}`: no member is required."""
    return not any(field.is_required() for field in body.model_fields.values())


def opened(operations: Iterable[Operation], *names: str) -> tuple[Operation, ...]:
    """Return the operations, of which those with these names are open to everybody."""
    return tuple(
        replace(each, scope=None) if each.operation_id in names else each for each in operations
    )


class Operations:
    """All operations; finds that of a request once the router has found its path.

    Attributes:
        open_paths: The paths that take no key.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_route = {(each.path, each.method): each for each in operations}
        closed = {path for (path, _), each in self._by_route.items() if each.scope is not None}
        self.open_paths = frozenset(path for path, _ in self._by_route) - closed

    def of(self, req: falcon.Request) -> Operation | None:
        """Return the operation; None if the path does not take the method, or it is `OPTIONS`.

        To be called from `process_resource` on; it costs one look into a dictionary.
        """
        method = METHODS_LIKE.get(req.method, req.method)
        return self._by_route.get((req.uri_template or "", method))
