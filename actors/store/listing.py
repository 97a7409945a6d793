"""Listings: pages of tasks by any filter.

A page is read from an index in the page's order, from where the last page ended; or from one range
of an index for each queue that may be on it, and each state asked for, merged: never through the
tasks of a queue that the caller does not see. Other filters are checked in the rows, and a page
ends early rather than check too many.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from task_queue.actors.store import counts, dead_groups
from task_queue.actors.store.columns import TASK_COLUMNS, task_in
from task_queue.actors.store.conditions import Condition, conditions, looked_up, states
from task_queue.actors.store.schema import attempts, is_suspect, tasks
from task_queue.actors.tasks.filters import Cursor, Filters, LeftOut
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Task

MAX_PAGE_BYTES = 8_388_608
"""A page ends early when its data and results are longer than this: with rows of a megabyte, a
page of a thousand would not fit into memory."""
ROWS_AT_ONCE = 20
"""How many rows of a page are fetched together, and so may lie beyond its end."""
MAX_WALK = 10_000
"""A page ends early, even empty, where it had to look at so many rows."""
QUEUES_AT_ONCE = 14
"""How many queues one statement merges: 98 ranges of indexes at most; SQLite takes 500."""
IDS_AT_ONCE = 500
"""How many ids one statement fetches."""
MAX_CREATED_AT = 2**63 - 1
"""Later than anything."""

_ROWS = sa.select(*TASK_COLUMNS, tasks.c.seq)
_IDS = sa.select(tasks.c.seq, tasks.c.id)
_last_outcome = (
    sa.select(attempts.c.outcome)
    .where(attempts.c.task_id == tasks.c.id)
    .order_by(attempts.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)
# A task in a process of its own that crashed is no suspect, and few tasks are: the subquery is
# evaluated for these alone.
_was_lost = sa.and_(is_suspect, _last_outcome.in_([Outcome.LOST.value, Outcome.CRASHED.value]))

_Range = Mapping[sa.Column[str], str]
"""Part of an index: its first columns, and their values; then come `created_at` and `seq`."""
_Span = tuple[Cursor, Cursor]
"""Between these two places, without them."""


def page(
    connection: sa.Connection, filters: Filters, limit: int, after: Cursor | None = None
) -> tuple[list[Task], Cursor | None]:
    """Return a page of tasks.

    Args:
        connection: Inside a transaction.
        filters: Which tasks, and in which order.
        limit: How many it holds at most.
        after: Only those behind this place.

    Returns:
        The tasks, and where the page ends if there may be more behind it. There are fewer than
        asked for, or none, where they are long (`MAX_PAGE_BYTES`) or far between (`MAX_WALK`).
    """
    walk = _walk(connection, filters)
    if (rows := walk.rows(_span(filters, after))) is not None:
        return _streamed(connection, rows, limit)
    end = walk.end(connection, _span(filters, after))
    places = walk.first(connection, _span(filters, after, end), limit + 1)
    if len(places) > limit:
        places, end = places[:limit], places[limit - 1]
    return _shown(connection, filters, places, end)


def ids(
    connection: sa.Connection, filters: Filters, limit: int, after: Cursor | None = None
) -> tuple[list[str], Cursor | None]:
    """Return the ids of a page of tasks, and where it ends, as `page` does; the data is not read.

    Args:
        connection: Inside a transaction.
        filters: Which tasks, and in which order.
        limit: How many at most.
        after: Only those behind this place.
    """
    walk = _walk(connection, filters)
    end = walk.end(connection, _span(filters, after))
    places = walk.first(connection, _span(filters, after, end), limit + 1)
    if len(places) > limit:
        places, end = places[:limit], places[limit - 1]
    return _ids_at(connection, places), end


def named_ids(connection: sa.Connection, filters: Filters, task_ids: Sequence[str]) -> list[str]:
    """Return those of these ids, in their order, whose tasks match the filters."""
    low, high = _span(filters)
    wanted = [
        *conditions(connection, filters),
        sa.tuple_(tasks.c.created_at, tasks.c.seq) > sa.tuple_(*low),
        sa.tuple_(tasks.c.created_at, tasks.c.seq) < sa.tuple_(*high),
    ]
    if filters.queues is not None:
        wanted.append(tasks.c.queue.in_(sorted(filters.queues)))
    found: set[str] = set()
    for start in range(0, len(task_ids), IDS_AT_ONCE):
        some = tasks.c.id.in_(task_ids[start : start + IDS_AT_ONCE])
        found |= set(connection.scalars(sa.select(tasks.c.id).where(some, *wanted)))
    return [each for each in task_ids if each in found]


def dead_ids(
    connection: sa.Connection, filters: Filters, limit: int, isolated: Collection[str] = ()
) -> tuple[list[str], LeftOut]:
    """Return the ids of the first dead tasks that match the filters, the oldest first.

    Looks at dead tasks only, until there are enough, at all of them if need be.

    Args:
        connection: Inside a transaction.
        filters: Which of them; `actions` are those that are known.
        limit: At most so many.
        isolated: The actions that run outside the service; none of theirs is in quarantine.

    Returns:
        The ids, and how many were left out on the way, `MAX_WALK` of a kind at most.
    """
    dead = replace(filters, statuses=(Status.DEAD,), oldest_first=True, actions=None)
    if dead.error_group is not None:
        walk = _walk_along_group(connection, dead)
    else:
        walk = _walk_by_state(connection, dead, _numbers(connection, dead))
    action = looked_up(tasks.c.action)
    known = [] if filters.actions is None else [action.in_(filters.actions)]
    in_quarantine = _was_lost
    if isolated:
        in_quarantine &= action.not_in(sorted(isolated))

    def first(span: _Span, count: int, *conditions: Condition) -> list[Cursor]:
        return replace(walk, rest=[*walk.rest, *conditions]).first(connection, span, count)

    places = first(_span(dead), limit, *known, sa.not_(in_quarantine))
    passed = _span(dead, end=places[-1] if len(places) == limit else None)
    left = LeftOut(
        quarantined=len(first(passed, MAX_WALK, *known, in_quarantine)),
        unknown=sum(len(first(passed, MAX_WALK, sa.not_(each))) for each in known),
    )
    return _ids_at(connection, places), left


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way along tasks in the order of a listing.

    Attributes:
        ranges: Ranges of indexes, each in this order, none with a task of another. In groups, each
            of which one statement merges.
        rest: The other conditions, which have to be checked in the rows.
        oldest_first: See `Filters`.
        length: How many tasks are on it, if that is known.
    """

    ranges: Sequence[Sequence[_Range]]
    rest: Sequence[Condition]
    oldest_first: bool
    length: int | None = None

    def first(self, connection: sa.Connection, span: _Span, limit: int) -> list[Cursor]:
        """Return the places of the first tasks in this span that match."""
        return self._merged(
            connection, lambda each: self._part(each, span).where(*self.rest).limit(limit), limit
        )

    def rows(self, span: _Span) -> sa.Select[Any] | None:
        """Return the select of all rows in this span, if that is one range; else None."""
        if self.rest or len(self.ranges) != 1 or len(self.ranges[0]) != 1:
            return None
        return self._part(self.ranges[0][0], span).with_only_columns(*_ROWS.selected_columns)

    def end(self, connection: sa.Connection, span: _Span) -> Cursor | None:
        """Return a place up to which there are at most `MAX_WALK` rows; None: to the end."""
        if not self.rest or (self.length is not None and self.length <= MAX_WALK):
            return None
        skip = MAX_WALK // (sum(map(len, self.ranges)) or 1)
        ends = self._merged(
            connection, lambda each: self._part(each, span).offset(skip).limit(1), 1
        )
        return ends[0] if ends else None

    def _merged(
        self,
        connection: sa.Connection,
        part: Callable[[_Range], sa.Select[tuple[int, int]]],
        limit: int,
    ) -> list[Cursor]:
        """Return the first places in this part of all ranges together."""
        places: list[Cursor] = []
        for group in self.ranges:
            parts = [part(each) for each in group]
            statement: sa.Executable = parts[0]
            if len(parts) > 1:
                merged = sa.union_all(*(sa.select(each.subquery()) for each in parts))
                order = [self._ordered(sa.column(name)) for name in ("created_at", "seq")]
                statement = merged.order_by(*order).limit(limit)
            places += [(created_at, seq) for created_at, seq in connection.execute(statement)]
        return sorted(places, reverse=not self.oldest_first)[:limit]

    def _part(self, each: _Range, span: _Span) -> sa.Select[tuple[int, int]]:
        """Select the places in the range and the span, in order.

        Written such that only the intended index has both the range and the order. With one
        equality for each column, PostgreSQL may use `tasks_created` instead, and read all tasks
        until enough match.
        """
        columns = (*each, tasks.c.created_at, tasks.c.seq)
        here = sa.tuple_(*columns)
        low, high = (sa.tuple_(*each.values(), *place) for place in span)
        return (
            sa.select(tasks.c.created_at, tasks.c.seq)
            .where(here > low, here < high)
            # SQLite needs this to use a partial index.
            .where(*(column.is_not(None) for column in each if column.nullable))
            .order_by(*map(self._ordered, columns))
        )

    def _ordered(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column.asc() if self.oldest_first else column.desc()


def _walk(connection: sa.Connection, filters: Filters) -> _Walk:
    """Return the walk that looks at the fewest rows in vain."""
    t = tasks.c
    keys = (filters.unique_key, filters.key, filters.error_group)
    names = (filters.queue, filters.queues, filters.action, *keys)
    if names == (None,) * len(names) and not states(filters):
        return _Walk([[{}]], conditions(connection, filters), filters.oldest_first)
    numbers = _numbers(connection, filters)
    if filters.unique_key is not None:
        return _walk_along(connection, filters, numbers, {t.unique_key: filters.unique_key})
    if filters.key is not None:
        return _walk_along(connection, filters, numbers, {t.key: filters.key})
    if filters.error_group is not None:
        return _walk_along_group(connection, filters)
    if filters.action is not None and sum(numbers.values()) > MAX_WALK:
        return _walk_along(connection, filters, numbers, {t.action: filters.action})
    return _walk_by_state(connection, filters, numbers)


def _walk_by_state(
    connection: sa.Connection, filters: Filters, numbers: Mapping[str, int]
) -> _Walk:
    """Return the walk through each state asked for of the queues with so many tasks.

    All states of a queue are in one statement, even those that had no task a moment ago: a task
    that changes its state meanwhile is on the page once.
    """
    parts = [{tasks.c.status: status.value} for status in states(filters) or Status]
    walk = _walk_along(connection, filters, numbers, *parts)
    return replace(walk, length=sum(numbers.values()))


def _walk_along(
    connection: sa.Connection, filters: Filters, queues: Iterable[str], *parts: _Range
) -> _Walk:
    """Return the walk through these parts of an index, which go on with `queue`, in each queue."""
    names = list(queues)
    ranges: list[list[_Range]] = [
        [
            {**part, tasks.c.queue: queue}
            for queue in names[start : start + QUEUES_AT_ONCE]
            for part in parts
        ]
        for start in range(0, len(names), QUEUES_AT_ONCE)
    ]
    rest = conditions(connection, filters, but={tasks.c.queue, *parts[0]})
    return _Walk(ranges, rest, filters.oldest_first)


def _walk_along_group(connection: sa.Connection, filters: Filters) -> _Walk:
    """Return the walk through the dead tasks of a group of errors, in each queue and action."""
    t = tasks.c
    asked = states(filters)
    found = dead_groups.groups(connection, filters) if not asked or Status.DEAD in asked else []
    each: list[_Range] = [
        {t.error_group: group.error_group, t.queue: group.queue, t.action: group.action}
        for group in found
    ]
    ranges = [each[i : i + QUEUES_AT_ONCE] for i in range(0, len(each), QUEUES_AT_ONCE)]
    rest = conditions(connection, filters, but={t.error_group, t.queue, t.action, t.status})
    length = sum(group.number for group in found)
    return _Walk(ranges, rest, filters.oldest_first, length)


def _numbers(connection: sa.Connection, filters: Filters) -> dict[str, int]:
    """Count the tasks in the queues and states asked for, by queue; only queues with any."""
    numbers = {
        queue: sum(counted[status] for status in states(filters) or Status)
        for queue, counted in counts.by_state(connection).items()
        if filters.take(queue)
    }
    return {queue: number for queue, number in numbers.items() if number}


def _span(filters: Filters, after: Cursor | None = None, end: Cursor | None = None) -> _Span:
    """Return where the tasks of the time asked for are, behind `after` and up to `end`.

    One bound at each side: of two, SQLite might seek the farther one, and read all between.
    """
    lows = [(filters.created_after or 0, 0)]
    highs = [(MAX_CREATED_AT if filters.created_before is None else filters.created_before, 0)]
    near, far = (lows, highs) if filters.oldest_first else (highs, lows)
    if after is not None:
        near.append(after)
    if end is not None:
        created_at, seq = end
        far.append((created_at, seq + 1 if filters.oldest_first else seq - 1))
    return max(lows), min(highs)


def _ids_at(connection: sa.Connection, places: Sequence[Cursor]) -> list[str]:
    """Return the ids of the tasks at these places, in their order."""
    found: list[str] = []
    for start in range(0, len(places), IDS_AT_ONCE):
        seqs = [seq for _, seq in places[start : start + IDS_AT_ONCE]]
        rows = connection.execute(_IDS.where(tasks.c.seq.in_(seqs)))
        ids_of = {row.seq: row.id for row in rows}
        found += [ids_of[seq] for seq in seqs if seq in ids_of]
    return found


def _shown(
    connection: sa.Connection, filters: Filters, places: Sequence[Cursor], end: Cursor | None
) -> tuple[list[Task], Cursor | None]:
    """Return the tasks at these places that still match, and where the page ends."""
    wanted = conditions(connection, filters)
    shown: list[Task] = []
    length = 0
    for start in range(0, len(places), ROWS_AT_ONCE):
        some = places[start : start + ROWS_AT_ONCE]
        rows = _ROWS.where(tasks.c.seq.in_([seq for _, seq in some]), *wanted)
        found = {row.seq: row for row in connection.execute(rows)}
        for number, (_, seq) in enumerate(some, start):
            if length > MAX_PAGE_BYTES:
                return shown, places[number - 1]
            if seq in found:
                task = task_in(found[seq])
                shown.append(task)
                length += len(task.data) + len(task.result or "")
    return shown, end


def _streamed(
    connection: sa.Connection, rows: sa.Select[Any], limit: int
) -> tuple[list[Task], Cursor | None]:
    """Return a page of these rows, reading only a few beyond its end."""
    shown: list[Task] = []
    length, end = 0, None
    options = {"yield_per": ROWS_AT_ONCE}
    with connection.execute(rows.limit(limit + 1), execution_options=options) as found:
        for row in found:
            if len(shown) == limit or length > MAX_PAGE_BYTES:
                return shown, end
            task = task_in(row)
            shown.append(task)
            length += len(task.data) + len(task.result or "")
            end = (task.created_at, row.seq)
    return shown, None
