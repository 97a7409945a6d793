"""What `api/server` uses of waitress without its documentation: an upgrade fails here first."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from inspect import signature
from typing import Any

import pytest
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from tests.fakes import DEADLINE_SECONDS

RELIED_UPON = {
    "server": {
        "_map": "the loop runs over it, one pass at a time",
        "asyncore": "has the loop",
        "accepting": "is asked before a connection is accepted",
        "readable": "is replaced by ours",
        "handle_accept": "accepts a connection; ours repeats it",
        "accept": "gives the next connection",
        "socket": "is closed before the connections are",
        "del_channel": "takes it out of the loop",
        "pull_trigger": "wakes the loop up at a signal",
        "task_dispatcher": "takes ours, and is shut down at the end",
        "active_channels": "what is left to be sent when the loop has ended",
        "channel_class": "is replaced by ours",
        "application": "is called by our task",
        "effective_port": "is shown in the log",
        "getsockname": "gives it; that of a Unix socket gives its path",
        "set_socket_options": "sets those of TCP; that of a Unix socket sets none",
        "fix_addr": "gives the client's address; ours stands for those that have none",
    },
    "channel": {
        "parser_class": "is replaced by ours",
        "task_class": "is replaced by ours",
        "error_task_class": "is replaced by ours",
        "service": "runs the task; ours looks at how it ends",
        "request": "is the one that is being read; ours refuses it if it takes too long",
        "requests_lock": "is held while a request that was refused is queued",
        "connected": "is false once the client has gone",
        "will_close": "is set when nothing can be sent any more",
        "close_when_flushed": "says that the last answer has been given",
        "_flush_outbufs_below_high_watermark": "waits for a client in a thread; ours does not",
        "_flush_exception": "sends, and notes an error",
        "_flush_some": "sends what the client takes",
        "handle_close": "closes the socket",
        "received": "takes what came in; ours drops it after the last answer",
        "socket": "is closed for writing after the last answer",
        "addr": "whose connection it is",
        "requests": "keeps the request of an answer that waits in the first place",
        "server": "leads from a task to the application",
        "adj": "has the limit of a body",
        "handle_write": "sends what is left when the loop has ended",
        "write_soon": "sends an answer from a thread",
        "outbuf_lock": "is held while an answer is left to the loop",
        "outbufs": "take an answer that is left to the loop",
        "current_outbuf_count": "is counted up with them",
        "total_outbufs_len": "is counted up with them; it tells the loop to send",
    },
    "task": {
        "execute": "is replaced by ours",
        "channel": "sends the answer",
        "request": "keeps an answer that waits",
        "status": "becomes the first line",
        "response_headers": "become the head",
        "content_length": "becomes a header",
        "build_response_header": "builds the head, which leaves together with the body",
        "wrote_header": "says that the head must not be sent again",
        "get_environment": "builds what the application gets",
        "set_close_on_finish": "closes the connection after a refused request",
        "write": "sends the answer to a refused request",
    },
    "parser": {
        "received": "takes what came in; ours goes on after a refusal",
        "parse_header": "reads the head; ours looks at it before",
        "header_plus": "holds the beginning of a head",
        "headers_finished": "says whether the head was read",
        "chunked": "says that the body is read by our receiver of chunks",
        "version": "is the one of the answer",
        "completed": "is set back until a refused body was read",
        "error": "says why a request is refused",
        "expect_continue": "says that the client waits with its body",
        "headers": "have the caller's id of a request that is refused",
        "command": "the method, for the log",
        "path": "for the log",
        "body_rcv": "reads the body",
    },
    "body_rcv": {
        "received": "reads a refused body to its end",
        "completed": "says whether that was reached",
        "error": "says that it cannot be",
        "buf": "is replaced by one that keeps nothing of a refused body",
        "getbuf": "returns what the body is kept in, and is closed",
        "getfile": "returns what the application reads",
    },
    "error": {
        "code": "the status of a refusal",
        "body": "its sentence",
    },
}
"""Of each object the names that are relied upon, and for what."""

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Waitress:
    """A server of waitress with a connection, on which there is a request."""

    server: Any
    channel: Any
    parser: Any

    def find(self, owner: str) -> Any:  # noqa: ANN401 - waitress has no types
        if owner == "task":
            return WSGITask(self.channel, self.parser)
        if owner == "body_rcv":
            return self.parser.body_rcv
        if owner == "error":
            refused = HTTPRequestParser(self.server.adj)
            refused.received(REQUEST % self.server.adj.max_request_body_size)
            return refused.error
        return getattr(self, owner)


@pytest.fixture
def waitress() -> Iterator[Waitress]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = create_server(lambda *_: [], sockets=[listener], _dispatcher=Idle())
    with socket.create_connection(listener.getsockname(), timeout=DEADLINE_SECONDS):
        accepted, address = listener.accept()
        channel = HTTPChannel(server, accepted, address, server.adj, map=server._map)
        parser = HTTPRequestParser(server.adj)
        parser.received(REQUEST % 5 + b"hello")
        yield Waitress(server, channel, parser)
        channel.handle_close()
    server.close()


class Idle:
    """Stands in for the pool of threads."""

    def set_thread_count(self, _count: int) -> None:
        """There are none."""

    def add_task(self, _channel: object) -> None:
        """Nobody works on it."""

    def shutdown(self) -> None:
        """There is nothing to end."""


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [(owner, name, why) for owner, names in RELIED_UPON.items() for name, why in names.items()],
)
def test_a_name_that_is_relied_upon_is_there(
    waitress: Waitress, owner: str, name: str, reason: str
) -> None:
    assert hasattr(waitress.find(owner), name), (
        f"waitress {version('waitress')} has no {owner}.{name}; api/server relies on it: {reason}"
    )


def test_another_pool_of_threads_and_a_bound_socket_are_let_in() -> None:
    parameters = signature(BaseWSGIServer).parameters
    assert {"dispatcher", "adj", "bind_socket", "sockinfo", "_sock"} <= set(parameters)


def test_the_loop_makes_one_pass_at_a_time(waitress: Waitress) -> None:
    parameters = signature(waitress.server.asyncore.loop).parameters
    assert {"timeout", "map", "use_poll", "count"} <= set(parameters)


def test_a_request_that_is_refused_has_a_task_of_its_own() -> None:
    assert callable(ErrorTask.execute)


def test_a_task_that_is_left_by_an_exception_keeps_its_request_in_the_first_place(
    waitress: Waitress,
) -> None:
    class Left(BaseException):
        """As an answer leaves that has to wait."""

    class Task(WSGITask):  # type: ignore[misc] # waitress has no types
        def execute(self) -> None:
            raise Left

    waitress.channel.task_class = Task
    waitress.channel.requests = [waitress.parser]
    for _ in range(2):
        with pytest.raises(Left):
            waitress.channel.service()
        assert waitress.channel.requests == [waitress.parser]
    assert not waitress.channel.close_when_flushed
