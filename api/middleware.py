"""Around every request: an id in, out and in every log line; a body that has an end."""

import re
from http import HTTPStatus
from time import perf_counter

import falcon
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars
from uuid_utils import uuid7

from task_queue.api.responses.late import ENVIRON_KEY

REQUEST_ID_HEADER = "X-Request-ID"

_decent = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")
_log = structlog.get_logger()


def request_id(given: str | None) -> str:
    """The caller's id, if it is a decent one, or a new one."""
    return given if given and _decent.fullmatch(given) else str(uuid7())


class RequestId:
    """Takes the caller's request id, if it is a decent one, or makes one."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Bind the id to the log and put it into the answer."""
        own_id = request_id(req.get_header(REQUEST_ID_HEADER))
        req.context.started = perf_counter()
        clear_contextvars()
        bind_contextvars(request_id=own_id)
        resp.set_header(REQUEST_ID_HEADER, own_id)

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,  # noqa: ARG002 - Falcon's signature
        req_succeeded: bool,  # noqa: ARG002, FBT001
    ) -> None:
        """Log the request, unless its answer is late and not known yet."""
        if not req.env.get(ENVIRON_KEY):
            status = int(falcon.code_to_http_status(resp.status)[:3])
            log_request(req.method, req.path, status, perf_counter() - req.context.started)


def log_request(method: str, path: str, status: int, seconds: float) -> None:
    """Log a request: quietly if it went well, louder the worse it went."""
    log = _log.debug
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log = _log.warning
    elif status >= HTTPStatus.BAD_REQUEST:
        log = _log.info
    log("request", method=method, path=path, status=status, duration_seconds=round(seconds, 6))
