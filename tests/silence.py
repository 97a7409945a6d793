"""A proxy that goes silent: it acknowledges all that comes, as a middlebox does, and no more."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """A TCP proxy on loopback; once `silent` is set, nothing comes through any more.

    Attributes:
        port: Where it listens.
        silent: Whether it takes everything and passes nothing on.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.silent = threading.Event()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """End all connections."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += near, far
                for ends in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pass_on, args=ends)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.silent.is_set():
                    sink.sendall(data)
            if not self.silent.is_set():
                sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """A proxy in front of that server, which ends with the block."""
    made = Proxy((host, port))
    try:
        yield made
    finally:
        made.close()
