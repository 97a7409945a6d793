"""The listening socket: bound before anything runs, and closed without a reset."""

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from task_queue.actors.errors import BootError
from task_queue.actors.runtime.forked import kept_from_forked
from task_queue.api.server.unix_socket import UnixListener
from task_queue.config.settings import HttpSettings

_SO_ATTACH_FILTER = 26  # Linux: `asm-generic/socket.h`; the socket module has no name for it
_DROP_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the flags of the TCP header
        (0x45, 0, 1, 0x02),  # is SYN among them?
        (0x06, 0, 0, 0),  # then drop the packet
        (0x06, 0, 0, 0xFFFF_FFFF),  # else keep all of it
    )
)


@contextmanager
def listener_on(http: HttpSettings, unix_socket: Path | None) -> Iterator[socket.socket]:
    """Hold what is listened on: the Unix socket if there is to be one, else the port.

    Args:
        http: Has the address and the port.
        unix_socket: An absolute path.

    Raises:
        BootError: It cannot be had.
    """
    listener = _bound(http) if unix_socket is None else UnixListener(unix_socket)
    try:
        yield kept_from_forked(listener)
    finally:
        if isinstance(listener, UnixListener):
            listener.withdraw()
        listener.close()


def _bound(http: HttpSettings) -> socket.socket:
    """Bind a socket to the address; it listens when everything is up.

    A port in use is noticed here, before any actor has claimed a task. Of a name with several
    addresses the first IPv4 one is used.

    Raises:
        BootError: It cannot be bound.
    """
    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        raise cannot_listen(http, error) from error
    return listener


def cannot_listen(http: HttpSettings, error: Exception) -> BootError:
    """Return the error of an address that cannot be used."""
    reason = getattr(error, "strerror", None) or str(error)
    return BootError(f"cannot listen on {http.host}:{http.port}: {reason}")


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine reaches the socket."""
    if isinstance(listener, UnixListener):
        return True
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def refuse_handshakes(listener: socket.socket) -> None:
    """Let no further connection begin, while those that have begun can still be accepted.

    Connections that are in the kernel's queue when the socket is closed are reset, and with clients
    that come all the time some always are. So the kernel is told to drop what begins another one:
    such a client tries again after a second, and is refused then. Elsewhere than on Linux nothing
    happens. A Unix socket's file is removed.
    """
    if isinstance(listener, UnixListener):
        listener.withdraw()
        return
    program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
    described = struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(program))
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
