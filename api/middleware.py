"""The id of a request: the caller's or a new one, in the answer and in every log line."""

import re

import falcon
from structlog.contextvars import bind_contextvars, clear_contextvars
from uuid_utils import uuid7

REQUEST_ID_HEADER = "X-Request-ID"

_valid = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


def request_id(given: str | None) -> str:
    """Return the caller's id, if it is valid, or a new one."""
    return given if given and _valid.fullmatch(given) else str(uuid7())


class RequestId:
    """Gives each request its id."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Bind the id to the log and put it into the answer."""
        own_id = request_id(req.get_header(REQUEST_ID_HEADER))
        clear_contextvars()
        bind_contextvars(request_id=own_id)
        resp.set_header(REQUEST_ID_HEADER, own_id)
