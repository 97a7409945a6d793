"""One commit: makes the writes that the writer was told, those of a kind with one statement."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import isinf
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa

from task_queue.actors.errors import LockedError, TaskQueueError
from task_queue.actors.messages.base import Command, Recipient
from task_queue.actors.messages.changes import (
    CancelTask,
    CancelTasks,
    Change,
    DeleteSchedule,
    DeleteTask,
    DeleteTasks,
    KeepActions,
    KeepAnswer,
    KeepSecret,
    NoteStatus,
    Purge,
    PutSchedule,
    Record,
    Redrive,
    RetryTask,
)
from task_queue.actors.messages.figures import AddFigures
from task_queue.actors.messages.lessor import Heard, Lent, Marked
from task_queue.actors.messages.nodes import SayAlive, SayFarewell
from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.queue import (
    Claimed,
    PauseKept,
    Renewed,
    Stored,
    SuspectClaimed,
    Tended,
    Unblocked,
)
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Fire,
    Hear,
    Insert,
    KeyPlace,
    Lend,
    LoadSchedules,
    Mark,
    Prune,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
)
from task_queue.actors.store import (
    audit,
    changes,
    concurrency,
    conditional,
    due,
    external,
    external_marks,
    figures,
    leases,
    nodes,
    own_actions,
    queues,
    retention,
    schedules,
    secrets,
)
from task_queue.actors.store.callbacks import NOBODY, Deliverer, announce
from task_queue.actors.store.claim import claim, claim_suspect
from task_queue.actors.store.insert import insert
from task_queue.actors.store.notices import AnyWrite, Notices
from task_queue.actors.store.recount import RECOUNT_LIMIT, recount
from task_queue.actors.store.session import Session
from task_queue.actors.store.settle import settle
from task_queue.actors.tasks.event import CALLBACKS, DELIVERY
from task_queue.actors.tasks.figures import Tally
from task_queue.actors.tasks.states import Status

_FREQUENT = (Insert, Settle, Claim, ClaimSuspect, Lend)
"""The writes that most commits consist of."""

_CHANGES: Mapping[type[Change[Any]], Callable[[sa.Connection, Any], Any]] = {
    CancelTask: lambda connection, c: changes.cancel(connection, c.task_id, c.now, c.queues),
    RetryTask: lambda connection, c: changes.retry(connection, c.task_id, c.now, c.queues),
    DeleteTask: lambda connection, c: changes.delete(connection, c.task_id, c.queues),
    CancelTasks: lambda connection, c: changes.cancel_many(
        connection, c.task_ids, c.now, c.statuses, c.queues
    ),
    DeleteTasks: lambda connection, c: changes.delete_many(
        connection, c.task_ids, c.statuses, c.queues
    ),
    Redrive: lambda connection, c: changes.redrive(
        connection, c.run_at, c.now, c.statuses, c.queues
    ),
    Purge: lambda connection, c: changes.purge(
        connection, c.queue, c.limit, c.created_until, c.now
    ),
    PutSchedule: lambda connection, c: schedules.put(connection, c.schedule, c.queues),
    DeleteSchedule: lambda connection, c: schedules.delete(connection, c.name, c.queues),
    KeepActions: lambda connection, c: own_actions.remember(connection, c.names),
    KeepAnswer: lambda connection, c: conditional.keep_answer(connection, c.key, c.answered),
    KeepSecret: lambda connection, c: secrets.keep(connection, c.name, c.drawn),
    Record: lambda connection, c: audit.record(connection, c.entry),
    NoteStatus: lambda connection, c: audit.note_status(connection, c.seq, c.status, c.target),
}
"""Maps each `Change` to the store function that makes it."""


class Commit:
    """Does many writes inside a transaction; used once."""

    def __init__(self, session: Session, now: float, deliverer: Deliverer = NOBODY) -> None:
        """Store what is needed.

        Args:
            session: The database, inside a transaction.
            now: The present moment, Unix seconds.
            deliverer: Who delivers what is told of tasks that have ended.
        """
        self.notices = Notices()
        self._session = session
        self._connection = session.connection
        self._now = now
        self._deliverer = deliverer
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)  # what happens, by queue
        # Who has to hear of tasks that may run because a place among those with their key is free.
        self._places: dict[KeyPlace, Recipient] = {}

    def run(self, writes: Sequence[AnyWrite]) -> Notices:
        """Do the writes.

        In an order that lets each see what came before it in the same commit: what is inserted or
        freed can be claimed, progress is stored before its lease ends, and leases are renewed
        before lapsed ones are looked for.

        Raises:
            BadRowError: The database refuses some of it. Nothing of it may be committed.
            LockedError: Another session is in the way of some of it. So it is then.
        """
        by_kind: defaultdict[type[AnyWrite], list[Any]] = defaultdict(list)
        for write in writes:
            by_kind[Change if isinstance(write, Change) else type(write)].append(write)
        if inserts := by_kind.get(Insert):
            self._insert(inserts)
        for write in by_kind.get(Report, ()):  # while its lease is held
            leases.report(self._connection, *write.progress)
        if settles := by_kind.get(Settle):
            self._settle(settles)
        if len(by_kind) > sum(kind in by_kind for kind in _FREQUENT):
            for kind, do in self._one_by_one().items():
                for write in by_kind.get(kind, ()):
                    do(write)
        if self._places:
            self._unblock()
        # Suspects first: they are to get their share of a rate.
        claims = [write for kind in (ClaimSuspect, Claim, Lend) for write in by_kind.get(kind, ())]
        # In one order on every node: a claim may have to lock its queue's rate.
        for write in sorted(claims, key=attrgetter("queue_name")):
            self._claim(write)
        self._count()
        return self.notices

    def _count(self) -> None:
        for (queue, _), number in self.notices.published.items():
            self._tallies[queue].published += number
        figures_of = ((queue, tally.figures()) for queue, tally in self._tallies.items())
        self.notices.figures = [(queue, each) for queue, each in figures_of if any(each)]

    def _insert(self, inserts: Sequence[Insert]) -> None:
        plain = [write for write in inserts if is_plain(write)]
        if plain:
            tasks = [task for write in plain for task in write.tasks]
            insert(self._connection, tasks)
            self.notices.inserts += plain
            self.notices.note_published(tasks)
        if len(plain) < len(inserts):
            others = [write for write in inserts if not is_plain(write)]
            lock(self._connection, others)
            for write in others:
                self._insert_conditionally(write)

    def _insert_conditionally(self, write: Insert) -> None:
        try:
            with self._session.savepoint():
                published = conditional.publish(
                    self._connection, write.tasks, write.conditions, self._now
                )
        except LockedError:  # the rest does not wait for it
            raise
        except TaskQueueError as error:  # it alone
            self.notices.failed.append((write, error))
            return
        self.notices.inserts.append(write)
        if not published.replayed:
            receipts = zip(write.tasks, published.receipts, strict=True)
            self.notices.note_published([task for task, each in receipts if not each.duplicate])
        if write.waiter is not None:
            self.notices.answers.append((write.waiter, published))
        limits = {} if write.conditions is None else write.conditions.limits
        for task in write.tasks:
            if task.status is Status.BLOCKED and task.options.key is not None:
                places = limits[task.queue].concurrency_per_key
                self._places[KeyPlace(task.queue, task.options.key, places)] = write.requester

    def _settle(self, settles: Sequence[Settle]) -> None:
        refused = settle(self._connection, [write.settlement for write in settles])
        for write in settles:
            lease = write.settlement.lease
            is_held = lease not in refused
            self.notices.settled[write.requester].append((lease, is_held))
            if is_held and write.queue:
                self._tallies[write.queue].end(write.settlement)
            if write.place is not None:
                self._places[write.place] = write.requester
        # At once, before a retry in the same commit can begin their next life.
        if told := [write.settlement for write in settles if write.settlement.has_callback]:
            self._announce([each.lease.task_id for each in told if each.lease not in refused])

    def _announce(self, task_ids: Sequence[str]) -> None:
        """Store what tells how these tasks ended, as far as anybody wants to hear it."""
        _, max_attempts = self._deliverer
        stored = announce(self._connection, task_ids, self._now, max_attempts)
        if stored:
            self.notices.published[CALLBACKS, DELIVERY] += len(stored)
        if stored and (queue := self._deliverer.queue) is not None:
            self.notices.other.append((queue, Stored(tuple(stored))))

    def _claim(self, write: Claim | ClaimSuspect | Lend) -> None:
        tally = self._tallies[write.queue_name]
        notice: Command

        def tell(expired: Sequence[str]) -> None:
            tally.dead += len(expired)
            self._announce(expired)

        match write:
            case ClaimSuspect(claimant=claimant):
                task = claim_suspect(self._connection, claimant, tell=tell)
                tally.start([] if task is None else [task], claimant.now)
                notice = SuspectClaimed(task)
            case Claim(claimant=claimant, limit=limit, free=free):
                tasks, more = claim(self._connection, claimant, limit=limit, free=free, tell=tell)
                tally.start(tasks, claimant.now)
                notice = Claimed(tuple(tasks), more)
            case Lend(now=now):
                lots, more = external.lend(self._connection, write, tell=tell)
                for lot in lots:
                    tally.start((leased.claimed for leased in lot), now)
                notice = Lent(write, lots, more)
        self.notices.other.append((write.requester, notice))

    def _unblock(self) -> None:
        concurrency.lock(self._connection, self._places)
        for place, requester in sorted(self._places.items(), key=itemgetter(0)):
            if concurrency.unblock(self._connection, *place):
                self.notices.other.append((requester, Unblocked()))

    def _one_by_one(self) -> Mapping[type[AnyWrite], Callable[[Any], None]]:
        """Return how each of the other kinds is done, in this order."""
        return {
            Hear: self._hear,
            Renew: self._renew,
            Tend: self._tend,
            Change: self._change,
            SetPaused: self._set_paused,
            LoadSchedules: self._load_schedules,
            Fire: self._fire,
            Prune: self._prune,
            Mark: self._mark,
            AddFigures: lambda w: figures.add(self._connection, w.rows),
            SayAlive: lambda w: nodes.say_alive(self._connection, w.node, alone=w.alone),
            SayFarewell: lambda w: nodes.forget(self._connection, w.name),
        }

    def _hear(self, write: Hear) -> None:
        outcomes, places, settled = external.hear(self._connection, write)
        self._announce([each.lease.task_id for _, each in settled if each.has_callback])
        for queue, settlement in settled:
            self._tallies[queue].end(settlement)
        self._places |= dict.fromkeys(places, write.requester)
        self.notices.answers.append((write.waiter, outcomes))
        task_ids = tuple(said.lease.task_id for said in write.said)
        self.notices.other.append((write.requester, Heard(task_ids, outcomes)))

    def _mark(self, write: Mark) -> None:
        step = external_marks.mark(self._connection, write)
        self.notices.other.append((write.requester, Marked(*step)))

    def _renew(self, write: Renew) -> None:
        lost = leases.renew(self._connection, write.leases, write.leased_until, self._now)
        self.notices.other.append((write.requester, Renewed(tuple(lost))))

    def _tend(self, write: Tend) -> None:
        queue, limit = write.queue, write.concurrency_per_key
        recounted = recount(self._connection, queue, write.due) if write.recounts else 0
        promoted = due.promote(self._connection, queue, write.due, keys_are_limited=limit > 0)
        swept: list[str] = []
        swept_to = ""
        if write.sweep_after is not None:
            swept, swept_to = concurrency.blocked(self._connection, queue, write.sweep_after)
        for key in {key for key in promoted if key is not None and limit} | set(swept):
            self._places[KeyPlace(queue, key, limit)] = write.requester
        lapsed, cancelling = leases.lapsed(self._connection, queue, write.due, write.lapsed)
        tended = Tended(
            promoted=len(promoted),
            lapsed=tuple(lapsed),
            cancelling=tuple(cancelling),
            paused=queues.is_paused(self._connection, queue),
            more=len(promoted) == due.PROMOTE_LIMIT or recounted >= RECOUNT_LIMIT,
            recounted=recounted,
            swept=len(swept),
            swept_to=swept_to,
            own_actions=own_actions.names(self._connection) if write.watches_actions else (),
        )
        self.notices.other.append((write.requester, tended))

    def _change(self, write: Change[Any]) -> None:
        try:
            answer = _CHANGES[type(write)](self._connection, write)
        except TaskQueueError as error:  # found before anything was changed
            self.notices.failed.append((write, error))
            return
        if isinstance(write, CancelTask):
            self._announce([write.task_id])
        elif isinstance(write, CancelTasks):
            self._announce(answer.ended)
            answer = answer.number
        elif isinstance(write, Purge):
            self._announce(answer)
            answer = len(answer)
        self.notices.answers.append((write.reply_to, answer))

    def _set_paused(self, write: SetPaused) -> None:
        queues.set_paused(self._connection, write.queue, paused=write.paused)
        self.notices.answers.append((write.waiter, None))
        self.notices.other.append((write.requester, PauseKept(write.paused)))

    def _load_schedules(self, write: LoadSchedules) -> None:
        if write.configured is not None:
            schedules.configure(self._connection, write.configured)
        due_ones = tuple(schedules.due(self._connection, write.until))
        loaded = SchedulesLoaded(due_ones, all=isinf(write.until))
        self.notices.other.append((write.requester, loaded))

    def _fire(self, write: Fire) -> None:
        step = (write.due_at, write.next_at, write.occurrence)
        advanced, is_new = schedules.fire(
            self._connection, write.name, step, write.task, anew=write.anew
        )
        if advanced:
            self.notices.other.append((write.requester, Fired(write, is_new)))
        if is_new and write.task is not None:
            self.notices.note_published([write.task])

    def _prune(self, write: Prune) -> None:
        connection, now = self._connection, write.now
        expired = retention.expire(connection, now)
        self._announce(list(expired))
        for queue in expired.values():
            self._tallies[queue].dead += 1
        removed = len(expired) + retention.forget_keys(connection, now)
        removed += audit.forget(connection, now, write.audit_seconds)
        removed += figures.forget(connection, now)
        deleted, terms_to = retention.delete_out_of_term(connection, now, write.terms_after)
        removed += deleted
        swept_to = None
        if write.sweep:
            swept, swept_to = retention.sweep(connection, now, write.retention, write.sweep_after)
            removed += swept
        retention.vacuum(connection)
        self.notices.other.append((write.requester, Pruned(removed, swept_to, terms_to)))


def is_plain(write: Insert) -> bool:
    """Return whether the rows may be inserted together with those of others, unchecked."""
    if write.conditions is not None:
        return False
    if len(write.tasks) == 1:  # as nearly always
        return write.tasks[0].options.is_plain
    return all(task.options.is_plain for task in write.tasks)


def lock(connection: sa.Connection, inserts: Sequence[Insert]) -> None:
    """Take the advisory locks that these inserts need."""
    conditional.lock(connection, [(write.tasks, write.conditions) for write in inserts])
