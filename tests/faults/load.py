"""Publishers that put a server under load and note everything they were told."""

import json
import threading
from collections import Counter
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from itertools import count
from types import TracebackType
from typing import Self

from tests.faults.stored import Row
from tests.harness import DEADLINE_SECONDS, ServerProcess

RETRY_PAUSE_SECONDS = 0.02


class Load:
    """Threads that publish one `sum` after the other, each with a number of its own.

    A publisher whose connection breaks waits until the load is aimed at a server again. It never
    repeats a publish, so a number that is stored twice was made up by the server.
    """

    def __init__(self, publishers: int = 8) -> None:
        self.accepted: dict[str, int] = {}
        self.sent: set[int] = set()
        self.refused: set[int] = set()
        self.unexpected: list[str] = []
        self.cut = 0
        self._numbers = count(1)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._aims: list[int] | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(publishers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let publishes in hand be answered, and end."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def aim(self, *servers: ServerProcess) -> None:
        """Publish to these servers from now on, each publisher to one of them."""
        with self._changed:
            self._aims = [server.client.base_url.port or 0 for server in servers]
            self._changed.notify_all()

    def wait_for(self, accepted: int = 0, refused: int = 0) -> None:
        """Until so many publishes in all were answered with 202, and with 503."""
        with self._changed:
            reached = self._changed.wait_for(
                lambda: len(self.accepted) >= accepted and len(self.refused) >= refused,
                DEADLINE_SECONDS,
            )
            assert reached, (len(self.accepted), len(self.refused), self.cut, self.unexpected)

    def check(self, rows: Iterable[Row]) -> None:
        """Compare what the publishers were told with what is stored, when all is done."""
        loaded = [row for row in rows if row.action == "sum"]
        stored = {row.id: row.number for row in loaded}
        assert self.unexpected == []
        assert self.accepted.items() <= stored.items(), "an accepted task is missing or another"
        assert Counter(stored.values()).most_common(1)[0][1] == 1, "a publish was stored twice"
        assert set(stored.values()) <= self.sent, "a task was invented"
        wrong = [row for row in loaded if (row.status, row.output) != ("completed", row.number * 2)]
        assert wrong == []

    def _run(self, publisher: int) -> None:
        aims: list[int] | None = None
        while aims := self._next_aims(aims):
            port = aims[publisher % len(aims)]
            connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
            try:
                while self._aims is aims and not self._stopping.is_set():
                    self._publish(connection)
            except (OSError, HTTPException):
                with self._changed:
                    self.cut += 1
            finally:
                connection.close()

    def _next_aims(self, former: list[int] | None) -> list[int] | None:
        """The servers' ports, once the load is aimed anew; None when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or self._aims is not former)
            return None if self._stopping.is_set() else self._aims

    def _publish(self, connection: HTTPConnection) -> None:
        if connection.sock is None:
            connection.connect()  # what cannot connect has sent nothing
        with self._changed:
            number = next(self._numbers)
            self.sent.add(number)
        body = json.dumps({"action": "sum", "data": {"numbers": [number, number]}})
        connection.request("POST", "/tasks", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        with self._changed:
            match response.status, response.headers["Retry-After"]:
                case 202, None:
                    self.accepted[answer["id"]] = number
                case 503, str():
                    self.refused.add(number)
                case _:
                    self.unexpected.append(f"{response.status} {answer}")
            self._changed.notify_all()
        if response.status != 202:
            self._stopping.wait(RETRY_PAUSE_SECONDS)  # as Retry-After asks, in short
