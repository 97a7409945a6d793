"""Connections whose answer waits for long, kept where they cost the others nothing."""

import select
from collections import deque
from collections.abc import MutableMapping
from itertools import islice
from typing import Protocol

from task_queue.api.responses.late import Wait

_GOES = getattr(select, "POLLRDHUP", 0)
"""Linux: the client has closed its side. Elsewhere only a connection that broke is noticed."""


def has_gone(descriptor: int) -> bool:
    """Return whether the client of a connection whose answer waits has gone; see `Waiting`.

    Args:
        descriptor: The socket's; -1 if it is closed.
    """
    if descriptor < 0:
        return True
    client = select.poll()
    client.register(descriptor, _GOES)
    return bool(client.poll(0))


class Connection(Protocol):
    """A client's connection with a request on it.

    Attributes:
        gives_way: Whether it is closed with its next answer, as others need its place.
    """

    gives_way: bool

    @property
    def descriptor(self) -> int:
        """The socket's; -1 if it is closed."""

    @property
    def holds(self) -> bool:
        """Whether the key of its request still holds."""

    def handle_close(self) -> None:
        """Close it."""


class Waiting:
    """Connections that the loop need not ask anything, with what ends each one's wait.

    Waitress asks every connection in its map with each turn whether there is something to read or
    to write, which for 900 takes as long as a publish. On one that waits nothing is read: the next
    request on it has to wait, too. So it leaves the map until there is an answer, and the kernel is
    asked, at each look, which clients have gone. One that closes its side has gone, as
    nothing tells it from one that closed both.

    Only the loop's thread changes the map. Other threads say what is to be moved, in order.
    """

    def __init__(self, *maps: MutableMapping[int, Connection]) -> None:
        """Store the maps, by descriptor, that a connection is in while it does not wait."""
        self._maps = maps
        self._moves: deque[tuple[Connection, Wait | None]] = deque()
        self._waits: dict[int, tuple[Connection, Wait]] = {}
        self._clients = select.poll()
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._waits)

    def enter(self, connection: Connection, wait: Wait) -> None:
        """Have the connection taken out of the maps; for any thread."""
        self._moves.append((connection, wait))

    def leave(self, connection: Connection) -> None:
        """Have it put back; for any thread, which has to wake up the loop afterwards."""
        self._moves.append((connection, None))

    def move(self) -> None:
        """Do what was asked for since the last time."""
        while self._moves:
            connection, wait = self._moves.popleft()
            if wait is None:
                self._put_back(connection)
            elif connection.descriptor < 0 or (self._is_stopping and wait.stops):
                wait.end()
            else:
                self._take_out(connection, wait)

    def look(self, now: float) -> None:
        """End the waits that are over, and those whose client has gone or whose key has lapsed.

        Args:
            now: The present moment, on the clock `time.monotonic`.
        """
        for descriptor, _ in self._clients.poll(0):
            connection, wait = self._waits.pop(descriptor)
            self._clients.unregister(descriptor)
            connection.handle_close()
            wait.end()
        for connection, wait in self._waits.values():
            if now >= wait.until or (wait.stops and not connection.holds):
                wait.end()

    def make_room(self, count: int) -> None:
        """End so many waits, those that began first, for connections that have no place."""
        for connection, wait in islice(self._waits.values(), count):
            if wait.stops:
                connection.gives_way = True
                wait.end()

    def stop(self) -> None:
        """End all waits, and from now on each at its beginning."""
        self._is_stopping = True
        self.move()
        for _, wait in self._waits.values():
            if wait.stops:
                wait.end()

    def _take_out(self, connection: Connection, wait: Wait) -> None:
        descriptor = connection.descriptor
        for each in self._maps:
            each.pop(descriptor, None)
        self._waits[descriptor] = connection, wait
        # Where nobody waits by wish, a client that has said all it has to say may still listen.
        self._clients.register(descriptor, _GOES if wait.stops else 0)

    def _put_back(self, connection: Connection) -> None:
        descriptor = connection.descriptor
        if self._waits.pop(descriptor, None) is not None:
            self._clients.unregister(descriptor)
            for each in self._maps:
                each[descriptor] = connection
