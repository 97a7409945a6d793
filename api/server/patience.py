"""Connections that are given up: those that take too long, and those that make room for others."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from math import inf
from typing import Protocol

from waitress.utilities import Error

from task_queue.config.settings import HttpSettings

LOOK_SECONDS = 0.25
"""How often to look at the connections, and so how much later than its limit one may be ended."""
LINGER_SECONDS = 2.0
"""How long a client has to close its side after the last answer."""


class Stage(IntEnum):
    """What a connection is at, the one first of which others take the place first."""

    CLOSING = 0
    """Answered for the last time; the client has to close it, too."""
    IDLE = 1
    """No byte of a request has come."""
    HEAD = 2
    """A request's head is being read."""
    BODY = 3
    """A request's body is being read."""
    SENDING = 4
    """An answer is being sent, or a request behind it waits for that."""
    WORKING = 5
    """A request is being answered."""


class TooSlowError(Error):  # type: ignore[misc] # waitress has no types
    """A request that has not come in time."""

    code = HTTPStatus.REQUEST_TIMEOUT.value
    reason = HTTPStatus.REQUEST_TIMEOUT.phrase


@dataclass(slots=True)
class Seen:
    """What a connection was at when it was last looked at.

    Attributes:
        stage: The stage.
        work: Which request or answer it was at; a connection that is at another one has got on.
        since: When it was first seen so, seconds on the clock `time.monotonic`.
    """

    stage: Stage
    work: object
    since: float


class Connection(Protocol):
    """A client's connection."""

    seen: Seen | None
    addr: tuple[str, int]

    def at(self) -> tuple[Stage, object]:
        """Return its stage, and the request or the number of the answer that it is at."""

    def refuse(self, error: TooSlowError) -> None:
        """Answer the request that is being read with this error, and close it."""

    def drop(self) -> None:
        """Close it, unless a request has just come in."""


class Patience:
    """Looks at all connections every now and then, which costs a request nothing.

    With nearly all places taken, connections that have not got on for `LOOK_SECONDS` make room for
    others: first those that are idle, which harms nobody, then those that are slow. Among equals
    it is those of the client that has most, and of these the one that has waited for longest.
    Behind a proxy all clients have its address, so no address has a limit of its own.

    Attributes:
        places: How many connections there may be.
        room: How many there may be before they make room for others.
    """

    def __init__(self, http: HttpSettings) -> None:
        """Take the limits from the settings."""
        self._seconds: Mapping[Stage, float] = {
            Stage.CLOSING: LINGER_SECONDS,
            Stage.IDLE: http.idle_timeout_seconds,
            Stage.HEAD: http.head_timeout_seconds,
            Stage.BODY: http.body_timeout_seconds,
            Stage.SENDING: http.send_timeout_seconds,
            Stage.WORKING: inf,
        }
        self.limit_to(http.max_connections)

    def limit_to(self, connections: int) -> None:
        """Have places for so many connections, of which a twentieth is kept free."""
        self.places = max(1, connections)
        self.room = max(1, connections - max(1, connections // 20))

    def look(self, connections: Iterable[Connection], now: float, waiting: int = 0) -> int:
        """Give up what is overdue, and what others need the place of.

        Args:
            connections: All of them, but for those whose answer waits for long.
            now: The present moment, on the clock `time.monotonic`.
            waiting: How many of those there are.

        Returns:
            How many connections there still are without room.
        """
        still = []
        for connection in list(connections):
            seen, (stage, work) = connection.seen, connection.at()
            if seen is None or (seen.stage, seen.work) != (stage, work):
                connection.seen = seen = Seen(stage, work, now)
            if now - seen.since < self._seconds[stage]:
                still.append(connection)
            elif stage in {Stage.HEAD, Stage.BODY}:
                part, limit = stage.name.lower(), self._seconds[stage]
                connection.refuse(TooSlowError(f"the {part} of the request took over {limit:g} s"))
            else:
                connection.drop()
        too_many = max(0, len(still) + waiting - self.room)
        given_up = self._stuck(still, now)[:too_many] if too_many else []
        for connection in given_up:
            connection.drop()
        return too_many - len(given_up)

    def _stuck(self, connections: Sequence[Connection], now: float) -> list[Connection]:
        """Return those that can make room, in this order."""
        of_client = Counter(connection.addr[0] for connection in connections)
        found = [
            (seen.stage, -of_client[connection.addr[0]], seen.since, number)
            for number, connection in enumerate(connections)
            if (seen := connection.seen)
            and seen.stage is not Stage.WORKING
            and now - seen.since >= LOOK_SECONDS
        ]
        return [connections[number] for *_, number in sorted(found)]
