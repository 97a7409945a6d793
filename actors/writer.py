"""The only writer: whatever is in its inbox becomes one transaction (group commit)."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.actor import Actor, Life
from actors.errors import AnswerTimeoutError, BadRowError, StoreUnavailableError, TaskQueueError
from actors.messages import (
    Claim,
    Claimed,
    ClaimSuspect,
    Command,
    Insert,
    Message,
    Recipient,
    Renew,
    Renewed,
    Settle,
    Settled,
    Stored,
    SuspectClaimed,
    Tend,
    Tended,
    Write,
)
from actors.store.store import Store
from actors.task import Lease


@dataclass(frozen=True, slots=True)
class _Flush(Command):
    pass


class DatabaseWriter(Actor):
    """Writes what the queues ask for, as many writes as wait in one commit.

    The first write in an empty buffer tells `_Flush` to the writer itself. That message is
    handled after everything that already waited, so a lone write is committed at once and under
    load a commit holds all that came while the one before it was made: no timer, no delay. Where
    the last commit was shared, the writer first lets every thread run that can, so that what those
    have to write joins this one: a tenth fewer commits under load. A lone write does without, since
    that costs it 0.1 ms.

    A commit that only claims could do without its fsync, as the next one covers it. But two commits
    in a hundred are such, since claims go with publishes and results: every commit is synced.

    Answers leave after the commit, never before (G1). A write that the database refuses fails
    alone (G6): the batch is rolled back and repeated, each write in a savepoint of its own. When
    the database cannot be reached, everything in the batch is answered with that; the next flush
    tries again with a new connection.
    """

    def __init__(
        self, life: Life, *, store: Store, max_batch: int, now: Callable[[], float]
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            store: The database, used by this actor alone.
            max_batch: How many writes one commit holds at most.
            now: The present moment, Unix seconds.
        """
        super().__init__(life)
        self._store = store
        self._max_batch = max_batch
        self._now = now
        self._buffer: list[Write] = []
        self._failing = False
        self._busy = False  # whether the last commit was shared by several publishes

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Write():
                self._take(message)
            case _Flush():
                self._flush()
            case _:
                self.unexpected(message)

    def give_up(self, error: TaskQueueError) -> None:
        """Answer the writes that are not committed."""
        for write in self._buffer:
            write.abandon(error)
        self._buffer = []

    def on_stop(self) -> None:
        """Let go of the database."""
        super().on_stop()
        self._store.close()

    def _take(self, write: Write) -> None:
        if not self._buffer:
            if self._busy:
                time.sleep(0)
            self.actor_ref.tell(_Flush())
        self._buffer.append(write)
        if len(self._buffer) >= self._max_batch:
            self._flush()

    def _flush(self) -> None:
        writes = self._still_wanted()
        if not writes:
            self._buffer = []
            return
        try:
            news = self._commit(writes)
        except StoreUnavailableError as error:
            if not self._failing:  # once, not with every try
                self.log.error("database unavailable", error=str(error))  # noqa: TRY400 - expected
            self._failing = True
            self.give_up(error)
        else:
            if self._failing:
                self.log.info("database available again")
            self._failing = False
            self._busy = len(news.inserts) > 1
            self._buffer = []
            news.spread()

    def _still_wanted(self) -> list[Write]:
        """The buffer without the publishes that nobody waits for any more."""
        now = self._now()
        wanted: list[Write] = []
        for write in self._buffer:
            if isinstance(write, Insert) and write.deadline is not None and write.deadline < now:
                write.abandon(AnswerTimeoutError("the deadline passed before the task was written"))
            else:
                wanted.append(write)
        return wanted

    def _commit(self, writes: Sequence[Write]) -> "_News":
        try:
            with self._store.transaction():
                return self._apply(writes)
        except BadRowError as error:
            self.log.info("group commit repeated write by write", reason=str(error))
        try:
            with self._store.transaction():
                return self._apply_each(writes)
        except BadRowError as error:  # no row's own fault: another node's deadlock, once more
            raise StoreUnavailableError(str(error)) from error

    def _apply_each(self, writes: Sequence[Write]) -> "_News":
        """Say the statements of each write for itself, so that it fails alone."""
        news = _News()
        for write in writes:
            try:
                with self._store.savepoint():
                    news.add(self._apply([write]))
            except BadRowError as error:
                news.failed.append((write, error))
        return news

    def _apply(self, writes: Sequence[Write]) -> "_News":
        """Say the statements; the order lets each see what came before it in the same commit."""
        news = _News()
        by_kind: defaultdict[type[Write], list[Any]] = defaultdict(list)
        for write in writes:
            by_kind[type(write)].append(write)
        if inserts := by_kind[Insert]:
            self._store.insert([insert.task for insert in inserts])
            news.inserts += inserts
        if settles := by_kind[Settle]:
            refused = self._store.settle([settle.settlement for settle in settles])
            for settle in settles:
                lease = settle.settlement.lease
                news.settled[settle.requester].append((lease, lease not in refused))
        for renew in by_kind[Renew]:  # before lapsed leases are looked for
            lost = self._store.renew(renew.leases, renew.leased_until)
            news.other.append((renew.requester, Renewed(tuple(lost))))
        for tend in by_kind[Tend]:
            promoted = self._store.promote(queue=tend.queue, now=tend.due)
            lapsed = self._store.lapsed(queue=tend.queue, now=tend.lapsed)
            news.other.append((tend.requester, Tended(promoted, tuple(lapsed))))
        for claim in by_kind[Claim]:
            claimed, more = self._store.claim(
                queue=claim.queue,
                limit=claim.limit,
                free=claim.free,
                lease_id=claim.lease_id,
                now=claim.now,
                leased_until=claim.leased_until,
            )
            news.other.append((claim.requester, Claimed(tuple(claimed), more)))
        for suspect in by_kind[ClaimSuspect]:
            task = self._store.claim_suspect(
                queue=suspect.queue,
                lease_id=suspect.lease_id,
                now=suspect.now,
                leased_until=suspect.leased_until,
            )
            news.other.append((suspect.requester, SuspectClaimed(task)))
        return news


@dataclass(slots=True)
class _News:
    """What a commit has done, to be told once it is on disk."""

    inserts: list[Insert] = field(default_factory=list)
    settled: defaultdict[Recipient, list[tuple[Lease, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    other: list[tuple[Recipient, Command]] = field(default_factory=list)
    failed: list[tuple[Write, TaskQueueError]] = field(default_factory=list)

    def add(self, later: "_News") -> None:
        self.inserts += later.inserts
        for requester, settled in later.settled.items():
            self.settled[requester] += settled
        self.other += later.other

    def spread(self) -> None:
        """Tell it: first whoever waits for an answer, then each requester, once per kind."""
        stored: defaultdict[Recipient, list[str]] = defaultdict(list)
        for insert in self.inserts:
            if insert.waiter is not None:
                insert.waiter.answer(None)
            stored[insert.requester].append(insert.task.id)
        for requester, task_ids in stored.items():
            requester.tell(Stored(tuple(task_ids)))
        for requester, settled in self.settled.items():
            applied = tuple(lease for lease, held in settled if held)
            refused = tuple(lease for lease, held in settled if not held)
            requester.tell(Settled(applied, refused))
        for requester, command in self.other:
            requester.tell(command)
        for write, error in self.failed:
            write.abandon(error)
