"""The queue: hands claimed tasks to consumers as they ask, and settles what they return."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from actors.actor import Actor, Life
from actors.backoff import Backoff
from actors.drivers.driver import Driver
from actors.errors import TaskQueueError, UnavailableError
from actors.messages import (
    Ack,
    Claim,
    Claimed,
    ClaimSuspect,
    Deliver,
    Drain,
    GetQueueState,
    Message,
    Nack,
    Publish,
    QueueState,
    Ready,
    Recipient,
    Renewed,
    Settled,
    Stored,
    SuspectClaimed,
    Tended,
    Tick,
    WriteFailed,
)
from actors.task import ClaimedTask, Lease, ack, nack, requeue

LOST = "lost: what ran it died, or its lease lapsed"


class QueueActor(Actor):
    """One queue: takes publishes, keeps a window of claimed tasks, delivers them by demand.

    `prefetch` claimed tasks at most wait in one window that all consumers share, so that a long
    task never holds others behind it. Whatever else is queued costs disk, not memory. The queue
    itself never blocks and keeps nothing that may not be lost: if it dies, its tasks are rows.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        driver: Driver,
        consumers: Mapping[str, Recipient],
        prefetch: int,
        backoff: Backoff,
        now: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            driver: How tasks are made durable, claimed and settled.
            consumers: Where each consumer is reached, by name.
            prefetch: How many claimed tasks wait for a consumer at most.
            backoff: How long a failed task waits before its next attempt.
            now: The present moment, Unix seconds.
            random: Gives a number in [0, 1), for the jitter.
        """
        super().__init__(life)
        self._driver = driver
        self._consumers = consumers
        self._prefetch = prefetch
        self._backoff = backoff
        self._now = now
        self._random = random
        self._window: deque[ClaimedTask] = deque()
        self._idle: deque[str] = deque()
        self._running: dict[str, ClaimedTask] = {}
        self._reserved: str | None = None  # the consumer for which a suspect is being claimed
        self._suspect_due = False
        self._asked = 0  # how many the claim under way asks for; 0: none is under way
        self._more = True  # there may be ready tasks
        self._head_must_not_wait = False  # and the first of them is only for a free consumer
        self._draining: Drain | None = None
        self._cut_short: tuple[str, ...] = ()

    def setup(self) -> None:
        """Take back what former lives left claimed; the answers come as messages."""
        self._driver.recover()

    def receive(self, message: Message) -> None:  # noqa: C901, PLR0912 - one case per message
        """Handle one message."""
        match message:
            case Publish():
                self._publish(message)
            case Ack():
                self._driver.settle(ack(message.claimed, message.result, self._now()))
                self._released(message.consumer, message.claimed)
            case Nack():
                self._nack(message.claimed, message.error, permanent=message.permanent)
                self._released(message.consumer, message.claimed)
            case Stored():
                self._driver.stored(message.task_ids)
                self._more = True
            case Claimed():
                self._on_claimed(message)
            case SuspectClaimed():
                self._on_suspect_claimed(message)
            case Settled():
                self._on_settled(message)
            case Tick():
                self._on_tick(message)
            case Ready():
                self._on_ready(message)
            case Tended():
                self._on_tended(message)
            case Renewed():
                self._on_renewed(message)
            case WriteFailed():
                self._on_write_failed(message)
                return  # the next tick tries again, not this instant
            case Drain():
                self._drain(message)
            case GetQueueState():
                message.reply_to.answer(
                    QueueState(len(self._idle), len(self._running), len(self._window))
                )
            case _:
                self.unexpected(message)
        self._advance()

    def give_up(self, error: TaskQueueError) -> None:
        """Answer the drain, if one is under way."""
        if self._draining is not None:
            self._draining.reply_to.fail(error)

    def _publish(self, publish: Publish) -> None:
        if self._draining is not None:
            text = "the server is shutting down"
            raise UnavailableError(text)
        self._driver.publish(publish)
        # A claim that is asked for now is part of the same commit: see `DatabaseWriter._apply`. A
        # row inserted as claimed would save the claim's statement, 0.06 of 1.3 ms, and be a second
        # way to claim.
        self._more = True

    def _advance(self) -> None:
        """Deliver what can be delivered, claim what there is room for, see if the drain is over."""
        if self._draining is not None:
            self._drain_on(self._draining)
            return
        self._claim_suspect()
        while self._window and self._idle:
            self._deliver(self._window.popleft(), self._idle.popleft())
        free, room = len(self._idle), self._prefetch - len(self._window)
        # Half a window at a time, unless somebody is idle: claims are worth their commit.
        wanted = free or (room * 2 >= self._prefetch and not self._head_must_not_wait)
        if self._more and wanted and not self._asked:
            self._asked = free + room
            self._driver.claim(self._asked, free)

    def _deliver(self, claimed: ClaimedTask, consumer: str) -> None:
        self._running[consumer] = claimed
        self._consumers[consumer].tell(Deliver(claimed))

    def _on_claimed(self, claimed: Claimed) -> None:
        self._head_must_not_wait = claimed.more and len(claimed.tasks) < self._asked
        self._asked = 0
        self._more = claimed.more
        self._window.extend(claimed.tasks)

    def _claim_suspect(self) -> None:
        """Claim a suspect for a free consumer, unless one is claimed already.

        The consumer is kept free until the answer comes: a suspect does not wait in the window,
        where a crash would take another of its attempts, nor behind it, where it could starve.
        """
        if self._suspect_due and self._idle and self._reserved is None:
            self._suspect_due = False
            if not any(task.is_suspect for task in (*self._window, *self._running.values())):
                self._reserved = self._idle.popleft()
                self._driver.claim_suspect()

    def _on_suspect_claimed(self, claimed: SuspectClaimed) -> None:
        if claimed.task is not None:
            self._window.appendleft(claimed.task)
        self._unreserve()

    def _unreserve(self) -> None:
        if self._reserved is not None:
            self._idle.appendleft(self._reserved)
            self._reserved = None

    def _nack(
        self, claimed: ClaimedTask, error: str, *, permanent: bool = False, lost: bool = False
    ) -> None:
        settlement = nack(
            claimed,
            error,
            permanent=permanent,
            lost=lost,
            backoff=self._backoff,
            now=self._now(),
            random=self._random,
        )
        self.log.warning(
            "task failed",
            id=claimed.lease.task_id,
            action=claimed.action,
            attempt=claimed.attempt,
            status=settlement.status.value,
            error=settlement.error,
        )
        self._driver.settle(settlement)

    def _released(self, consumer: str, claimed: ClaimedTask) -> None:
        # A consumer that was left behind by a restart is not the one that plays its role now.
        running = self._running.get(consumer)
        if running is not None and running.lease == claimed.lease:
            del self._running[consumer]
            self._idle.append(consumer)
            self._suspect_due = self._suspect_due or claimed.is_suspect

    def _on_ready(self, ready: Ready) -> None:
        if (lost := self._running.pop(ready.consumer, None)) is not None:
            self._nack(lost, LOST, lost=True)
        if ready.consumer not in self._idle and ready.consumer != self._reserved:
            self._idle.append(ready.consumer)

    def _on_settled(self, settled: Settled) -> None:
        self._driver.settled((*settled.applied, *settled.refused))
        for lease in settled.refused:
            self.log.warning("late result refused, the lease is lost", id=lease.task_id)

    def _on_tended(self, tended: Tended) -> None:
        held = set(self._held())
        for claimed in tended.lapsed:
            if claimed.lease not in held and not self._driver.is_settling(claimed.lease):
                self._nack(claimed, LOST, lost=True)
        if tended.promoted:
            self._more = True
            self._suspect_due = True

    def _on_renewed(self, renewed: Renewed) -> None:
        lost = set(renewed.lost)
        self._window = deque(task for task in self._window if task.lease not in lost)

    def _on_tick(self, tick: Tick) -> None:
        self._driver.tick(tick.now, self._held())
        self._more = True
        self._suspect_due = True
        if self._draining is not None and tick.now >= self._draining.deadline:
            self._cut_short += tuple(task.lease.task_id for task in self._running.values())
            self._give_back(self._running.values())
            self._running.clear()

    def _on_write_failed(self, failure: WriteFailed) -> None:
        match failure.write:
            case Claim():
                self._asked = 0
            case ClaimSuspect():
                self._unreserve()
        self._driver.failed(failure)

    def _drain(self, drain: Drain) -> None:
        self.log.info("draining", running=len(self._running), prefetched=len(self._window))
        self._draining = drain

    def _drain_on(self, drain: Drain) -> None:
        self._give_back(self._window)
        self._window.clear()
        claiming = self._asked or self._reserved
        if not self._running and not claiming and not self._driver.unsettled:
            drain.reply_to.answer(self._cut_short)

    def _give_back(self, claimed: Iterable[ClaimedTask]) -> None:
        for task in claimed:
            self._driver.settle(requeue(task, self._now()))

    def _held(self) -> Iterator[Lease]:
        yield from (task.lease for task in self._window)
        yield from (task.lease for task in self._running.values())
