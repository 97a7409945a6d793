"""A connection to an allowed address; a cancel or a deadline ends its waits."""

import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from math import inf
from typing import Any, TypeVar

import httpcore
import httpx

from task_queue.actors.actions.call import SLICE_SECONDS, Call
from task_queue.actors.actions.http.lookup import in_time
from task_queue.actors.actions.http.networks import Network, is_address, is_allowed
from task_queue.actors.errors import TaskQueueError

CONNECT_SECONDS = 5.0
"""How long each address of a name has to answer, so that a dead one leaves time for the next."""
BEGINNING_BYTES = 16_384
"""How much of an answer is kept to tell its status, which may come after others that say 1xx."""

Resolver = Callable[..., Sequence[tuple[int, int, int, str, tuple[Any, ...]]]]
"""Finds the addresses of a name, like `socket.getaddrinfo`."""

T = TypeVar("T")


class AddressRefusedError(TaskQueueError):
    """All addresses that a name leads to are refused.

    Attributes:
        address: The first of them.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"{address}, which is not a public address")
        self.address = address


class Stream(httpcore.NetworkStream):
    """A connection whose every wait ends within a slice of a cancel or of the deadline.

    Its methods raise `Cancelled` and `TimedOut`, besides the errors that httpcore expects. The text
    of an error continues a sentence that begins with the peer's name.

    Attributes:
        beginning: The first bytes that came, `BEGINNING_BYTES` at most.
    """

    def __init__(self, sock: socket.socket, call: Call) -> None:
        """Take a connected socket that does not block."""
        self._socket = sock
        self._call = call
        self.beginning = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes, at least one; none at the end."""
        try:
            data = self._done(
                partial(self._socket.recv, max_bytes), selectors.EVENT_READ, _moment(timeout)
            )
        except TimeoutError as error:
            raise httpcore.ReadTimeout("sent nothing for too long") from error
        except OSError as error:
            raise httpcore.ReadError(f"broke the connection: {_cause(error)}") from error
        if len(self.beginning) < BEGINNING_BYTES:
            self.beginning += data[: BEGINNING_BYTES - len(self.beginning)]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        rest, until = memoryview(buffer), _moment(timeout)
        try:
            while rest:
                sent = self._done(partial(self._socket.send, rest), selectors.EVENT_WRITE, until)
                rest = rest[sent:]
        except TimeoutError as error:
            raise httpcore.WriteTimeout("took nothing for too long") from error
        except OSError as error:
            raise httpcore.WriteError(f"broke the connection: {_cause(error)}") from error

    def close(self) -> None:
        """Close it; closing it again does no harm."""
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "Stream":
        """Return the same connection, encrypted; close it if that fails.

        Args:
            ssl_context: Whom to trust.
            server_hostname: The name that the server's certificate must have, and that the server
                is told.
            timeout: Seconds for all of it; None: no limit but the deadline.
        """
        try:
            # No certificate's name ends with a dot. Encoded here, since `wrap_socket` leaves the
            # socket open if a name cannot be encoded.
            name = server_hostname and server_hostname.removesuffix(".").encode("idna").decode()
            encrypted = ssl_context.wrap_socket(
                self._socket, server_hostname=name, do_handshake_on_connect=False
            )
        except (
            OSError,
            ValueError,
        ) as error:  # closed already, or no certificate can have such a name
            self.close()
            raise httpcore.ConnectError(f"cannot be talked to by TLS: {_cause(error)}") from error
        stream = Stream(encrypted, self._call)
        try:
            stream._done(encrypted.do_handshake, selectors.EVENT_READ, _moment(timeout))
        except BaseException as error:
            stream.close()
            match error:
                case TimeoutError():
                    raise httpcore.ConnectTimeout("did not answer by TLS in time") from error
                case ssl.SSLCertVerificationError():
                    text = f"has a certificate that does not verify: {error.verify_message}"
                    raise httpcore.ConnectError(text) from error
                case OSError():
                    text = f"cannot be talked to by TLS: {_cause(error)}"
                    raise httpcore.ConnectError(text) from error
            raise
        return stream

    def _done(self, step: Callable[[], T], event: int, until: float) -> T:
        """Repeat the step until the socket is ready for it, and return what it returns.

        Raises:
            TimeoutError: It took too long.
            OSError: It failed.
        """
        while True:
            # Checked before every step: a peer that never stops sending must not win.
            self._call.interrupt()
            try:
                return step()
            except BlockingIOError:
                wanted = event
            except ssl.SSLWantReadError:
                wanted = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                wanted = selectors.EVENT_WRITE
            _wait(self._socket, wanted, self._call, until)


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes connections to addresses that are allowed.

    Attributes:
        networks: Where addresses need not be public.
        resolve: Finds the addresses of a name.
        connect_seconds: How long each address has to answer.
    """

    networks: Sequence[Network] = ()
    resolve: Resolver = socket.getaddrinfo
    connect_seconds: float = CONNECT_SECONDS

    def connect(self, host: str, port: int, call: Call) -> Stream:
        """Connect to the first of the host's addresses that is allowed and answers.

        The name is looked up once, here, and the connection goes to the very address that was
        checked: a name that leads elsewhere a moment later gains nothing.

        Args:
            host: A name or an address, without brackets.
            port: From 0 to 65535.
            call: Its cancel and deadline end the waits.

        Raises:
            AddressRefusedError: None of the addresses is allowed.
            httpcore.ConnectError: The name is not known, or no allowed address answers.
        """
        look_up = partial(self.resolve, host, port, type=socket.SOCK_STREAM)
        try:
            found = look_up() if is_address(host) else in_time(look_up, call)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"cannot be found: {_cause(error)}") from error
        allowed = [each for each in found if is_allowed(str(each[4][0]), self.networks)]
        if found and not allowed:
            raise AddressRefusedError(str(found[0][4][0]))
        problem = "it has no address"
        for family, _, _, _, address in allowed:
            try:
                return Stream(self._connected(family, address, call), call)
            except TimeoutError:
                problem = f"no answer within {self.connect_seconds:g} s"
            except OSError as error:
                problem = _cause(error)
        raise httpcore.ConnectError(f"cannot be reached: {problem}")

    def _connected(self, family: int, address: tuple[Any, ...], call: Call) -> socket.socket:
        """Return a socket that does not block, connected to the address."""
        with ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(BlockingIOError):  # it has begun
                sock.connect(address)
            _wait(sock, selectors.EVENT_WRITE, call, _moment(self.connect_seconds))
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
            undo.pop_all()
        return sock


@cache
def default_ssl_context() -> ssl.SSLContext:
    """Return a context that trusts the usual authorities, or those that the environment names.

    The variables are OpenSSL's, `SSL_CERT_FILE` and `SSL_CERT_DIR`. Reading the authorities takes
    longer than most requests, so it is done once, and only when it is needed.
    """
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _wait(sock: socket.socket, event: int, call: Call, until: float) -> None:
    """Wait until the socket is ready.

    Raises:
        Cancelled: Somebody asked for it.
        TimedOut: The call's deadline is over.
        TimeoutError: The moment has come, on the clock `time.monotonic`.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(sock, event)
        while True:
            call.interrupt()
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if selector.select(min(SLICE_SECONDS, left, call.remaining_seconds)):
                return


def _moment(timeout: float | None) -> float:
    """Return when so many seconds are over, on the clock `time.monotonic`."""
    return inf if timeout is None else time.monotonic() + timeout


def _cause(error: Exception) -> str:
    """Return what went wrong, in the system's words."""
    match error:
        case ssl.SSLError(reason=str() as reason):
            return reason.replace("_", " ").lower()
        case OSError(strerror=str() as text):
            return text
    return "not a host's name" if isinstance(error, ValueError) else type(error).__name__
