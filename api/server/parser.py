"""Requests that waitress refuses: answered like all other errors, never with a reset."""

from http import HTTPStatus
from typing import Any

from orjson import dumps
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from task_queue.api.middleware import REQUEST_ID_HEADER, request_id
from task_queue.api.responses.errors import PROBLEM_TYPE, document
from task_queue.api.responses.problems import OF_HTTP
from task_queue.api.responses.urls import put_back
from task_queue.api.server.chunked import ChunkedBody
from task_queue.api.server.head import (
    Fault,
    fault_of,
    fault_of_beginning,
    fault_of_start,
    request_id_in,
)
from task_queue.config.logger import get_logger

MAX_HEADER_BYTES = 32_768
MAX_DROPPED_BYTES = 67_108_864
"""How much of a body that is too long is read and dropped. Many clients send all of it before
they look for the answer; a connection closed earlier would reach them as a reset, not as 413."""

_log = get_logger()


class _Nothing:
    """A buffer that keeps nothing, for the body of a refused request."""

    def append(self, data: bytes) -> None:
        """Drop the data."""

    def close(self) -> None:
        """Nothing is open."""

    def __len__(self) -> int:
        return 0


class _RefusedError(Exception):
    """The head is not taken; it never leaves `Parser.received`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class Parser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """Reads a request from the connection; one that is refused still gets its answer."""

    version = "1.1"  # of the answer, if the request does not get as far as to say its own
    expect_continue: bool
    body_rcv: Any
    _dropped: int | None = None

    def received(self, data: bytes) -> int:
        """Take what came in; return how much of it belongs to this request."""
        if self._dropped is not None:
            return self._drop(data, self._dropped)
        try:
            if not self.headers_finished:
                self._check(fault_of_start(self.header_plus + data))
            consumed: int = super().received(data)
            if not (self.completed or self.headers_finished):
                self._check(fault_of_beginning(self.header_plus, len(data)))
        except _RefusedError as refused:
            return self._refuse(refused.fault, data)
        except ValueError:  # a target that Python cannot read
            return self._refuse(Fault(HTTPStatus.BAD_REQUEST, "the target cannot be read"), data)
        if isinstance(self.error, RequestEntityTooLarge):
            self._read_on()
        if self.completed:
            # There is no body to ask for.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head, if nothing is wrong with it; waitress calls this."""
        self.header_plus = header_plus
        self._check(fault_of(header_plus))
        super().parse_header(header_plus)
        if "," in self.headers.get("CONNECTION", ""):
            self._pick_connection_option()
        if self.chunked:
            self.body_rcv = ChunkedBody(self.body_rcv.getbuf())

    def _pick_connection_option(self) -> None:
        """Leave of several the one that waitress looks for: `TE, close` is `close`."""
        given = {each.strip(" \t") for each in self.headers["CONNECTION"].lower().split(",")}
        known = (each for each in ("close", "keep-alive") if each in given)
        self.headers["CONNECTION"] = next(known, "")

    def _check(self, fault: Fault | None) -> None:
        if fault is not None:
            raise _RefusedError(fault)

    def _refuse(self, fault: Fault, data: bytes) -> int:
        """Answer with this; where the next request begins is not known, so nothing is left over."""
        if (own_id := request_id_in(self.header_plus)) is not None:
            self.headers["X_REQUEST_ID"] = own_id
        self.error = fault
        self.completed = True
        return len(data)

    def _read_on(self) -> None:
        """Read to the body's end before answering, unless `100 Continue` is waited for."""
        if not (self.expect_continue or self.body_rcv.completed):
            self.body_rcv.buf.close()
            self.body_rcv.buf = _Nothing()
            self.completed = False
            self._dropped = 0

    def _drop(self, data: bytes, dropped: int) -> int:
        consumed: int = self.body_rcv.received(data)
        self._dropped = dropped + consumed
        over = self.body_rcv.completed or self.body_rcv.error is not None
        self.completed = over or self._dropped > MAX_DROPPED_BYTES
        return consumed


class ProblemTask(ErrorTask):  # type: ignore[misc] # waitress has no types
    """Answers with the problem document of the request's error."""

    def execute(self) -> None:
        """Send the answer and close the connection."""
        put_back("")  # what the thread answered last may have come by a proxy
        error = self.request.error
        status = HTTPStatus(error.code)
        text, detail = self._sentences(status)
        body = dumps(document(OF_HTTP[status], text, detail))
        own_id = request_id(self.request.headers.get("X_REQUEST_ID"))
        self.status = f"{status.value} {status.phrase}"
        self.response_headers += [
            ("Content-Type", PROBLEM_TYPE),
            (REQUEST_ID_HEADER, own_id),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        client = self.channel.addr[0]  # a proxy's own, if it is one: no header was looked at
        _log.info(
            "request refused",
            client=client,
            status=status.value,
            reason=detail,
            request_id=own_id,
        )

    def _sentences(self, status: HTTPStatus) -> tuple[str, str]:
        match status:
            case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                limit = self.channel.adj.max_request_body_size - 1
                text = f"the body must have at most {limit} bytes"
                return text, text
            case HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                text = f"the headers must have at most {MAX_HEADER_BYTES} bytes"
                return text, text
            case _:
                return status.phrase.lower(), self.request.error.body
