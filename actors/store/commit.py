"""One transaction: what it does, in which order, and what it has to tell."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from task_queue.actors.errors import BadRowError, TaskQueueError
from task_queue.actors.messages.base import Recipient
from task_queue.actors.messages.changes import Change
from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.queue import (
    Claimed,
    PauseKept,
    Renewed,
    SuspectClaimed,
    Tended,
    Unblocked,
)
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Fire,
    Insert,
    KeyPlace,
    LoadSchedules,
    Prune,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
)
from task_queue.actors.store import (
    concurrency,
    conditional,
    making,
    queues,
    retention,
    schedules,
    statements,
)
from task_queue.actors.store.notices import AnyWrite, Notices
from task_queue.actors.store.store import Claimant, Store
from task_queue.actors.tasks.states import Status

_MANY = (Insert, Settle, Claim, ClaimSuspect)
"""What most commits consist of."""


class Commit:
    """Says the statements of many writes, like ones together; used once, inside a transaction."""

    def __init__(self, store: Store, now: float) -> None:
        """Store what is needed.

        Args:
            store: The database.
            now: The present moment, Unix seconds.
        """
        self.notices = Notices()
        self._store = store
        self._now = now
        # Who has to hear of tasks that may run because a place among those with their key is free.
        self._places: dict[KeyPlace, Recipient] = {}

    def run(self, writes: Sequence[AnyWrite]) -> Notices:
        """Do what the writes say.

        In an order that lets each see what came before it in the same commit: what is inserted or
        freed can be claimed, progress is kept before its lease ends, and leases are renewed before
        lapsed ones are looked for.

        Raises:
            BadRowError: The database refuses something of it. Nothing of it may be committed.
        """
        by_kind: defaultdict[type[AnyWrite], list[Any]] = defaultdict(list)
        for write in writes:
            by_kind[Change if isinstance(write, Change) else type(write)].append(write)
        if inserts := by_kind.get(Insert):
            self._insert(inserts)
        for report in by_kind.get(Report, ()):  # while its lease is held
            self._report(report)
        if settles := by_kind.get(Settle):
            self._settle(settles)
        if len(by_kind) > sum(kind in by_kind for kind in _MANY):
            for kind, do in self._one_by_one().items():
                for write in by_kind.get(kind, ()):
                    do(write)
        if self._places:
            self._unblock()
        # Suspects first: of a rate they are to get their share.
        claims = [*by_kind.get(ClaimSuspect, ()), *by_kind.get(Claim, ())]
        # In one order on every node: a claim may have to lock its queue's rate.
        for claim in sorted(claims, key=attrgetter("queue")) if len(claims) > 1 else claims:
            self._claim(claim)
        return self.notices

    def _unblock(self) -> None:
        concurrency.lock(self._store.connection, self._places)
        for place, requester in sorted(self._places.items(), key=itemgetter(0)):
            if concurrency.unblock(self._store.connection, *place):
                self.notices.other.append((requester, Unblocked()))

    def _one_by_one(self) -> Mapping[type[AnyWrite], Callable[[Any], None]]:
        """How each of the other kinds is done, in this order."""
        return {
            Renew: self._renew,
            Tend: self._tend,
            Change: self._change,
            SetPaused: self._set_paused,
            LoadSchedules: self._load_schedules,
            Fire: self._fire,
            Prune: self._prune,
        }

    def _insert(self, inserts: Sequence[Insert]) -> None:
        plain = [insert for insert in inserts if insert.is_plain]
        if plain:
            self._store.insert([task for insert in plain for task in insert.tasks])
            self.notices.inserts += plain
        if len(plain) < len(inserts):
            others = [insert for insert in inserts if not insert.is_plain]
            lock(self._store, others)
            for insert in others:
                self._insert_guarded(insert)

    def _insert_guarded(self, insert: Insert) -> None:
        try:
            with self._store.savepoint():
                published = conditional.publish(
                    self._store, insert.tasks, insert.conditions, self._now
                )
        except TaskQueueError as error:  # it alone
            self.notices.failed.append((insert, error))
            return
        self.notices.inserts.append(insert)
        if insert.waiter is not None:
            self.notices.answers.append((insert.waiter, published))
        limits = {} if insert.conditions is None else insert.conditions.limits
        for task in insert.tasks:
            if task.status is Status.BLOCKED and task.options.key is not None:
                places = limits[task.queue].concurrency_per_key
                self._places[KeyPlace(task.queue, task.options.key, places)] = insert.requester

    def _settle(self, settles: Sequence[Settle]) -> None:
        refused = self._store.settle([settle.settlement for settle in settles])
        for settle in settles:
            lease = settle.settlement.lease
            self.notices.settled[settle.requester].append((lease, lease not in refused))
            if settle.place is not None:
                self._places[settle.place] = settle.requester

    def _change(self, change: Change[Any]) -> None:
        try:
            answer = making.make(self._store.connection, change)
        except TaskQueueError as error:
            self.notices.failed.append((change, error))
        else:
            self.notices.answers.append((change.reply_to, answer))

    def _renew(self, renew: Renew) -> None:
        lost = self._store.renew(renew.leases, renew.leased_until)
        self.notices.other.append((renew.requester, Renewed(tuple(lost))))

    def _tend(self, tend: Tend) -> None:
        queue, limit = tend.queue, tend.concurrency_per_key
        promoted = self._store.promote(queue=queue, now=tend.due, keys_are_limited=limit > 0)
        for key in {key for key in promoted if key is not None and limit}:
            self._places[KeyPlace(queue, key, limit)] = tend.requester
        swept: list[str] = []
        swept_to = ""
        if tend.sweep_after is not None:
            swept, swept_to = concurrency.blocked(self._store.connection, queue, tend.sweep_after)
        for key in swept:
            self._places[KeyPlace(queue, key, limit)] = tend.requester
        lapsed, cancelling = self._store.lapsed(queue=queue, now=tend.lapsed)
        tended = Tended(
            promoted=len(promoted),
            lapsed=tuple(lapsed),
            cancelling=tuple(cancelling),
            paused=self._store.is_paused(queue),
            more=len(promoted) == statements.PROMOTE_LIMIT,
            swept=len(swept),
            swept_to=swept_to,
        )
        self.notices.other.append((tend.requester, tended))

    def _report(self, report: Report) -> None:
        self._store.report(*report.progress)

    def _set_paused(self, write: SetPaused) -> None:
        queues.set_paused(self._store.connection, write.queue, paused=write.paused)
        self.notices.answers.append((write.waiter, None))
        self.notices.other.append((write.requester, PauseKept(write.paused)))

    def _load_schedules(self, load: LoadSchedules) -> None:
        if load.configured is not None:
            schedules.configure(self._store.connection, load.configured)
        loaded = SchedulesLoaded(tuple(schedules.due(self._store.connection, load.now)))
        self.notices.other.append((load.requester, loaded))

    def _fire(self, fire: Fire) -> None:
        step = (fire.due_at, fire.next_at, fire.occurrence)
        if schedules.fire(self._store.connection, fire.name, step, fire.task):
            self.notices.other.append((fire.requester, Fired(fire)))

    def _prune(self, prune: Prune) -> None:
        connection = self._store.connection
        removed = retention.expire(connection, prune.now)
        removed += retention.forget_keys(connection, prune.now)
        deleted, terms_to = retention.delete_out_of_term(connection, prune.now, prune.terms_after)
        removed += deleted
        swept_to = None
        if prune.sweep:
            swept, swept_to = retention.sweep(
                connection, prune.now, prune.retention, prune.sweep_after
            )
            removed += swept
        retention.vacuum(connection)
        self.notices.other.append((prune.requester, Pruned(removed, swept_to, terms_to)))

    def _claim(self, claim: Claim | ClaimSuspect) -> None:
        if isinstance(claim, ClaimSuspect):
            task = self._store.claim_suspect(_claimant(claim))
            self.notices.other.append((claim.requester, SuspectClaimed(task)))
            return
        tasks, more = self._store.claim(_claimant(claim), limit=claim.limit, free=claim.free)
        self.notices.other.append((claim.requester, Claimed(tuple(tasks), more)))


def each_alone(store: Store, writes: Sequence[AnyWrite], now: float) -> Notices:
    """Say the statements of each write for itself, so that it fails alone."""
    notices = Notices()
    lock(store, [write for write in writes if isinstance(write, Insert)])
    for write in writes:
        try:
            with store.savepoint():
                notices.add(Commit(store, now).run([write]))
        except BadRowError as error:
            notices.failed.append((write, error))
    return notices


def lock(store: Store, inserts: Sequence[Insert]) -> None:
    """Let other nodes wait with what these may be in the way of."""
    conditional.lock(store.connection, [(insert.tasks, insert.conditions) for insert in inserts])


def _claimant(claim: Claim | ClaimSuspect) -> Claimant:
    return Claimant(
        queue=claim.queue,
        lease_id=claim.lease_id,
        worker=claim.worker,
        now=claim.now,
        leased_until=claim.leased_until,
        rate_limit=claim.rate_limit,
    )
