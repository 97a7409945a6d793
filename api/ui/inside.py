"""Requests that the dashboard sends to the API, inside the process."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import falcon
import orjson
from structlog.contextvars import bind_contextvars, get_contextvars

from task_queue.api.auth.caller import CALLER_KEY, caller_of
from task_queue.api.responses.urls import put_back, taken_off

_AS_THEY_ARE = (
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "HTTP_HOST",
    # What is recorded looks at where the browser was, which may be a page of another origin.
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_SEC_FETCH_SITE",
    "wsgi.errors",
    "wsgi.multiprocess",
    "wsgi.multithread",
    "wsgi.run_once",
    "wsgi.url_scheme",
    "wsgi.version",
)
"""What a request inside has of the one that it is sent for."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Query = Mapping[str, str | int | float | list[str] | None]

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class RefusedError(Exception):
    """The API has refused a request.

    Attributes:
        status: The HTTP status.
        problem: The problem document.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail", "refused"))
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Answered:
    """What the API has answered.

    Attributes:
        status: The HTTP status, of those that are no problem.
        document: What it answers; None: nothing.
    """

    status: int
    document: Any


class Inside:
    """Sends requests through the application itself: the same middleware, the same rules."""

    def __init__(self, application: Application, prefix: str) -> None:
        """Keep where they go.

        Args:
            application: Answers them.
            prefix: What all paths begin with.
        """
        self._application = application
        self._prefix = prefix

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        req: falcon.Request,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answered:
        """Return what the API answers to whoever has sent the request; waits for it.

        Args:
            req: The request to the dashboard.
            method: As of HTTP.
            path: As in the table of operations.
            query: Its parameters; those that are None are left out.
            body: A JSON value; None: there is no body.
            headers: Further ones, by name.

        Raises:
            RefusedError: It is a problem.
        """
        request_id, before = get_contextvars().get("request_id"), taken_off()
        given = {name: value for name, value in (query or {}).items() if value is not None}
        data = b"" if body is None else orjson.dumps(body)
        environ: dict[str, Any] = {
            **{name: req.env[name] for name in _AS_THEY_ARE if name in req.env},
            CALLER_KEY: caller_of(req),
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": f"{self._prefix}{path}".encode().decode("latin-1"),
            "QUERY_STRING": urlencode(given, doseq=True),
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.input": io.BytesIO(data),
        }
        if body is not None:
            environ["CONTENT_TYPE"] = "application/json"
        if request_id is not None:
            environ["HTTP_X_REQUEST_ID"] = request_id
        for name, value in headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        started: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            parts = self._application(environ, lambda *said, **_: started.append(said[:2]))
            text = b"".join(parts)
        finally:
            put_back(before)
            bind_contextvars(request_id=request_id)
        status, headers = int(started[0][0].split()[0]), dict(started[0][1])
        is_json = "json" in headers.get("content-type", "")
        document = orjson.loads(text) if text and is_json else None
        if headers.get("content-type", "").startswith("application/problem+json"):
            raise RefusedError(status, document or {})
        return Answered(status, document)
