"""A client's connection: each answer leaves in one piece, when it may, and is logged."""

from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from task_queue.actors.messages.reply import Reply
from task_queue.api.middleware import REQUEST_ID_HEADER
from task_queue.api.responses.answer import Headers
from task_queue.api.responses.late import ENVIRON_KEY, Late
from task_queue.api.server.parser import Parser, ProblemTask

_REQUEST_ID = REQUEST_ID_HEADER.lower()  # as Falcon writes it
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A response of which nothing is sent yet.

    Attributes:
        status: The status line's code and phrase.
        headers: All of them.
        body: All of it.
        late: What it waits for; None if nothing.
    """

    status: str
    headers: Headers
    body: bytes
    late: Late[Any] | None = None


class _Parked(BaseException):
    """The answer is ready and has to wait.

    Not an error, but raised all the same: waitress's `service`, left by an exception, keeps the
    request first on its connection, so that answers leave in the order of their requests.
    """

    def __init__(self, reply: Reply[Any]) -> None:
        super().__init__()
        self.reply = reply


class _Request(Parser):
    """A request, and the answer to it once there is one."""

    answer: _Prepared | None = None


class _Task(WSGITask):  # type: ignore[misc] # waitress has no types
    """Answers a request: in one visit, or in two if the answer has to wait for a reply."""

    def execute(self) -> None:
        """Send the answer if it need not wait any more.

        Raises:
            _Parked: It has to wait.
        """
        answer = self.request.answer
        if answer is None:
            self.request.answer = answer = self._ask_the_application()
            if answer.late is not None:
                raise _Parked(answer.late.reply)
        elif answer.late is not None:
            answer = self._decided(answer, answer.late)
        data = self._head(answer) + answer.body
        if answer.late is None:
            self.channel.write_soon(data)
        else:
            self.channel.write_later(data)

    def _ask_the_application(self) -> _Prepared:
        began = perf_counter()
        environ = self.get_environment()
        late: list[Late[Any]] = []
        environ[ENVIRON_KEY] = late
        started: list[tuple[str, Headers]] = []
        body = self.channel.server.application(
            environ, lambda status, headers, _exc_info=None: started.append((status, headers))
        )
        [(status, headers)] = started
        if not late:
            path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")  # as in PEP 3333
            _log_request(environ["REQUEST_METHOD"], path, status, perf_counter() - began)
        return _Prepared(status, headers, b"".join(body), *late)

    def _decided(self, prepared: _Prepared, late: Late[Any]) -> _Prepared:
        """Return the prepared answer, or another one if the reply changes it."""
        own_id = dict(prepared.headers)[_REQUEST_ID]
        bind_contextvars(request_id=own_id)
        answer = prepared
        if (changed := late.outcome(0)) is not None:
            answer = _Prepared(
                f"{changed.status.value} {changed.status.phrase}",
                [*changed.headers, (_REQUEST_ID, own_id)],
                changed.body,
            )
        seconds = perf_counter() - late.asked_at
        _log_request(self.request.command, self.request.path, answer.status, seconds)
        return answer

    def _head(self, answer: _Prepared) -> bytes:
        """Return the answer's head, to leave with the body in one system call instead of two."""
        self.status = answer.status
        self.response_headers += answer.headers
        self.content_length = len(answer.body)
        head: bytes = self.build_response_header()
        self.wrote_header = True  # not before: until then waitress may add `Connection: close`
        return head


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """A client's connection."""

    parser_class = _Request
    task_class = _Task
    error_task_class = ProblemTask

    def service(self) -> Reply[Any] | None:
        """Answer the request, or return the reply that its answer has to wait for."""
        try:
            super().service()
        except _Parked as parked:
            return parked.reply
        return None

    def write_later(self, data: bytes) -> None:
        """Leave the data to the server's loop, which `service` wakes up at its end.

        The answers to the publishes of one commit come all at once. The loop sends them in one
        pass; sent by threads, each would wake the loop to look for that client's next request.
        A single answer takes a hand-over more: 0.04 ms.
        """
        with self.outbuf_lock:
            self.outbufs[-1].append(data)
            self.current_outbuf_count += len(data)
            self.total_outbufs_len += len(data)


def _log_request(method: str, path: str, status_line: str, seconds: float) -> None:
    """Log a request: the worse it went, the higher the level."""
    status = int(status_line[:3])
    log = _log.debug
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log = _log.warning
    elif status >= HTTPStatus.BAD_REQUEST:
        log = _log.info
    log("request", method=method, path=path, status=status, duration_seconds=round(seconds, 6))
