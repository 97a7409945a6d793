"""The description of the HTTP API as OpenAPI 3.1, made of the operations that the server serves."""

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from task_queue.api.contract import headers
from task_queue.api.contract.documents.problem import ProblemDocument
from task_queue.api.contract.offers import Offers
from task_queue.api.contract.operation import Answered, Header, Operation, may_be_empty
from task_queue.api.contract.schemas import COMPONENTS, JSON, Schema, named_schemas
from task_queue.api.responses import problems
from task_queue.api.responses.errors import PROBLEM_TYPE, document
from task_queue.api.responses.problems import PROBLEMS, Problem
from task_queue.api.responses.urls import url
from task_queue.config.names import NAME_PATTERN

INTRODUCTION = """
Publish a task and it is on disk; consumers run it in the background.

All bodies are JSON. Each path that takes `GET` takes `HEAD` as well, and all take `OPTIONS`.
An optional member that is null counts as not given. Every error is a problem document (RFC 9457),
whose `type` leads to what it means and what to do.
"""
TAGS = {
    "Tasks": "Publish tasks, look at them, change their fate.",
    "Dead letters": "Tasks that failed for good.",
    "Workers": "Programs in any language that do the tasks of external actions.",
    "Queues": "What tasks wait on.",
    "Nodes": "Who works.",
    "Schedules": "What is published at set times.",
    "Actions": "What tasks can do.",
    "Audit": "Who has done what.",
    "Health": "How the service is.",
    "Description": "This description.",
}
"""The groups of operations, in the order in which they are shown."""

_PATH_PARAMETERS: dict[str, tuple[str, Schema]] = {
    "task_id": ("The task's id, a UUID.", {"type": "string", "format": "uuid"}),
    "lease": (
        "The lease, as it was given.",
        {"type": "string", "pattern": "^[0-9a-f-]{36}\\.[0-9a-f]{16}$"},
    ),
    "name": ("Its name.", {"type": "string", "pattern": f"^{NAME_PATTERN}$"}),
}
_OF_ALL = (
    problems.MALFORMED_REQUEST,
    problems.REQUEST_TIMEOUT,
    problems.BODY_TOO_LONG,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.EXPECTATION_FAILED,
    problems.UNKNOWN_HOST,
    problems.HEADERS_TOO_LONG,
    problems.INTERNAL_ERROR,
    problems.NOT_IMPLEMENTED,
    problems.VERSION_NOT_SUPPORTED,
)
"""What every request may meet before an operation looks at it."""
_OF_KEYS = (
    problems.KEY_NEEDED,
    problems.SCOPE_MISSING,
    problems.TOO_MANY_REQUESTS,
    problems.DATABASE_UNAVAILABLE,
)
"""What a request with a key, or one that needs one, may meet besides."""
_PARAMETER = re.compile(r"\{(\w+)\}")


def problems_of(operation: Operation) -> list[Problem]:
    """Return all problems that the operation can be answered with, in the registry's order."""
    met = {*operation.problems, *_OF_ALL}
    if operation.scope is not None:
        met |= {*_OF_KEYS}
    if operation.method != "GET" or operation.is_recorded:
        met.add(problems.FOREIGN_ORIGIN)
    if _PARAMETER.search(operation.path):
        met.add(problems.NOT_FOUND)  # a name with a slash in it is another path
    return [each for each in PROBLEMS.values() if each in met]


def describe(
    operations: Sequence[Operation], version: str, offers: Offers | None, *, needs_key: bool
) -> dict[str, Any]:
    """Return the description, as JSON has it.

    Args:
        operations: All of them.
        version: The version of the service.
        offers: What publishes can ask for; None: it is not to be told.
        needs_key: Whether operations with a scope are closed to those who have no key.
    """
    paths: dict[str, Schema] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, needs_key=needs_key)
    tags = dict.fromkeys(each.tag for each in operations)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Task Queue",
            "version": version,
            "description": INTRODUCTION.strip(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": url("") or "/"}],
        "tags": [{"name": name, "description": TAGS[name]} for name in TAGS if name in tags],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations, offers),
            "headers": {each.name: _of_header(each) for each in _shown_headers(operations)},
            "responses": {
                each.slug: _response(None, [each], each.status) for each in PROBLEMS.values()
            },
            "examples": {each.slug: _example_of(each) for each in PROBLEMS.values()},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key that `task-queue keys create` has shown. The words beside"
                    " it are the scopes, of which it must have the one named.",
                }
            },
        },
    }


def _schemas(operations: Iterable[Operation], offers: Offers | None) -> dict[str, Schema]:
    bodies = [each.body for each in operations if each.body is not None]
    bodies += [model for each in operations for model in each.other_bodies.values()]
    shown = [
        model
        for each in operations
        for answered in each.answers.values()
        for model in answered.models
    ]
    schemas = {
        **named_schemas([*shown, ProblemDocument], "answers"),
        **named_schemas(bodies, "requests"),
    }
    # No enumeration: clients would refuse a problem that a later version adds, and all of them
    # behind a proxy that puts a prefix before the path.
    schemas["ProblemDocument"]["properties"]["type"] |= {
        "format": "uri-reference",
        "pattern": "/docs#[a-z0-9-]+$",
        "examples": [each.type for each in PROBLEMS.values()],
    }
    task = schemas["ScheduleBody"]["properties"]["task"]
    schemas["ScheduleBody"]["properties"]["task"] = {
        "description": task["description"],
        "allOf": [{"$ref": f"{COMPONENTS}PublishBody"}],
        "properties": {"run_at": {"type": "null"}, "expires_at": {"type": "null"}},
    }
    if offers is not None:
        offers.add_to(schemas)
    return dict(sorted(schemas.items())) | {"Json": dict(JSON)}


def _operation(operation: Operation, *, needs_key: bool) -> Schema:
    made: Schema = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        made["description"] = operation.description
    made["parameters"] = [*_parameters(operation)]
    if operation.body is not None:
        content: Schema = {"schema": {"$ref": f"{COMPONENTS}{operation.body.__name__}"}}
        if operation.example.body is not None:
            content["example"] = operation.example.body
        others = {
            media_type: {"schema": {"$ref": f"{COMPONENTS}{model.__name__}"}}
            for media_type, model in operation.other_bodies.items()
        }
        # Where one of several members is required, an empty body is read, but refused.
        selects = "anyOf" in operation.body.model_json_schema()
        made["requestBody"] = {
            "required": selects or not may_be_empty(operation.body),
            "content": {"application/json": content, **others},
        }
    made["responses"] = dict(sorted(_responses(operation)))
    if operation.scope is not None:
        with_key = {"key": [operation.scope.value]}
        made["security"] = [with_key] if needs_key else [{}, with_key]
    else:
        made["security"] = []
    return made


def _parameters(operation: Operation) -> Iterator[Schema]:
    for name in _PARAMETER.findall(operation.path):
        text, schema = _PATH_PARAMETERS[name]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": text,
            "schema": schema,
            "example": operation.example.path[name],
        }
    if operation.query is not None:
        yield from _query(operation)
    for header in (*operation.headers, headers.REQUEST_ID_GIVEN):
        yield {"name": header.name, "in": "header", **_of_header(header)}


def _query(operation: Operation) -> Iterator[Schema]:
    """Yield the parameters of the query, as its model has them."""
    assert operation.query is not None  # noqa: S101 - see `_parameters`
    model = named_schemas([operation.query], "requests")[operation.query.__name__]
    for name, member in model["properties"].items():
        schema = {key: each for key, each in member.items() if key != "description"}
        # What is not given is left out: a query has no null.
        others = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
        if len(others) == 1:
            schema = {key: each for key, each in schema.items() if key != "anyOf"} | others[0]
        made = {"name": name, "in": "query", "description": member["description"]}
        if schema.get("type") == "array":
            made |= {"style": "form", "explode": False}
        elif schema.get("type") == "object":  # each of its members is a parameter
            made |= {"style": "form", "explode": True}
        if name in operation.example.query:
            example: Any = operation.example.query[name]
            kind = schema.get("type")
            example = int(example) if kind == "integer" else example
            made["example"] = example.split(",") if kind == "array" else example
        yield {**made, "schema": schema}


def _shown_headers(operations: Iterable[Operation]) -> dict[Header, None]:
    """Return the headers that answers may have."""
    of_answers = [
        header
        for each in operations
        for answered in each.answers.values()
        for header in answered.headers
    ]
    of_problems = [header for each in _HEADERS.values() for header in each]
    return dict.fromkeys((*headers.OF_ALL, *of_answers, *of_problems))


def _of_header(header: Header) -> Schema:
    return {
        "description": header.description,
        "schema": dict(header.schema),
        "example": header.example,
    }


def _responses(operation: Operation) -> Iterator[tuple[str, Schema]]:
    """Yield what each status means; one that stands for problems too has both documents."""
    found = problems_of(operation)
    for status in {*operation.answers, *(each.status for each in found)}:
        answered = operation.answers.get(status)
        kinds = [each for each in found if each.status is status]
        if answered is None and len(kinds) == 1:
            yield str(status.value), {"$ref": f"#/components/responses/{kinds[0].slug}"}
        else:
            yield str(status.value), _response(answered, kinds, status)


def _response(answered: Answered | None, kinds: Sequence[Problem], status: HTTPStatus) -> Schema:
    texts = [answered.description] if answered else []
    texts += [f"[{each.title}]({each.type})." for each in kinds]
    content: Schema = {}
    if answered and answered.models:
        refs = [{"$ref": f"{COMPONENTS}{model.__name__}"} for model in answered.models]
        schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
        content |= {kind: {"schema": schema} for kind in answered.media_types}
    elif answered and status is not HTTPStatus.NO_CONTENT:
        content |= {kind: {} for kind in answered.media_types}
    if kinds:
        content[PROBLEM_TYPE] = {
            "schema": {"$ref": f"{COMPONENTS}ProblemDocument"},
            "examples": {
                each.slug: {"$ref": f"#/components/examples/{each.slug}"} for each in kinds
            },
        }
    response: Schema = {
        "description": " ".join(texts),
        "headers": {
            name: {"$ref": f"#/components/headers/{name}"}
            for name in sorted(each.name for each in _headers_of(answered, kinds, status))
        },
    }
    return {**response, "content": content} if content else response


def shown_headers_of(operation: Operation, status: int) -> set[Header]:
    """Return the headers that the operation's answers with this status may have."""
    known = HTTPStatus(status)
    kinds = [each for each in problems_of(operation) if each.status is known]
    return _headers_of(operation.answers.get(known), kinds, known)


def _headers_of(
    answered: Answered | None, kinds: Sequence[Problem], status: HTTPStatus
) -> set[Header]:
    of_problems = _HEADERS.get(status, ()) if kinds else ()
    return {*headers.OF_ALL, *(answered.headers if answered else ()), *of_problems}


_HEADERS = {
    HTTPStatus.UNAUTHORIZED: (headers.WWW_AUTHENTICATE,),
    HTTPStatus.FORBIDDEN: (headers.WWW_AUTHENTICATE,),
    HTTPStatus.CONFLICT: (headers.RETRY_AFTER,),
    HTTPStatus.TOO_MANY_REQUESTS: (headers.RETRY_AFTER,),
    HTTPStatus.SERVICE_UNAVAILABLE: (headers.RETRY_AFTER,),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (headers.ACCEPT_ENCODING,),
}
"""What problem documents may have besides those of all answers, by status."""


def _example_of(problem: Problem) -> Schema:
    error = problem.errors[0] if problem.errors else problem.meaning
    return {"summary": problem.title, "value": document(problem, error, problem.meaning)}
