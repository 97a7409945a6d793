"""Holds the answers of real servers against what the API promises, in both directions.

The client of every `tests.harness.ServerProcess` passes its answers through here. So a status, a
problem, a header or a member that a server gives and the description does not name fails whichever
test meets it, and no list of what to look at can grow old.
"""

import re
from typing import Any

import httpx

from task_queue.api.auth.sessions import DASHBOARD
from task_queue.api.contract.description import problems_of, shown_headers_of
from task_queue.api.contract.operation import METHODS_LIKE, Operation
from task_queue.api.responses.errors import PROBLEM_TYPE
from task_queue.api.responses.problems import METHOD_NOT_ALLOWED, NOT_FOUND, PROBLEMS
from task_queue.api.routes.table import OPERATIONS

OF_HTTP = {
    "accept-encoding",
    "allow",
    "connection",
    "content-length",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "x-content-type-options",
    "x-request-id",
}
"""The headers that any answer may have: HTTP's own, and what keeps browsers away."""


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


_PATHS = {path: _pattern(path) for path in dict.fromkeys(each.path for each in OPERATIONS)}


class ContractError(AssertionError):
    """The answer is not as the description says."""


class Client(httpx.Client):
    """A client for a server of ours, that checks what it gets."""

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send it; check the answer, if it is there as a whole."""
        response = super().send(request, **options)
        if response.is_closed:
            check(request, response, self.base_url.path.rstrip("/"))
        return response


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request is for; None: there is none."""
    found = [path_of for path_of, pattern in _PATHS.items() if pattern.fullmatch(path)]
    method = METHODS_LIKE.get(method, method)
    # One whose path is written out goes before one with a parameter, as with the router.
    for each in sorted(found, key=lambda path_of: "{" in path_of):
        return next((o for o in OPERATIONS if o.path == each and o.method == method), None)
    return None


def check(request: httpx.Request, response: httpx.Response, prefix: str = "") -> None:
    """Accept an answer that the description names.

    Raises:
        ContractError: It does not.
    """
    path = request.url.path.removeprefix(prefix)
    operation = operation_of(request.method, path)
    said = f"{request.method} {path}: {response.status_code} {response.text[:500]}"
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if response.headers.get("X-Request-ID") is None:
        raise ContractError(f"without an id: {said}")
    if kind == PROBLEM_TYPE:
        _check_problem(operation, request, response, said)
    elif f"{path}/".startswith(DASHBOARD) or _leads_there(path, response):
        _check_page(response, kind, said)
    elif operation is not None and request.method != "OPTIONS":
        _check_document(operation, request, response, said)
    elif request.method != "OPTIONS":
        raise ContractError(f"not in the table, but answered: {said}")


def _leads_there(path: str, response: httpx.Response) -> bool:
    """Whether the root has led a browser to the dashboard, whose pages are not in the table."""
    return path == "/" and response.headers.get("Location", "").endswith(DASHBOARD)


def _check_page(response: httpx.Response, kind: str, said: str) -> None:
    """Accept a page of the dashboard, a file of it, or what leads to one."""
    if response.is_redirect or kind in {"text/css", "text/javascript", "image/svg+xml"}:
        return
    if kind != "text/html" or "Content-Security-Policy" not in response.headers:
        raise ContractError(f"not a page: {said}")


def _check_problem(
    operation: Operation | None, request: httpx.Request, response: httpx.Response, said: str
) -> None:
    if request.method == "HEAD":
        return  # it has no document to look at
    document = response.json()
    problem = PROBLEMS[document["type"].rpartition("#")[2]]
    if problem.status != response.status_code or document["title"] != problem.title:
        raise ContractError(f"not as the registry has it: {said}")
    if problem.errors and document["error"] not in problem.errors:
        raise ContractError(f"an error that the registry does not name: {said}")
    if operation is not None and problem not in {*problems_of(operation), NOT_FOUND}:
        raise ContractError(f"a problem that the operation does not name: {said}")
    if operation is None and problem in {METHOD_NOT_ALLOWED, NOT_FOUND}:
        return
    _check_headers(operation, response, said)


def _check_document(
    operation: Operation, request: httpx.Request, response: httpx.Response, said: str
) -> None:
    answered = {status.value: each for status, each in operation.answers.items()}
    if (answer := answered.get(response.status_code)) is None:
        raise ContractError(f"a status that the operation does not name: {said}")
    _check_headers(operation, response, said)
    if request.method == "HEAD" or not answer.models:
        return
    errors = []
    for model in answer.models:
        try:
            model.model_validate_json(response.content, strict=True)
        except ValueError as error:
            errors.append(str(error))
        else:
            return
    raise ContractError(f"not the document that the operation names: {said}\n{errors}")


def _check_headers(operation: Operation | None, response: httpx.Response, said: str) -> None:
    if operation is None:
        return
    named = {each.name.lower() for each in shown_headers_of(operation, response.status_code)}
    if more := {*response.headers} - OF_HTTP - named:
        raise ContractError(f"headers that the operation does not name: {more} {said}")
