"""What is in a database, read from outside, whether a server runs on it or not."""

import json
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa

from actors.store.schema import in_state, tasks
from actors.task import Status
from config.settings import load
from tests.harness import DEADLINE_SECONDS, eventually

UNFINISHED = (Status.QUEUED, Status.SCHEDULED, Status.RUNNING)


@dataclass(frozen=True)
class Row:
    """A stored task, as far as the tests ask."""

    id: str
    action: str
    data: str
    status: str
    result: str | None
    error: str | None
    attempt: int

    @cached_property
    def output(self) -> object:
        """What its action came to."""
        return None if self.result is None else json.loads(self.result)["output"]

    @cached_property
    def number(self) -> int:
        """What a publisher of the load put in."""
        return int(json.loads(self.data)["numbers"][0])


class Stored:
    """The tasks in one database."""

    def __init__(self, url: str) -> None:
        settings = load(overrides=[f"database.url={url}"], environ={}).settings.database
        self._engine = sa.create_engine(settings.url, poolclass=sa.NullPool)

    def rows(self) -> dict[str, Row]:
        """All tasks by id."""
        t = tasks.c
        query = sa.select(t.id, t.action, t.data, t.status, t.result, t.error, t.attempt)
        with self._engine.connect() as connection:
            return {row.id: Row(*row) for row in connection.execute(query)}

    def unfinished(self) -> int:
        """How many tasks are in no final state."""
        states = [status.value for status in UNFINISHED]
        return self._count(tasks.c.status.in_(states))

    def completed(self, action: str) -> int:
        """How many tasks with this action are done."""
        return self._count(in_state(Status.COMPLETED), tasks.c.action == action)

    def wait_until_finished(self, timeout: float = DEADLINE_SECONDS) -> dict[str, Row]:
        """All tasks by id, once each is in a final state."""
        eventually(lambda: self.unfinished() == 0, "all tasks finished", timeout)
        return self.rows()

    def _count(self, *conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(tasks).where(*conditions)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())
