"""The only writer: everything in its inbox becomes one transaction (group commit)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from task_queue.actors.errors import (
    AnswerTimeoutError,
    BadRowError,
    ConnectionLostError,
    LockedError,
    StoreUnavailableError,
    TaskQueueError,
    UnavailableError,
)
from task_queue.actors.messages.base import Command, Message
from task_queue.actors.messages.changes import Change
from task_queue.actors.messages.figures import AddFigures, NoteFigures
from task_queue.actors.messages.nodes import SayFarewell
from task_queue.actors.messages.writer import (
    DatabaseState,
    GetDatabaseState,
    Insert,
    Watch,
    Write,
    WriteFailed,
)
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.store.callbacks import NOBODY, Deliverer
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.each_alone import each_alone
from task_queue.actors.store.insert import rehearse
from task_queue.actors.store.notices import AnyWrite, Notices
from task_queue.actors.store.session import Session
from task_queue.actors.store.upkeep import Upkeep
from task_queue.actors.store.watches import Watches
from task_queue.actors.tasks.figures import Unwritten
from task_queue.actors.tasks.meters import WriterMeter
from task_queue.actors.tasks.task import Task

HELD_UP_SECONDS = 3.0
"""How long no commit may go through because of locks, until the database counts as unavailable."""
LOOK_SECONDS = 1.0
"""How often to look at the free space."""
MANY_SETTLED = 16
"""How many results in one commit are many: only consumers with a large window get there."""
SETTLE_PAUSE_SECONDS = 0.001
"""How long the next result then waits for others: at full speed, 25 come in that time."""


@dataclass(frozen=True, slots=True)
class _Flush(Command):
    pass


@dataclass(slots=True)
class DiskFloor:
    """The room that must be left on the disk, below which there are no new tasks.

    Attributes:
        free_bytes: Returns the free bytes of the file system.
        min_bytes: How many must be left.
    """

    free_bytes: Callable[[], int]
    min_bytes: int
    _looked_at: float = 0.0
    _low: bool = False

    def is_low(self, now: float) -> bool:
        """Return whether less than that is left; looks once a second."""
        if abs(now - self._looked_at) >= LOOK_SECONDS:
            self._looked_at = now
            try:
                self._low = self.free_bytes() < self.min_bytes
            except OSError:  # the directory is gone: `DatabaseFile` tells so
                self._low = False
        return self._low


class DatabaseWriter(Actor):
    """Makes the writes of all others, as many as wait in one commit.

    With the first write in an empty buffer the writer tells itself `_Flush`. That message is
    handled after everything that already waited, so a lone write is committed at once, and under
    load a commit holds all that came during the one before it: no timer, no delay. If the last
    commit was shared, the next write waits for others to join it: `pause_after`.

    A commit of claims alone could do without its fsync, as the next one covers it. But only two
    commits in a hundred are, since claims go with publishes and results: every commit is synced.

    Answers leave after the commit, never before (G1). A write that the database refuses fails
    alone (G6): the batch is rolled back and repeated, each write in a savepoint of its own. So it
    is with one that has to wait for a lock of another session: a publish is tried again apart from
    others until its deadline. If the connection was ended from outside, or breaks before the
    commit, the batch is tried once more on a new one. If the database cannot be reached, all writes
    of the batch fail with that; the next flush tries again with a new connection.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        session: Session,
        max_batch: int,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        deliverer: Callable[[], Deliverer] = lambda: NOBODY,
        floor: DiskFloor | None = None,
        upkeep: Upkeep | None = None,
        meter: WriterMeter | None = None,
        node: str = "",
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            session: The database, used by this actor alone.
            max_batch: How many writes fill a commit; each task of a batch is one.
            now: The present moment, Unix seconds.
            monotonic: Seconds on a clock that is never set, for deadlines.
            deliverer: Returns who delivers what is told of tasks that have ended.
            floor: The room that must be left on the disk, if any.
            upkeep: What there is to look after besides.
            meter: Counts the commits.
            node: The name of this node, which is forgotten when it ends; empty: it has said none.
        """
        super().__init__(life)
        self._deliverer = deliverer
        self._floor = floor
        self._session = session
        self._max_batch = max_batch
        self._now = now
        self._monotonic = monotonic
        self._buffer: list[AnyWrite] = []
        self._doing: list[AnyWrite] = []  # the commit that is being made
        self._held: list[AnyWrite] = []  # publishes that wait for a lock of another session
        self._watches = Watches()
        self._size = 0  # of the buffer; a batch counts as many times as it has tasks
        self._upkeep = upkeep
        self._meter = meter or WriterMeter()
        self._problem: str | None = None  # with the last commit
        self._refused: Task | None = None  # one of those that could not be written for it
        self._locked = False  # every write of the last commit waits for a lock
        self._through_at = monotonic()
        self._warnings: tuple[str, ...] = ()
        self._pause_seconds: float | None = None
        self._figures = Unwritten(monotonic())
        self._node = node

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Write() | Change():
                self._take(message)
            case _Flush():
                self._flush()
            case NoteFigures(queue=queue, figures=figures):
                self._figures.note([(queue, figures)], self._now())
            case WriteFailed(write=AddFigures(rows=rows)):
                self._figures.put_back(rows)
            case Watch():
                self._watches.add(message, self._monotonic())
            case GetDatabaseState():
                message.reply_to.answer(self._state())
            case _:
                self.unexpected(message)

    def give_up(self, error: TaskQueueError) -> None:
        """Fail the writes that are not committed."""
        for write in (*self._doing, *self._buffer, *self._held):
            write.abandon(error)
        self._doing, self._buffer, self._held, self._size = [], [], [], 0

    def on_stop(self) -> None:
        """Write the last figures, and that this node has ended as it should; then close."""
        super().on_stop()
        try:
            if self._problem is None:
                self._say_last()
        finally:
            self._session.close()

    def _say_last(self) -> None:
        own = self._life.address
        self._doing = [SayFarewell(own, self._node)] if self._node else []
        if rows := self._figures.take():
            self._doing.append(AddFigures(own, rows))
        self._write()

    def _take(self, write: AnyWrite) -> None:
        if not self._buffer:
            if self._pause_seconds is not None:
                time.sleep(self._pause_seconds)
            self.actor_ref.tell(_Flush())
        self._buffer.append(write)
        self._size += len(write.tasks) if isinstance(write, Insert) else 1
        if self._size >= self._max_batch:
            self._flush()

    def _flush(self) -> None:
        waiting = len(self._held)
        self._doing, self._buffer, self._size = self._buffer, [], 0
        if rows := self._figures.take_due(self._monotonic()):
            self._doing.append(AddFigures(self._life.address, rows))
        self._write()
        # By themselves: those that wait for a lock do not hold up the others.
        self._doing, self._held = self._held[:waiting], self._held[waiting:]
        self._write()
        if self._held:
            self.actor_ref.tell(_Flush())

    def _write(self, *, again: bool = True) -> None:
        writes = self._doing = self._still_wanted(self._doing)
        if writes:
            self._write_together(writes, self._now(), again=again)
        self._doing = []

    def _write_together(self, writes: Sequence[AnyWrite], now: float, *, again: bool) -> None:
        try:
            if self._upkeep is not None:
                self._upkeep.check(now)
            began = self._monotonic()
            notices = self._commit(writes, now)
            seconds = self._monotonic() - began
        except StoreUnavailableError as error:
            self._meter.failures += 1
            if again and isinstance(error, ConnectionLostError):  # nothing of it can be on disk
                self.log.warning("connection to the database lost", error=str(error))
                self._write(again=False)
                return
            self._went_wrong(error)
            for write in writes:
                if isinstance(write, Insert):
                    self._refused = write.tasks[0]
                write.abandon(error)
            return
        self._locked = len(notices.locked) == len(writes)
        if not self._locked:
            self._through_at = self._monotonic()
        self._pause_seconds = pause_after(notices)
        notices.send()  # before anything else that may fail: it is on disk
        self._figures.note(notices.figures, now)
        self._hold(notices.locked)
        self._meter.note(len(writes), seconds, notices.published)
        if self._watches:  # by now whoever waited for a write of workers over HTTP has an answer
            self._watches.tell(writes)
        if self._problem is not None and (notices.inserts or self._can_insert()):
            self._problem = self._refused = None
            self.log.info("database available again")
        if self._upkeep is not None:
            self._warn(self._upkeep.look(now))

    def _went_wrong(self, error: StoreUnavailableError) -> None:
        if self._problem != str(error):  # once, not with every try
            self.log.error("database unavailable", error=str(error))
        self._problem = str(error)

    def _can_insert(self) -> bool:
        """Return whether what was refused would be taken now: a commit alone does not say so.

        On a full disk or a read-only server, those that change nothing go through.
        """
        if self._refused is None:
            return True
        try:
            with self._session.transaction():
                rehearse(self._session.connection, self._refused)
        except StoreUnavailableError as error:
            self._went_wrong(error)
            return False
        except BadRowError:  # it is this task, not the database
            pass
        return True

    def _state(self) -> DatabaseState:
        problem, seconds = self._problem, self._monotonic() - self._through_at
        if problem is None and self._locked and seconds > HELD_UP_SECONDS:
            problem = f"no commit for {seconds:.0f} s: another session holds the locks they need"
        return DatabaseState(problem, self._warnings)

    def _warn(self, warnings: tuple[str, ...]) -> None:
        if len(warnings) != len(self._warnings):  # their figures change all the time
            for text in warnings:
                self.log.warning("database needs attention", warning=text)
        self._warnings = warnings

    def _hold(self, locked: Sequence[tuple[AnyWrite, LockedError]]) -> None:
        """Keep publishes that wait for a lock until their deadline; others are told at once."""
        for write, error in locked:
            if isinstance(write, Insert) and write.deadline is not None:
                self._held.append(write)
            else:
                write.abandon(error)

    def _still_wanted(self, writes: Sequence[AnyWrite]) -> list[AnyWrite]:
        """Return the writes without publishes that came too late or that the disk has no room for.

        All other writes go on when the disk runs low: results must be stored, and finished tasks
        are pruned.
        """
        monotonic = self._monotonic()
        low = self._floor is not None and self._floor.is_low(self._now())
        wanted: list[AnyWrite] = []
        for write in writes:
            if not isinstance(write, Insert) or write.deadline is None:
                wanted.append(write)
            elif write.deadline < monotonic:
                write.abandon(AnswerTimeoutError("the deadline passed before the task was written"))
            elif low:
                write.abandon(UnavailableError("the disk is nearly full"))
            else:
                wanted.append(write)
        return wanted

    def _commit(self, writes: Sequence[AnyWrite], now: float) -> Notices:
        deliverer = self._deliverer()
        try:
            with self._session.transaction():
                return Commit(self._session, now, deliverer).run(writes)
        except (BadRowError, LockedError) as error:
            self.log.info("group commit repeated write by write", reason=str(error))
            patient = isinstance(error, BadRowError)
        try:
            with self._session.transaction():
                return each_alone(self._session, writes, now, deliverer, patient=patient)
        except BadRowError as error:  # no row is at fault
            raise StoreUnavailableError(str(error)) from error


def pause_after(notices: Notices) -> float | None:
    """Return how many seconds the first write after this commit waits for others to join it.

    After publishes, until every thread that can run has run: a tenth fewer commits under load.
    After many results, a moment: half the pages written, a tenth less CPU for each task. Otherwise
    not at all, which costs a lone write nothing.
    """
    if len(notices.inserts) > 1:
        return 0.0
    if not notices.inserts and sum(map(len, notices.settled.values())) >= MANY_SETTLED:
        return SETTLE_PAUSE_SECONDS
    return None
