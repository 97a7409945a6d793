"""A client's connection: each answer leaves in one piece, when it may, and is logged."""

import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from time import perf_counter
from typing import Any

from structlog.contextvars import bind_contextvars
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.meters import OTHER
from task_queue.api import request_trace
from task_queue.api.middleware import REQUEST_ID_HEADER
from task_queue.api.responses.answer import Answer, Headers
from task_queue.api.responses.late import ENVIRON_KEY, HOLDS_KEY, Late
from task_queue.api.responses.urls import without_lease
from task_queue.api.server.parser import Parser, ProblemTask
from task_queue.api.server.patience import Seen, Stage, TooSlowError
from task_queue.api.server.waiting import has_gone
from task_queue.api.traffic import OPERATION
from task_queue.config.logger import get_logger

_REQUEST_ID = REQUEST_ID_HEADER.lower()  # as Falcon writes it
_QUICK = {
    ("GET", "/healthz"),
    ("HEAD", "/healthz"),
    ("POST", "/tasks"),
    ("POST", "/tasks/batch"),
}
"""The requests that ask no actor, or are parked until it answers; all others wait in a thread."""
_OF_AN_ANSWER = {"content-length", "content-type", "location"}
"""The headers, as Falcon writes them, that do not go with another answer."""
_LISTS = {"ratelimit", "ratelimit-policy"}
"""Those of the key, beside which the other answer may have those of a queue."""
_RESET = struct.pack("ii", 1, 0)  # lingers for no second
_log = get_logger()


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

    def __init__(self, late: Late[Any]) -> None:
        super().__init__()
        self.late = late


class _Request(Parser):
    """A request, and the answer to it once there is one."""

    answer: _Prepared | None = None
    holds: Callable[[], bool] | None = None  # whether its key still does; None: it has none
    left: Callable[[], None] | None = None  # called before the answer leaves, or when it cannot
    lost: Callable[[], None] | None = None  # called before that if nobody is there to read it
    path = ""  # of one that was refused before its head was read, for waitress's log
    client = ""  # its address, which a proxy may have told
    operation = OTHER  # the name of what it is for
    trace: Mapping[str, str] | None = None  # what its lines say of that

    def leave(self) -> None:
        """Give back what is held until the answer leaves, once."""
        left, self.left = self.left, None
        if left is not None:
            left()


class _Task(WSGITask):  # type: ignore[misc] # waitress has no types
    """Answers a request: in one visit, and one more for each reply the answer has to wait for."""

    def execute(self) -> None:
        """Send the answer if it need not wait any more.

        Raises:
            _Parked: It has to wait.
        """
        answer = self.request.answer
        if answer is None:
            self.request.answer = answer = self._ask_the_application()
            if answer.late is not None:
                self.request.left, self.request.lost = answer.late.left, answer.late.lost
                raise _Parked(answer.late)
        elif answer.late is not None:
            answer = self._decided(answer, answer.late)
        data = self._head(answer) + answer.body
        self.request.leave()
        if answer.late is None:
            self.channel.write_soon(data)
        else:
            self.channel.write_later(data)

    def _ask_the_application(self) -> _Prepared:
        began = perf_counter()
        environ = self.get_environment()
        late: list[Late[Any]] = []
        environ[ENVIRON_KEY] = late
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")  # as in PEP 3333
        started: list[tuple[str, Headers]] = []
        body = self.channel.server.application(
            environ, lambda status, headers, _exc_info=None: started.append((status, headers))
        )
        [(status, headers)] = started
        self.request.holds = environ.get(HOLDS_KEY)
        self.request.client = environ["REMOTE_ADDR"]
        self.request.operation = environ.get(OPERATION, OTHER)
        self.request.trace = environ.get(request_trace.FIELDS)
        if not late:
            seconds = perf_counter() - began
            self._note(environ["REQUEST_METHOD"], path, status, seconds)
        return _Prepared(status, headers, b"".join(body), *late)

    def _decided(self, prepared: _Prepared, late: Late[Any]) -> _Prepared:
        """Return the prepared answer, or another one if the reply changes it.

        Raises:
            _Parked: It has to wait for something else.
        """
        bind_contextvars(request_id=dict(prepared.headers)[_REQUEST_ID])
        request_trace.take_up(self.request.trace)
        answer, outcome = prepared, late.outcome()
        if isinstance(outcome, Late):
            following = replace(outcome, asked_at=late.asked_at)
            self.request.answer = replace(prepared, late=following)
            raise _Parked(following)
        if outcome is not None:
            answer = _replaced(prepared, outcome, is_head=self.request.command == "HEAD")
        seconds = perf_counter() - late.asked_at
        self._note(self.request.command, self.request.path, answer.status, seconds)
        return answer

    def _note(self, method: str, path: str, status: str, seconds: float) -> None:
        """Count the request, and log it."""
        request = self.request
        self.channel.server.traffic.note(request.operation, int(status[:3]), seconds)
        _log_request(method, path, request.client, status, seconds)

    def _head(self, answer: _Prepared) -> bytes:
        """Return the answer's head, to leave with the body in one system call instead of two."""
        self.status = answer.status
        self.response_headers += answer.headers
        self.content_length = len(answer.body)
        if self.channel.server.is_draining or self.channel.gives_way:
            self.set_close_on_finish()
        head: bytes = self.build_response_header()
        self.wrote_header = True  # not before: until then waitress may add `Connection: close`
        return head


def _is_of_a_worker(method: str, path: str) -> bool:
    return method == "POST" and (path.startswith("/leases/") or path.endswith("/lease"))


def _replaced(prepared: _Prepared, answer: Answer, *, is_head: bool) -> _Prepared:
    """Return this answer, with the prepared one's headers that belong to no answer of its own."""
    own = {name.lower() for name, _ in answer.headers} - _LISTS | _OF_AN_ANSWER
    kept = [(name, value) for name, value in prepared.headers if name.lower() not in own]
    length = ("Content-Length", str(len(answer.body)))
    return _Prepared(
        f"{answer.status.value} {answer.status.phrase}",
        [*answer.headers, *([length] if is_head else ()), *kept],
        b"" if is_head else answer.body,
    )


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """A client's connection.

    Attributes:
        seen: What it was at when it was last looked at.
        url_prefix: What the paths of its requests begin with.
    """

    parser_class = _Request
    task_class = _Task
    error_task_class = ProblemTask
    request: Any  # of which a part has been read
    seen: Seen | None = None
    gives_way = False
    url_prefix = ""
    _answered = 0
    _is_held = False
    _is_waiting = False
    _is_closing = False

    def __init__(self, server: Any, *rest: Any, **more: Any) -> None:  # noqa: ANN401 - waitress has no types
        self.url_prefix = server.url_prefix
        super().__init__(server, *rest, **more)

    @property
    def descriptor(self) -> int:
        """The socket's; -1 if it is closed."""
        return -1 if self._fileno is None else self._fileno

    @property
    def holds(self) -> bool:
        """Whether the key of its request still holds."""
        request = next(iter(self.requests), None)
        return request is None or request.holds is None or request.holds()

    @property
    def is_quick(self) -> bool:
        """Whether its next request keeps no thread waiting."""
        request = next(iter(self.requests), None)
        if request is None or request.error:
            return True
        path = request.path.removeprefix(self.url_prefix)
        return (request.command, path) in _QUICK or _is_of_a_worker(request.command, path)

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Do not wait until a client has read a long answer: `service` comes back to the next."""

    def service(self) -> Reply[Any] | None:
        """Answer the request, or return the reply that its answer has to wait for.

        While a former answer has not left, nothing is done: a thread would wait for a client that
        does not read. The loop comes back to it.
        """
        if self.total_outbufs_len:
            with self.outbuf_lock:
                if self.total_outbufs_len:
                    self._is_held = True
                    return None
        if self._is_waiting:  # back before the answer is written, which the loop has to send
            self._is_waiting = False
            self.server.waiting.leave(self)
        request = self.requests[0]
        lost = request.lost if request.lost is not None and has_gone(self.descriptor) else None
        try:
            super().service()
        except _Parked as parked:
            if (wait := parked.late.wait) is not None:
                self._is_waiting = True
                self.server.waiting.enter(self, wait)
            return parked.late.reply
        if lost is not None:
            lost()
        if request.error:
            self.server.traffic.refused(request.error.code)
        request.leave()
        self._answered += 1
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

    def handle_write(self) -> None:
        """Send what waits; go on with a request that waited for that, or close."""
        if self.close_when_flushed:
            self._flush_and_close()
            return
        super().handle_write()
        if self._is_held and not self.total_outbufs_len:
            self._is_held = False
            self.server.add_task(self)

    def _flush_and_close(self) -> None:
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif self.socket is not None and not self.total_outbufs_len:  # None: the client has gone
            self._close_our_side()

    def _close_our_side(self) -> None:
        """Say that nothing more comes, and drop what comes in until the client closes its side.

        A socket that is closed while data is on its way to it is reset, and the client may lose the
        last answer by that.
        """
        self.close_when_flushed = False
        self._is_closing = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone
            self.handle_close()

    def received(self, data: bytes) -> bool:
        """Take what came in; drop it after the last answer."""
        return not self._is_closing and bool(super().received(data))

    def at(self) -> tuple[Stage, object]:
        """Return its stage, and the request or the number of the answer that it is at."""
        if self._is_closing:
            return Stage.CLOSING, None
        if self.total_outbufs_len or self.close_when_flushed:
            return Stage.SENDING, self._answered
        if self.requests:
            return Stage.WORKING, None
        request = self.request
        if request is None or not (request.headers_finished or request.header_plus.strip()):
            return Stage.IDLE, self._answered  # blank lines are no part of a request
        return (Stage.BODY if request.headers_finished else Stage.HEAD), request

    def drop(self) -> None:
        """Close it, unless a request has just come in."""
        stage, _ = self.at()
        with suppress(OSError):
            if stage is Stage.IDLE:
                if self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    return
            else:
                # Nobody reads what is left: the kernel need not keep it, nor try to send it.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.handle_close()

    def refuse(self, error: TooSlowError) -> None:
        """Answer the request that is being read with this error, and close it."""
        with self.requests_lock:
            request = self.request
            self.request = None
            request.error = request.error or error
            request.completed = True
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)


def _log_request(method: str, path: str, client: str, status_line: str, seconds: float) -> None:
    """Log a request: the worse it went, the higher the level."""
    status = int(status_line[:3])
    log = _log.debug
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log = _log.warning
    elif status >= HTTPStatus.BAD_REQUEST:
        log = _log.info
    duration = round(seconds, 6)
    log(
        "request",
        method=method,
        path=without_lease(path),
        client=client,
        status=status,
        duration_seconds=duration,
    )
