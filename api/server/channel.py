"""A client's connection: each answer leaves in one piece, and when it may."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

from structlog.contextvars import bind_contextvars
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.reply import Reply
from task_queue.api.middleware import REQUEST_ID_HEADER, log_request
from task_queue.api.responses.errors import late_refusal
from task_queue.api.responses.late import ENVIRON_KEY, Late
from task_queue.api.server.parser import Parser, ProblemTask

Headers = list[tuple[str, str]]

_REQUEST_ID = REQUEST_ID_HEADER.lower()  # as Falcon writes it


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response of which nothing is sent yet.

    Attributes:
        status: The status line's code and phrase.
        headers: All of them.
        body: All of it.
        late: What must come before it may leave; None if nothing.
    """

    status: str
    headers: Headers
    body: bytes
    late: Late[Any] | None = None


class _Parked(BaseException):
    """The answer is ready and has to wait.

    Not an error, and raised all the same: it is the way out of waitress's hands, which keep the
    request first on its connection then, so that answers leave in the order of their requests.
    """

    def __init__(self, reply: Reply[Any]) -> None:
        super().__init__()
        self.reply = reply


class _Request(Parser):
    """A request, and the answer to it once there is one."""

    answer: _Answer | None = None


class _Task(WSGITask):  # type: ignore[misc] # waitress has no types
    """Answers a request: in one visit, or in a second one when what it waits for is there."""

    def execute(self) -> None:
        """Send the answer, now or when what it waits for is there."""
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

    def _ask_the_application(self) -> _Answer:
        environ = self.get_environment()
        late: list[Late[Any]] = []
        environ[ENVIRON_KEY] = late
        said: list[tuple[str, Headers]] = []
        body = self.channel.server.application(
            environ, lambda status, headers, _exc_info=None: said.append((status, headers))
        )
        [(status, headers)] = said
        return _Answer(status, headers, b"".join(body), *late)

    def _decided(self, prepared: _Answer, late: Late[Any]) -> _Answer:
        """The prepared answer if the reply is good and changes nothing, else what it comes to."""
        own_id = dict(prepared.headers)[_REQUEST_ID]
        bind_contextvars(request_id=own_id)
        answer = prepared
        try:
            changed = late.done(late.reply.wait(0))
        except TaskQueueError as error:
            changed = late_refusal(error)
        if changed is not None:
            answer = _Answer(
                f"{changed.status.value} {changed.status.phrase}",
                [*changed.headers, (_REQUEST_ID, own_id)],
                changed.body,
            )
        seconds = perf_counter() - late.asked_at
        log_request(self.request.command, self.request.path, int(answer.status[:3]), seconds)
        return answer

    def _head(self, answer: _Answer) -> bytes:
        """The head of the answer. It leaves with the body in one system call, not in two."""
        self.status = answer.status
        self.response_headers += answer.headers
        self.content_length = len(answer.body)
        head: bytes = self.build_response_header()
        self.wrote_header = True  # not before: it may have to say that the connection closes
        return head


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """A client's connection."""

    parser_class = _Request
    task_class = _Task
    error_task_class = ProblemTask

    def service(self) -> None:
        """Answer the request, or let it wait for what its answer depends on."""
        try:
            super().service()
        except _Parked as parked:
            self.server.task_dispatcher.park(self, parked.reply)

    def write_later(self, data: bytes) -> None:
        """Have the server's loop send this, which `service` wakes up at its end.

        The answers to the publishes of one commit come all at once. The loop sends them in one
        pass; sent by threads, each would wake the loop to look for that client's next request.
        For an answer that comes alone it is a hand-over more: 0.04 ms.
        """
        with self.outbuf_lock:
            self.outbufs[-1].append(data)
            self.current_outbuf_count += len(data)
            self.total_outbufs_len += len(data)
