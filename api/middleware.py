"""What every request gets or has to pass: an id, one URL for each thing, no query in vain."""

import re

import falcon
from structlog.contextvars import bind_contextvars, clear_contextvars
from uuid_utils import uuid7

from task_queue.actors.tasks.text import cut, named
from task_queue.api import request_trace
from task_queue.api.auth.sessions import DASHBOARD
from task_queue.api.contract.operation import Operations
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.urls import url

REQUEST_ID_HEADER = "X-Request-ID"

_valid = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


def request_id(given: str | None) -> str:
    """Return the caller's id, if it is valid, or a new one."""
    return given if given and _valid.fullmatch(given) else str(uuid7())


class OneUrl:
    """Refuses a URL that is nearly one of ours, and a query where none is taken.

    So each thing has one URL, and a parameter that would have no effect does not pass unseen. A
    resource whose operation has a model of its query checks it itself.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Refuse slashes that the router would overlook, or take for an empty name."""
        # Of several slashes at the beginning the server's path has one.
        begins_twice = req.env.get("REQUEST_URI", "").startswith("//")
        path = f"/{req.path}" if begins_twice else req.path
        if path not in {"/", DASHBOARD} and (path.endswith("/") or "//" in path):
            there = cut(url(path))
            message = f"there is no {there}; URLs have single slashes, and none at the end"
            raise InvalidRequestError("not found", message, problems.NOT_FOUND)

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, _params: object
    ) -> None:
        """Refuse a query that the operation does not look at."""
        if not req.query_string or not req.params:
            return
        operation = self._operations.of(req)
        if operation is None and req.method != "OPTIONS":
            return  # the method is what is wrong
        if operation is None or operation.query is None:
            name, here = named(next(iter(req.params))), cut(url(req.path))
            message = f"{name} is not known; {req.method} {here} has no parameters"
            raise InvalidRequestError(message)


class RequestId:
    """Gives each request its id."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Bind the id to the log and put it into the answer."""
        own_id = request_id(req.get_header(REQUEST_ID_HEADER))
        clear_contextvars()
        bind_contextvars(request_id=own_id)
        request_trace.begin(req.env)
        resp.set_header(REQUEST_ID_HEADER, own_id)
