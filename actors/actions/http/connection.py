"""A connection to an address that may be connected to; a cancel or a deadline ends its waits."""

import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import inf
from typing import Any, TypeVar

import httpcore

from task_queue.actors.actions.call import SLICE_SECONDS, Call
from task_queue.actors.errors import TaskQueueError

CONNECT_SECONDS = 5.0
"""What each address of a name gets to answer in, so that a dead one leaves time for the next."""

Network = IPv4Network | IPv6Network
Resolver = Callable[..., Sequence[tuple[int, int, int, str, tuple[Any, ...]]]]
"""Finds the addresses of a name, like `socket.getaddrinfo`."""

T = TypeVar("T")

_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER_PUBLIC = tuple(
    ip_network(text)
    for text in (
        # Not for everybody, though not every version of `ipaddress` says so.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        # A public address by its number only: the metadata of a cloud's machines.
        "168.63.129.16/32",
    )
)


class AddressRefusedError(TaskQueueError):
    """A name leads to addresses only that may not be connected to.

    Attributes:
        address: The first of them.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"{address}, which is not a public address")
        self.address = address


def is_allowed(address: str, networks: Sequence[Network]) -> bool:
    """Whether a connection may be made to the address: a public one, or one in these networks.

    An IPv4 address that is written as an IPv6 one, or that NAT64 leads to, is judged as what it is.
    Other wrappings of IPv4 addresses (6to4, Teredo, a local NAT64) are no public addresses
    themselves, so nothing inside makes them allowed.

    Args:
        address: As a text, with or without a zone.
        networks: Where addresses need not be public.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:  # a name: what it leads to is not known
        return False
    if any(ip in network for network in networks):
        return True
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or (ip_address(ip.packed[-4:]) if ip in _NAT64 else None)
        if inner is not None:
            return is_allowed(str(inner), networks)
        if ip.is_site_local:
            return False
    return (
        ip.is_global
        and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)
        and not (ip.is_loopback or ip.is_link_local)
        and not any(ip in network for network in _NEVER_PUBLIC)
    )


class Stream(httpcore.NetworkStream):
    """A connection whose every wait ends within a slice of a cancel or of the deadline.

    Its methods raise `Cancelled` and `TimedOut`, besides what httpcore expects of them. The texts
    of errors go on after the name of the peer.
    """

    def __init__(self, sock: socket.socket, call: Call) -> None:
        """Take a connected socket that does not block."""
        self._socket = sock
        self._call = call

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes, at least one; none at the end."""
        try:
            return self._done(
                partial(self._socket.recv, max_bytes), selectors.EVENT_READ, _moment(timeout)
            )
        except TimeoutError as error:
            raise httpcore.ReadTimeout("sent nothing for too long") from error
        except OSError as error:
            raise httpcore.ReadError(f"broke the connection: {_cause(error)}") from error

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
        """Close it; more than once does no harm."""
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "Stream":
        """The same connection, encrypted. If that fails it is closed.

        Args:
            ssl_context: Whom to trust.
            server_hostname: Whose certificate it must be, and which of its names the server is
                told.
            timeout: Seconds for all of it; None: no limit but the deadline.
        """
        try:
            # A dot at the end is part of no certificate. Encoded here: there, a name that cannot
            # be would leave the socket open.
            name = server_hostname and server_hostname.removesuffix(".").encode("idna").decode()
            encrypted = ssl_context.wrap_socket(
                self._socket, server_hostname=name, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:  # gone already, or such a name has no certificate
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
        """What the step returns, once the socket lets it.

        Raises:
            TimeoutError: It took too long.
            OSError: It failed.
        """
        while True:
            # Not only when there is nothing to do: a peer that always sends must not win.
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
        connect_seconds: What each address gets to answer in.
    """

    networks: Sequence[Network] = ()
    resolve: Resolver = socket.getaddrinfo
    connect_seconds: float = CONNECT_SECONDS

    def connect(self, host: str, port: int, call: Call) -> Stream:
        """A connection to one of the host's addresses, the first that is allowed and answers.

        The name is looked up once, here, and what is connected to is the very address that was
        checked: a name that leads elsewhere a moment later gains nothing.

        Args:
            host: A name or an address, without brackets.
            port: From 0 to 65535.
            call: What may end it. It cannot end the look-up of the name.

        Raises:
            AddressRefusedError: None of the addresses is allowed.
            httpcore.ConnectError: The name is not known, or no allowed address answers.
        """
        try:
            found = self.resolve(host, port, type=socket.SOCK_STREAM)
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
        """A socket that does not block, connected to the address."""
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


def _wait(sock: socket.socket, event: int, call: Call, until: float) -> None:
    """Return when the socket is ready.

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
    """When so many seconds are over, on the clock `time.monotonic`."""
    return inf if timeout is None else time.monotonic() + timeout


def _cause(error: Exception) -> str:
    """What went wrong, in the system's words."""
    match error:
        case ssl.SSLError(reason=str() as reason):
            return reason.replace("_", " ").lower()
        case OSError(strerror=str() as text):
            return text
    return "not a host's name" if isinstance(error, ValueError) else type(error).__name__
