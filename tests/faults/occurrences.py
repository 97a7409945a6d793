"""Schedules that fire as often as a test wants, without anybody waiting for a minute to pass."""

import time
from collections.abc import Mapping
from itertools import count

from tests.faults.stored import Row, Stored
from tests.harness import ServerProcess, eventually

SELDOM = "0 0 29 2 *"
"""When the schedules fire by themselves: not while a test runs."""


class Occurrences:
    """Lets schedules be due at one moment of the past after another.

    Attributes:
        wanted: All occurrences that were due so far, as tasks name them.
    """

    def __init__(self, stored: Stored, schedules: Mapping[str, str]) -> None:
        """Store what is needed.

        Args:
            stored: The database.
            schedules: The queue of each, by name.
        """
        self.wanted: set[str] = set()
        self._stored = stored
        self._schedules = schedules
        self._moments = count(int(time.time()) - 3600)

    def put(self, server: ServerProcess) -> None:
        """Make the schedules."""
        for name, queue in self._schedules.items():
            task = {"action": "uppercase", "data": {"text": name}, "queue": queue}
            body = {"cron": SELDOM, "missed": "once", "task": task}
            assert server.client.put(f"/schedules/{name}", json=body).status_code == 201

    def make_due(self) -> None:
        """Let those be due that are not."""
        waiting = self._schedules.keys() - self._stored.due(time.time())
        moments = {name: next(self._moments) for name in sorted(waiting)}
        self.wanted |= {f"{name}@{moment}" for name, moment in moments.items()}
        self._stored.make_due(moments)

    def wait_until_published(self) -> None:
        """Until none is due any more."""
        eventually(lambda: not self._stored.due(time.time()), "all schedules fired")

    def check(self, rows: Mapping[str, Row]) -> None:
        """See that each occurrence became one task, which completed."""
        published = [row for row in rows.values() if row.occurrence is not None]
        assert sorted(str(row.occurrence) for row in published) == sorted(self.wanted)
        for row in published:
            name = str(row.occurrence).partition("@")[0]
            seen = (row.queue, row.status, row.output)
            assert seen == (self._schedules[name], "completed", name.upper())
