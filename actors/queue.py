"""The queue: delivers claimed tasks to free consumers, and settles what they return."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from task_queue.actors.actions.prints import fields_of
from task_queue.actors.drivers.driver import Driver
from task_queue.actors.errors import TaskQueueError, UnavailableError
from task_queue.actors.messages.base import Message, Notice, Recipient
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.consumer import Deliver
from task_queue.actors.messages.queue import (
    Ack,
    Claimed,
    Drain,
    GetQueueState,
    Nack,
    Pause,
    PauseKept,
    Publish,
    QueueState,
    Ready,
    Reconfigure,
    Renewed,
    Settled,
    Stored,
    SuspectClaimed,
    Tended,
    Unblocked,
)
from task_queue.actors.messages.supervisor import Replace, Retire
from task_queue.actors.messages.writer import Claim, ClaimSuspect, SetPaused, WriteFailed
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.runtime.stack import stack_of
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.meters import QueueMeter
from task_queue.actors.tasks.settlement import Failure, ack, drained, expire, nack, requeue
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.window import Window

LOST = "lost: what ran it died, or its lease lapsed"
CRASHED = "crashed: the consumer that ran it died"


class QueueActor(Actor):
    """One queue: takes publishes, keeps a window of claimed tasks, delivers them by demand.

    Claimed tasks wait in one `Window`. Whatever else is queued costs disk, not memory. The queue
    itself never blocks and keeps nothing that must not be lost: if it dies, its tasks are rows.

    All it shares with a consumer's thread is that consumer's `Slot`, by which it reaches an action
    that runs: no message would be read then. Each value in it is written by one side only.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        driver: Driver,
        consumers: Mapping[str, Recipient],
        supervisor: Recipient,
        prefetch: int,
        backoff: Backoff,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        random: Callable[[], float],
        meter: QueueMeter | None = None,
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            driver: Makes tasks durable, claims and settles them.
            consumers: Where each consumer is reached, by name.
            supervisor: Who replaces a consumer that does not come back.
            prefetch: How many tasks are claimed ahead at most; see `Window`.
            backoff: How long a failed task waits before its next attempt.
            now: The present moment, Unix seconds.
            monotonic: Seconds on a clock that is never set back, for deadlines.
            random: Gives a number in [0, 1), for the jitter.
            meter: Counts what it does.
        """
        super().__init__(life)
        self._driver = driver
        self._consumers = consumers
        self._supervisor = supervisor
        self._monotonic = monotonic
        self._backoff = backoff
        self._now = now
        self._random = random
        self._window = Window(prefetch)
        self._idle: deque[str] = deque()
        self._running: dict[str, ClaimedTask] = {}
        self._slots = {name: Slot() for name in consumers}  # theirs, once they are ready
        self._paused = False
        self._pausing = 0  # requests to pause or go on that are not known to be on disk yet
        self._meter = meter or QueueMeter()
        self._reserved: str | None = None  # the consumer for which a suspect is being claimed
        self._suspect_due = False
        self._draining: Drain | None = None
        self._cut_short: tuple[str, ...] = ()

    def setup(self) -> None:
        """Take back what former lives left claimed."""
        self._driver.recover()

    def receive(self, message: Message) -> None:  # noqa: C901 - one case per message
        """Handle one message."""
        match message:
            case Publish():
                self._publish(message)
            case Ack():
                self._report(message.consumer, message.claimed)
                self._ack(message)
                self._release(message.consumer, message.claimed)
            case Nack():
                self._report(message.consumer, message.claimed)
                self._nack(message.claimed, message.failure)
                self._release(message.consumer, message.claimed)
            case WriteFailed():
                self._driver.hear(message)
                self._on_write_failed(message)
                return  # the next tick tries again, not this instant
            case Notice():
                self._driver.hear(message)
                self._on_notice(message)
            case Tick():
                self._on_tick(message)
            case Ready():
                self._on_ready(message)
            case Drain():
                self._drain(message)
            case Pause():
                self._pause(message)
            case Reconfigure():
                self._reconfigure(message)
            case GetQueueState():
                message.reply_to.answer(self._state())
            case _:
                self.unexpected(message)
        self._advance()

    def give_up(self, error: TaskQueueError) -> None:
        """Answer the drain, if one is under way."""
        if self._draining is not None:
            self._draining.reply_to.fail(error)

    def _on_notice(self, notice: Notice) -> None:
        match notice:
            case Stored() | Unblocked():
                self._window.more = True
            case Claimed():
                self._window.end_claim(notice.tasks, self._monotonic(), more=notice.more)
            case Settled():
                self._meter.refused += len(notice.refused)
                for lease in notice.refused:
                    self.log.warning("late result refused, the lease is lost", id=lease.task_id)
            case SuspectClaimed():
                self._on_suspect_claimed(notice)
            case Tended():
                self._on_tended(notice)
            case Renewed():
                self._call_off(set(notice.lost))  # another node has it, or it was cancelled
            case PauseKept():
                self._on_pause_kept(notice)
            case _:
                self.unexpected(notice)

    def _publish(self, publish: Publish) -> None:
        if self._draining is not None:
            raise UnavailableError("the server is shutting down")
        self._driver.publish(publish)
        self._meter.rates.published += len(publish.tasks)
        # A claim that is asked for now is part of the same commit: see `Commit.run`. Rows inserted
        # as claimed would save the claim's statement, 0.06 of 1.3 ms, and be a second way to claim.
        self._window.more = True

    def _advance(self) -> None:
        """Deliver what can be delivered, claim what there is room for, or go on with the drain."""
        if self._draining is not None:
            self._advance_drain(self._draining)
            return
        if self._paused:
            self._give_back(self._window.clear())
            return
        self._claim_suspect()
        window, idle = self._window, self._idle
        while window and idle:
            self._deliver(window.take_first())
        free = len(idle)
        if wanted := window.begin_claim(free, self._monotonic()):
            self._driver.claim(wanted, free)

    def _deliver(self, claimed: ClaimedTask) -> None:
        if claimed.has_expired(now := self._now()):
            self._driver.settle(expire(claimed, now))
            return
        self._meter.started(claimed.action, now - claimed.ready_at)
        consumer = self._idle.popleft()
        self._running[consumer] = claimed
        self._consumers[consumer].tell(Deliver(claimed))

    def _claim_suspect(self) -> None:
        """Claim a suspect for a free consumer, unless one is claimed already.

        The consumer is kept free until the answer comes: a suspect does not wait in the window,
        where a crash would take another of its attempts, nor behind it, where it could starve. And
        it is none that a claim under way is for: what that brings would have to wait.
        """
        if self._suspect_due and self._reserved is None and len(self._idle) > self._window.promised:
            self._suspect_due = False
            if not any(task.is_suspect for task in (*self._window, *self._running.values())):
                self._reserved = self._idle.popleft()
                self._driver.claim_suspect()

    def _on_suspect_claimed(self, claimed: SuspectClaimed) -> None:
        if claimed.task is not None:
            self._window.put_first(claimed.task, self._monotonic())
        self._unreserve()

    def _unreserve(self) -> None:
        if self._reserved is not None:
            consumer, self._reserved = self._reserved, None
            self._free(consumer)
            self._idle.rotate(1)  # to the front, where it came from

    def _ack(self, done: Ack) -> None:
        now = self._now()
        self._driver.settle(ack(done.claimed, done.result, done.started_at, now, done.stderr))
        self._meter.completed(done.claimed.action, now - done.started_at)
        self._window.note_end(now - done.started_at, self._monotonic())

    def _report(self, consumer: str, claimed: ClaimedTask) -> None:
        """Have the driver keep what the task has reported since the last look."""
        progress = self._slots[consumer].take_progress(claimed.lease)
        if progress is not None:
            self._driver.report(progress)

    def _nack(self, claimed: ClaimedTask, failure: Failure) -> None:
        if claimed.lease.task_id in self._cut_short:
            return  # it was given back, and ends because of that
        now = self._now()
        settlement = nack(claimed, failure, backoff=self._backoff, now=now, random=self._random)
        self._driver.settle(settlement)
        seconds = None if failure.started_at is None else now - failure.started_at
        if seconds is not None:
            self._window.note_end(seconds, self._monotonic())
        outcome = None if settlement.failure is None else failure.outcome
        self._meter.failed(claimed.action, outcome, settlement.status, seconds)
        fields = fields_of(claimed) | {"status": settlement.status.value, "error": settlement.error}
        if outcome is None:
            self.log.info("task postponed", **fields)
        elif outcome is Outcome.CANCELLED:
            self.log.info("task cancelled", **fields)
        else:
            self.log.warning("task failed", outcome=failure.outcome.value, **fields)

    def _release(self, consumer: str, claimed: ClaimedTask) -> None:
        # A consumer that a restart left behind is not the one that has its name now.
        running = self._running.get(consumer)
        if running is not None and running.lease == claimed.lease:
            del self._running[consumer]
            self._free(consumer)
            self._suspect_due = self._suspect_due or claimed.is_suspect

    def _free(self, consumer: str) -> None:
        """Let the consumer run another task, or retire it, if it is not wanted any more."""
        if consumer in self._consumers:
            self._idle.append(consumer)
        else:
            self._supervisor.tell(Retire((consumer,)))

    def _reconfigure(self, settings: Reconfigure) -> None:
        self._consumers = settings.consumers
        self._window.resize(settings.prefetch)
        self._backoff = settings.backoff
        self._driver.reconfigure(settings.lease_seconds, settings.limits)
        idle, self._idle = self._idle, deque()
        for consumer in idle:
            self._free(consumer)
        self._window.more = True
        settings.reply_to.answer(None)

    def _on_ready(self, ready: Ready) -> None:
        self._slots[ready.consumer] = ready.slot
        if (lost := self._running.pop(ready.consumer, None)) is not None:
            self._nack(lost, Failure(CRASHED, Outcome.CRASHED))
        if ready.consumer not in self._idle and ready.consumer != self._reserved:
            self._free(ready.consumer)

    def _on_tended(self, tended: Tended) -> None:
        held = set(self._held())
        for claimed in tended.lapsed:
            if claimed.lease not in held and not self._driver.is_settling(claimed.lease):
                alone = claimed.terms.external  # only a worker elsewhere has died
                self._nack(claimed, Failure(LOST, Outcome.LOST, contained=alone))
        if tended.cancelling:
            self._give_back(self._call_off(set(tended.cancelling)))  # the database then cancels it
        if not self._pausing:
            self._paused = tended.paused
        if tended.recounted:
            self.log.warning("clock set back, waits counted anew", count=tended.recounted)
        if tended.promoted:
            self._window.more = True
            self._suspect_due = True

    def _call_off(self, leases: set[Lease]) -> Sequence[ClaimedTask]:
        """Ask what runs to stop, and return what waited, which it does not any more."""
        for consumer, claimed in self._running.items():
            if claimed.lease in leases:
                self._slots[consumer].stop = claimed.lease
        return self._window.remove(leases)

    def _pause(self, pause: Pause) -> None:
        self._pausing += 1
        self._paused = pause.paused
        self._driver.pause(pause.reply_to, paused=pause.paused)
        self._window.more = True

    def _on_pause_kept(self, kept: PauseKept) -> None:
        self._pausing = max(0, self._pausing - 1)  # 0 if a former life asked
        if not self._pausing:
            self._paused = kept.paused
        self._window.more = True

    def _on_tick(self, tick: Tick) -> None:
        self._driver.tick(tick.now, self._held())
        self._meter.rates.note(tick.now)
        monotonic = self._monotonic()
        for consumer, claimed in tuple(self._running.items()):
            self._report(consumer, claimed)
            if self._slots[consumer].is_overdue(claimed.lease, monotonic):
                self._leave_behind(consumer, claimed)
        # Not at each message: after a stall of the whole process the window would go back in vain.
        self._give_back(self._window.take_overdue(monotonic))
        self._window.more = True
        self._suspect_due = True
        if self._draining is not None and monotonic >= self._draining.deadline:
            self._cut_short += tuple(task.lease.task_id for task in self._running.values())
            for consumer, task in self._running.items():
                self._driver.settle(drained(task, tick.now))
                self._slots[consumer].stop = task.lease  # so that none of its processes goes on
            self._running.clear()

    def _leave_behind(self, consumer: str, claimed: ClaimedTask) -> None:
        """Give up a task that is long past its deadline, and have its consumer replaced.

        If it ends after all, its result is refused, since its lease is gone.
        """
        slot = self._slots[consumer]
        slot.stop = claimed.lease  # it may still check
        self.log.error(
            "thread stuck, consumer replaced",
            consumer=consumer,
            id=claimed.lease.task_id,
            action=claimed.action,
            stack=stack_of(slot.thread_id),
        )
        text = f"timed out after {slot.timeout_seconds:g} s, and did not stop"
        self._nack(claimed, Failure(text, Outcome.TIMED_OUT, stderr=slot.printed()))
        del self._running[consumer]
        self._supervisor.tell(Replace(consumer))

    def _on_write_failed(self, failure: WriteFailed) -> None:
        match failure.write:
            case Claim():
                self._window.fail_claim()
            case ClaimSuspect():
                self._unreserve()
            case SetPaused():
                self._pausing = max(0, self._pausing - 1)  # the next `Tended` says what it is

    def _drain(self, drain: Drain) -> None:
        self.log.info("draining", running=len(self._running), prefetched=len(self._window))
        self._draining = drain

    def _advance_drain(self, drain: Drain) -> None:
        self._give_back(self._window.clear())
        claiming = self._window.is_claiming or self._reserved
        if not self._running and not claiming and not self._driver.unsettled:
            drain.reply_to.answer(self._cut_short)

    def _give_back(self, claimed: Sequence[ClaimedTask]) -> None:
        for task in reversed(claimed):  # each goes to the front, before those behind it
            self._driver.settle(requeue(task))

    def _state(self) -> QueueState:
        return QueueState(
            idle=len(self._idle),
            running=len(self._running),
            prefetched=len(self._window),
            paused=self._paused,
            unfed_seconds=self._window.unfed_seconds(self._monotonic()),
            rates=self._meter.rates.per_second(),
        )

    def _held(self) -> Iterator[Lease]:
        yield from (task.lease for task in (*self._window, *self._running.values()))
