"""What is in a database, read from outside, whether a server runs on it or not."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import sqlalchemy as sa

from task_queue.actors.store.schema import attempts, counts, in_state, schedules, tasks
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.config.layers import load
from tests.harness import DEADLINE_SECONDS, eventually


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
    queue: str
    key: str | None
    unique_key: str | None
    occurrence: str | None
    started_at: float | None
    ended_at: float | None
    run_at: float

    @cached_property
    def output(self) -> object:
        """What its action came to."""
        return None if self.result is None else json.loads(self.result)["output"]

    @cached_property
    def number(self) -> int:
        """What a publisher of the load put in."""
        return int(json.loads(self.data)["numbers"][0])


@dataclass(frozen=True)
class Run:
    """An attempt that ended, and whose it was."""

    task_id: str
    number: int
    outcome: str
    started_at: float
    ended_at: float


class Stored:
    """The tasks in one database."""

    def __init__(self, url: str) -> None:
        settings = load(overrides=[f"database.url={url}"], environ={}).settings.database
        self._engine = sa.create_engine(settings.url, poolclass=sa.NullPool)

    def rows(self) -> dict[str, Row]:
        """All tasks by id."""
        query = sa.select(*(tasks.c[name] for name in Row.__dataclass_fields__))
        with self._engine.connect() as connection:
            return {row.id: Row(*row) for row in connection.execute(query)}

    def runs(self) -> dict[str, list[Run]]:
        """The attempts of each task by its id, in order: those that failed, and what completed."""
        a, t = attempts.c, tasks.c
        failed = sa.select(a.task_id, a.number, a.outcome, a.started_at, a.ended_at).order_by(a.seq)
        completed = sa.select(t.id, t.attempt, t.status, t.started_at, t.ended_at).where(
            in_state(Status.COMPLETED)
        )
        runs: defaultdict[str, list[Run]] = defaultdict(list)
        with self._engine.connect() as connection:
            for query in (failed, completed):
                for row in connection.execute(query):
                    runs[row[0]].append(Run(*row))
        return runs

    def unfinished(self) -> int:
        """How many tasks are in no final state."""
        return self._count(tasks.c.status.not_in(FINAL))

    def has_left(self, status: Status, task_id: str) -> bool:
        """Whether this task is in another state."""
        return not self._count(in_state(status), tasks.c.id == task_id)

    def in_state(self, status: Status) -> int:
        """How many tasks are in this state."""
        return self._count(in_state(status))

    def completed(self, action: str) -> int:
        """How many tasks with this action are done."""
        return self._count(in_state(Status.COMPLETED), tasks.c.action == action)

    def wait_until_finished(self, timeout: float = DEADLINE_SECONDS) -> dict[str, Row]:
        """All tasks by id, once each is in a final state."""
        eventually(lambda: self.unfinished() == 0, "all tasks finished", timeout)
        return self.rows()

    def make_due(self, occurrences: Mapping[str, float]) -> None:
        """Let these schedules be due, each since this moment, Unix seconds."""
        with self._engine.connect() as connection, connection.begin():
            for name, moment in occurrences.items():
                this = schedules.c.name == name
                connection.execute(sa.update(schedules).where(this).values(next_at=moment))

    def due(self, now: float) -> set[str]:
        """The names of the schedules that are due at this moment and have not fired yet."""
        query = sa.select(schedules.c.name).where(schedules.c.next_at <= now)
        with self._engine.connect() as connection:
            return set(connection.scalars(query))

    def check_counts(self) -> None:
        """Compare the counts that are kept with the rows, at one moment."""
        t, kept = tasks.c, sa.literal("kept")
        names = [column.name for column in counts.c if column.name not in {"queue", "slot"}]
        sums = [
            sa.select(kept, counts.c.queue, sa.literal(name), sa.func.sum(counts.c[name])).group_by(
                counts.c.queue
            )
            for name in names
        ]
        name = sa.case((t.status.in_(("queued", "running")), "active"), else_=t.status)
        # The tests' data is ASCII: its characters are its bytes.
        size = sa.func.sum(sa.func.length(t.data))
        rows = sa.literal("rows")
        number = sa.select(rows, t.queue, name, sa.func.count()).group_by(t.queue, name)
        length = sa.select(rows, t.queue, sa.literal("bytes"), size).group_by(t.queue)
        query = sa.union_all(*sums, number, length.where(t.status.not_in(FINAL)))
        found: dict[str, dict[tuple[str, str], int]] = {"kept": {}, "rows": {}}
        with self._engine.connect() as connection:
            for side, queue, what, amount in connection.execute(query):
                if amount:
                    found[side][queue, what] = int(amount)
        assert found["kept"] == found["rows"]
        assert found["rows"], "there is something to count"

    def _count(self, *conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(tasks).where(*conditions)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


def most_at_once(runs: Iterable[Run]) -> int:
    """How many of these ran at the same moment; one that ends makes way for one that starts."""
    steps = sorted([(run.started_at, 1) for run in runs] + [(run.ended_at, -1) for run in runs])
    return max(accumulate((step for _, step in steps), initial=0))
