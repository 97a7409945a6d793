"""An HTTP server on loopback that keeps what it is sent and answers as badly as a test wants."""

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from tests.fakes import DEADLINE_SECONDS
from tests.harness import free_port

CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class Received:
    """A request; the names of its headers are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """A connection, as whoever answers sees it."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        self.sent_bytes = 0
        self._socket = sock
        self._closing = closing

    def read_request(self) -> Received:
        with self._socket.makefile("rb") as file:
            method, target, _ = file.readline().decode().split()
            headers = {}
            while (line := file.readline().decode()).strip():
                name, _, text = line.partition(":")
                headers[name.lower()] = text.strip()
            length = int(headers.get("content-length", 0))
            body = file.read(length)
        if not line or len(body) < length:  # of a client that was killed on the way
            raise ConnectionError("the request was cut off")
        return Received(method, target, headers, body)

    def receive(self) -> bytes:
        """What comes next, at least a byte of it; nothing at the end."""
        return self._socket.recv(CHUNK_BYTES)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)
        self.sent_bytes += len(data)

    def reset(self) -> None:
        """Break the connection off, instead of closing it."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def wait_until_gone(self) -> None:
        while self.receive():
            pass

    def pause(self, seconds: float = 0.02) -> None:
        """Do nothing, not even read, for so long or until the server is closed."""
        self._closing.wait(seconds)


Answer = Callable[[Received, Peer], None]
"""Answers a request."""
Welcome = Callable[[Peer], None]
"""Does with a connection what it likes, before a request was read."""


class Endpoint:
    """A server that is closed at the end of its block, with all its connections.

    Attributes:
        port: Where it listens.
        requests: What it was sent so far.
        peers: The connections so far.
    """

    def __init__(
        self,
        answer: Answer | None = None,
        *,
        welcome: Welcome | None = None,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Listen.

        Args:
            answer: Answers each request; None: with nothing but 200.
            welcome: Gets the connection instead, before a request is read or TLS begins.
            host: A loopback address.
            context: With the certificate of a server that speaks TLS.
        """
        self.requests: list[Received] = []
        self.peers: list[Peer] = []
        self._answer = answer or answers(200)
        self._welcome = welcome
        self._context = context
        self._connections: queue.SimpleQueue[Peer] = queue.SimpleQueue()
        self._received: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._scheme = "http" if context is None else "https"
        self._host = f"[{host}]" if ":" in host else host
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, path: str = "/", *, user: str = "", host: str | None = None) -> str:
        return f"{self._scheme}://{user}{host or self._host}:{self.port}{path}"

    def wait_for_connection(self) -> Peer:
        """The next connection that was not waited for yet."""
        return self._connections.get(timeout=DEADLINE_SECONDS)

    def wait_for_request(self) -> Received:
        """The next request that was not waited for yet."""
        return self._received.get(timeout=DEADLINE_SECONDS)

    def close(self) -> None:
        self._closing.set()
        self._threads[0].join(DEADLINE_SECONDS)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                sock, _ = self._listener.accept()
                sock.settimeout(DEADLINE_SECONDS)
                self._sockets.append(sock)
                self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError, ValueError):  # a client may go at any time
            stack.enter_context(sock)
            if self._welcome is None and self._context is not None:
                sock = stack.enter_context(self._context.wrap_socket(sock, server_side=True))
                self._sockets.append(sock)
            peer = Peer(sock, self._closing)
            self.peers.append(peer)
            self._connections.put(peer)
            if self._welcome is not None:
                self._welcome(peer)
                return
            received = peer.read_request()
            self.requests.append(received)
            self._received.put(received)
            self._answer(received, peer)


def answers(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answers properly; an underscore in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return says("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def redirects(location: str, status: int = 302) -> Answer:
    return answers(status, Location=location)


def says(data: bytes) -> Answer:
    """Sends these bytes and closes the connection."""
    return lambda _, peer: peer.send(data)


def in_turn(*each: Answer) -> Answer:
    """Answers the first request as the first does, and so on."""
    rest = iter(each)

    def answer(received: Received, peer: Peer) -> None:
        next(rest)(received, peer)

    return answer


def says_no_more(data: bytes = b"") -> Answer:
    """Sends these bytes, and then nothing."""

    def answer(_: Received, peer: Peer) -> None:
        peer.send(data)
        peer.wait_until_gone()

    return answer


def never_ends(status: int = 200) -> Answer:
    """Sends a body as long as anybody reads it."""

    def answer(_: Received, peer: Peer) -> None:
        peer.send(f"HTTP/1.1 {status} Whatever\r\n\r\n".encode())
        while True:
            peer.send(b"x" * CHUNK_BYTES)

    return answer


def trickles(start: bytes = b"HTTP/1.1 200 OK\r\nX-Slow: ") -> Answer:
    """Sends this, then a byte after another."""

    def answer(_: Received, peer: Peer) -> None:
        peer.send(start)
        while True:
            peer.send(b"x")
            peer.pause()

    return answer


def is_silent(peer: Peer) -> None:
    """Reads, and says nothing, not even in TLS."""
    peer.wait_until_gone()


def is_deaf(peer: Peer) -> None:
    """Reads nothing."""
    peer.pause(DEADLINE_SECONDS)


@contextmanager
def full_listener(host: str = "127.0.0.1") -> Iterator[int]:
    """The port of a listener to which no connection succeeds any more: nobody accepts them."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, 0), backlog=0))
        address = listener.getsockname()
        stack.enter_context(socket.create_connection(address, DEADLINE_SECONDS))
        yield address[1]


@contextmanager
def refusing_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which nobody listens, nor can until the block ends: it is taken."""
    with socket.socket() as taken:
        taken.bind((host, 0))
        yield taken.getsockname()[1]


def closed_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens."""
    return free_port(host)
