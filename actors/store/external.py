"""External tasks: leased to workers over HTTP, and settled by what these say about their leases."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from task_queue.actors.messages.writer import Hear, KeyPlace, Lend
from task_queue.actors.store import leases, queues, rate_limit
from task_queue.actors.store.claim import Tell, startable, tell_nobody
from task_queue.actors.store.columns import LEASED_COLUMNS, claimed_in
from task_queue.actors.store.schema import idempotency_keys, in_state, literal, tasks
from task_queue.actors.store.session import insert_into
from task_queue.actors.store.settle import settle
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import Bid, Lease, LeasedTask
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.verdict import (
    Extended,
    Nacked,
    Refusal,
    Said,
    Taken,
    becomes,
    ending,
    lasts_until,
)

MAX_ACTIONS = 100
"""How many actions one statement looks at."""
BACKOFF = Backoff(base_seconds=1.0, factor=2.0, cap_seconds=300.0)
"""How long a failed task waits whose queue has gone from the settings meanwhile."""
REPEATED_SECONDS = 3_600.0
"""How long the answer to what ended a lease is given again: workers repeat it at once."""

_seconds = sa.bindparam("lease_seconds", type_=sa.Double)
_now = sa.bindparam("now", type_=sa.Double)
_CLAIMED = (*LEASED_COLUMNS, tasks.c.created_at, tasks.c.leased_until)
_HELD = (
    sa.select(
        *LEASED_COLUMNS,
        tasks.c.queue,
        tasks.c.error,
        tasks.c.started_at,
        tasks.c.leased_until,
        tasks.c.cancel_requested_at,
    )
    .where(tasks.c.id == sa.bindparam("task_id"))
    .with_for_update()  # nobody takes the lease away between the check and what is written
)
_REMEMBERED = sa.select(idempotency_keys.c.fingerprint, idempotency_keys.c.receipts).where(
    idempotency_keys.c.key == sa.bindparam("name"),
    idempotency_keys.c.expires_at > sa.bindparam("now"),
)


@cache
def _claim_of(actions: int) -> sa.Update:
    """Return the claim of the first ready external tasks of so many actions, by rank."""
    # The first of each action by the index, then the first of these: one select over all of them
    # would have every ready row sorted.
    firsts = [
        sa.select(tasks.c.seq, tasks.c.rank)
        .where(
            in_state(Status.QUEUED),
            tasks.c.external,
            tasks.c.queue == sa.bindparam("queue_name"),
            tasks.c.action == sa.bindparam(f"action_{number}"),
        )
        .order_by(tasks.c.rank, tasks.c.seq)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        .subquery(f"of_{number}")
        for number in range(actions)
    ]
    ready = sa.union_all(*map(sa.select, firsts)).subquery("ready")
    first = (
        sa.select(ready.c.seq)
        .order_by(ready.c.rank, ready.c.seq)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
        .cte("first")
    )
    # The task's own, or its action's.
    timeout = sa.func.coalesce(
        tasks.c.timeout_seconds,
        sa.case(
            *(
                (
                    tasks.c.action == sa.bindparam(f"action_{number}"),
                    sa.cast(sa.bindparam(f"timeout_{number}"), sa.Double),
                )
                for number in range(actions)
            )
        ),
    )
    return (
        sa.update(tasks)
        .where(tasks.c.seq.in_(sa.select(first.c.seq)))
        .values(
            status=literal(Status.RUNNING),
            attempt=tasks.c.attempt + sa.literal_column("1"),
            lease_id=sa.bindparam("new_lease_id"),
            # No longer than the attempt may take.
            leased_until=_now + sa.case((timeout < _seconds, timeout), else_=_seconds),
            counted_from=_now,
            started_at=_now,
            worker=sa.bindparam("node"),
            # Of a former attempt.
            ended_at=sa.null(),
            progress=sa.null(),
            progress_message=sa.null(),
        )
        .returning(*_CLAIMED)
    )


class _Held(NamedTuple):
    """What else of a task's row a verdict needs."""

    queue: str
    error: str | None
    started_at: float
    leased_until: float
    cancel_requested_at: float | None


class Hearing(NamedTuple):
    """What came of verdicts.

    Attributes:
        outcomes: Of each, in their order.
        places: The places that are free among the tasks with a key.
        settled: What became of their tasks, with the name of the queue.
    """

    outcomes: tuple[Taken | Refusal, ...]
    places: tuple[KeyPlace, ...]
    settled: tuple[tuple[str, Settlement], ...]


def lend(
    connection: sa.Connection, write: Lend, *, tell: Tell = tell_nobody
) -> tuple[tuple[tuple[LeasedTask, ...], ...], bool]:
    """Lease ready tasks to workers, the first come first, and count an attempt for each.

    Under the conditions of inner claims: a paused queue has no ready tasks, starts take tokens of
    its rate, what is expired becomes `dead` instead.

    Args:
        connection: Inside a transaction.
        write: What the workers would like.
        tell: Called with those that have expired.

    Returns:
        What each got, in their order, and whether there may be more.
    """
    nothing: tuple[tuple[LeasedTask, ...], ...] = ((),) * len(write.bids)
    left = write.limit
    if queues.is_paused(connection, write.queue_name):
        return nothing, False
    if write.rate_limit:
        left = min(
            left, rate_limit.allowed(connection, write.queue_name, write.rate_limit, write.now)
        )
        if left == 0:
            return nothing, False  # at the next tick
    empty: set[str] = set()  # the actions that have no ready tasks any more
    lots, taken = list(nothing), 0
    for place, bid in enumerate(write.bids):
        wanted = [action for action in bid.actions if action not in empty]
        lot: list[LeasedTask] = []
        # More than once if some were expired, or there are more actions than one statement takes.
        while wanted and left and len(lot) < bid.limit:
            some, limit = wanted[:MAX_ACTIONS], min(bid.limit - len(lot), left)
            found, leased = _claim(connection, write, bid, (some, limit), tell)
            lot += leased
            left -= len(leased)
            if found < limit:
                empty.update(some)
                wanted = wanted[MAX_ACTIONS:]
        taken += len(lot)
        lots[place] = tuple(lot)
        if not left:
            break
    if write.rate_limit:
        rate_limit.take(connection, write.queue_name, taken)
    return tuple(lots), not left and not write.rate_limit


def _claim(
    connection: sa.Connection, write: Lend, bid: Bid, some: tuple[Sequence[str], int], tell: Tell
) -> tuple[int, list[LeasedTask]]:
    """Claim some tasks for a bid; return how many were ready, and those that can be started."""
    actions, limit = some
    parameters: dict[str, Any] = {
        "queue_name": write.queue_name,
        "at_most": limit,
        "new_lease_id": bid.lease_id,
        "lease_seconds": bid.lease_seconds,
        "now": write.now,
        "node": bid.worker,
    }
    for number, action in enumerate(actions):
        parameters[f"action_{number}"] = action
        parameters[f"timeout_{number}"] = write.timeouts.get(action) or None
    rows = connection.execute(_claim_of(len(actions)), parameters).all()
    of_row = {row.id: row for row in rows}
    # A row's last columns are those that `LEASED_COLUMNS` does not have.
    claimed = startable(connection, [tuple(row[:-2]) for row in rows], write.now, tell)
    return len(rows), [
        LeasedTask(task, write.queue_name, row.created_at, row.leased_until)
        for task in claimed
        for row in (of_row[task.lease.task_id],)
    ]


def hear(connection: sa.Connection, write: Hear) -> Hearing:
    """Write what workers say about their leases, each alone, if its lease is held and lasts.

    What ended a lease is remembered for a while: said again it has the same answer, on every node.

    Args:
        connection: Inside a transaction.
        write: What they say.
    """
    outcomes: dict[Lease, Taken | Refusal] = {}
    settled: list[tuple[str, Settlement]] = []
    # One order on every node, so that two of them never wait for each other.
    for said in sorted(write.said, key=lambda each: each.lease):
        outcomes[said.lease] = _hear(connection, write, said, settled)
    limits = {name: each.limits.concurrency_per_key for name, each in write.queues.items()}
    return Hearing(
        tuple(outcomes[said.lease] for said in write.said),
        tuple(
            KeyPlace(queue, each.key, limits[queue])
            for queue, each in settled
            if each.key is not None and limits.get(queue)
        ),
        tuple(settled),
    )


def _hear(
    connection: sa.Connection, write: Hear, said: Said, settled: list[tuple[str, Settlement]]
) -> Taken | Refusal:
    row = connection.execute(_HELD, {"task_id": said.lease.task_id}).first()
    if row is None or row.lease_id != said.lease.lease_id or not row.external:
        return _repeated(connection, write, said, row and row.queue)
    held = _Held(*row[len(LEASED_COLUMNS) :])
    if not _is_visible(write, held.queue):
        return Refusal.NOT_FOUND
    if held.leased_until <= write.now:
        return Refusal.LAPSED
    claimed, cancelling = claimed_in(row[: len(LEASED_COLUMNS)]), bool(held.cancel_requested_at)
    if isinstance(said.verdict, Extended):
        seconds = claimed.terms.timeout_seconds or write.timeouts.get(claimed.action, 0.0)
        until = lasts_until(said.verdict, held.leased_until, held.started_at, seconds, write.now)
        leases.renew(connection, [said.lease], until, write.now)
        if (fraction := said.verdict.fraction) is not None:
            leases.report(connection, said.lease, fraction, said.verdict.message)
        return Taken(
            task_id=said.lease.task_id,
            queue=held.queue,
            status=Status.RUNNING,
            leased_until=until,
            cancelling=cancelling,
        )
    queue = write.queues.get(held.queue)
    settlement = ending(
        claimed,
        said.verdict,
        started_at=held.started_at,
        last_error=held.error,
        backoff=BACKOFF if queue is None else queue.backoff,
        now=write.now,
        random=lambda: write.chance,
    )
    settle(connection, [settlement])
    settled.append((held.queue, settlement))
    status = becomes(settlement, cancelling=cancelling)
    taken = Taken(
        task_id=said.lease.task_id,
        queue=held.queue,
        status=status,
        run_at=settlement.run_at if status is Status.SCHEDULED else None,
        cancelling=cancelling,
        failed=isinstance(said.verdict, Nacked),
        action=claimed.action,
        seconds=write.now - held.started_at,
    )
    _remember(connection, write, said, taken)
    return taken


def _is_visible(write: Hear, queue: str) -> bool:
    return write.visible is None or queue in write.visible


def _name(lease: Lease) -> str:
    """Return the name of what is remembered; with a blank, which no client's key has."""
    return f"lease {lease.task_id} {lease.lease_id}"


def _remember(connection: sa.Connection, write: Hear, said: Said, taken: Taken) -> None:
    answer = [taken.queue, taken.status, taken.run_at, taken.cancelling]
    connection.execute(
        insert_into(connection, idempotency_keys).on_conflict_do_nothing(),
        {
            "key": _name(said.lease),
            "fingerprint": said.fingerprint,
            "receipts": orjson.dumps(answer).decode(),
            "expires_at": write.now + REPEATED_SECONDS,
        },
    )


def _repeated(
    connection: sa.Connection, write: Hear, said: Said, queue: str | None
) -> Taken | Refusal:
    """Return what was answered before, or why there is nothing to settle.

    Args:
        connection: Inside a transaction.
        write: What workers say.
        said: One of that, whose lease is not held.
        queue: The task's queue; None: there is no such task any more.
    """
    asked = {"name": _name(said.lease), "now": write.now}
    remembered = connection.execute(_REMEMBERED, asked).first()
    if remembered is None:
        is_there = queue is not None and _is_visible(write, queue)
        return Refusal.LAPSED if is_there else Refusal.NOT_FOUND
    queue, status, run_at, cancelling = orjson.loads(remembered.receipts)
    if not _is_visible(write, queue):
        return Refusal.NOT_FOUND
    if remembered.fingerprint != said.fingerprint:
        return Refusal.SETTLED
    return Taken(
        task_id=said.lease.task_id,
        queue=queue,
        status=Status(status),
        run_at=run_at,
        cancelling=cancelling,
        repeated=True,
    )
