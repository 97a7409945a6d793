"""The lessor: leases external tasks to workers over HTTP, and takes what they say about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from task_queue.actors.errors import BadRowError, QueueFullError, TaskQueueError, UnavailableError
from task_queue.actors.messages.base import Message, Recipient
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.lessor import (
    ExternalStored,
    GetLent,
    GiveBack,
    Heard,
    LeaseTasks,
    Lent,
    Marked,
    SettleLeases,
)
from task_queue.actors.messages.queue import Drain, Settled, Unblocked
from task_queue.actors.messages.writer import Hear, Lend, Mark, Settle, WriteFailed
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.tasks.claim import Bid, Lease, LeasedTask
from task_queue.actors.tasks.meters import QueueMeter
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.settlement import requeue
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.verdict import Refusal, Taken

MAX_WAITING = 10_000
"""How many workers may wait for tasks. The number of connections is a lower bound, unless requests
come from elsewhere than our server."""
MAX_LENT = 500
"""How many tasks one commit leases at most: some 20 ms."""
LEASE_ID_BITS = 63
MARK_SECONDS = 30.0
"""How often to look for tasks of actions that are not external any more: nodes whose settings are
older may have added some."""


class Actions(Protocol):
    """The actions there are.

    Attributes:
        names: The names of all.
        external: The names of those that workers over HTTP do, and how many seconds an attempt of
            each may take; 0: no limit.
    """

    @property
    def names(self) -> list[str]: ...  # noqa: D102 - see above
    @property
    def external(self) -> Mapping[str, float]: ...  # noqa: D102


@dataclass(slots=True)
class _Marking:
    """What is known of the marks of stored tasks."""

    external: tuple[str, ...] | None = None  # the actions when it was last looked
    after: int | None = None
    look_at: float = 0.0
    busy: bool = False


class Lessor(Actor):
    """Keeps the workers that wait for tasks, and has tasks claimed for them.

    Those of a queue stand in line, and one claim at a time is under way for all of them: so a
    thousand that wait cost one look at the index, four times a second. Tasks that this node stores
    are claimed at once, others at the next tick.

    It keeps nothing that must not be lost: leases are rows. What was claimed for a worker that has
    gone meanwhile, or for a former life of this actor, goes back without an attempt; what this
    actor does not hear of any more, when its lease lapses.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        address: Recipient,
        writer: Recipient,
        queues: Callable[[], Mapping[str, QueueInfo]],
        actions: Actions,
        now: Callable[[], float],
        random: Callable[[], float],
        random_bits: Callable[[int], int],
        meter_of: Callable[[str], QueueMeter] | None = None,
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            address: This actor's own, where answers go.
            writer: The database writer.
            queues: Returns what has to be known of the queues, by name.
            actions: The actions there are.
            now: The present moment, Unix seconds.
            random: Gives a number in [0, 1), for the jitter.
            random_bits: Gives a number of so many random bits, for lease ids: 63 of them are what
                keeps a lease from others, so they must not be guessable.
            meter_of: Returns what counts for a queue.
        """
        super().__init__(life)
        self._address = address
        self._writer = writer
        self._queues = queues
        self._actions = actions
        self._now = now
        self._random = random
        self._random_bits = random_bits
        self._lines: dict[str, list[LeaseTasks]] = {}  # who waits, by queue, the first come first
        # The claim that is under way, and for whom, by queue.
        self._lending: dict[str, tuple[Lend, tuple[LeaseTasks, ...]]] = {}
        self._again: set[str] = set()  # queues to look at when their claim is done
        self._returned: set[Lease] = set()  # of which it is not known whether that is on disk
        self._failed: list[Settle] = []  # of these, what has to be told again
        self._marking = _Marking()
        self._draining: Drain | None = None
        self._meter_of = meter_of or (lambda _: QueueMeter())
        self._meters: dict[str, QueueMeter] = {}  # of the queues whose tasks were leased

    def receive(self, message: Message) -> None:  # noqa: C901, PLR0912 - one case per message
        """Handle one message."""
        match message:
            case LeaseTasks():
                self._take(message)
            case SettleLeases():
                self._settle(message)
            case Lent():
                self._on_lent(message)
            case GiveBack(leased=lot):
                self._give_back(lot)
            case ExternalStored(queues=names):
                for name in names:
                    self._look(name)
            case Unblocked():
                self._look_at_all()
            case Heard():
                self._on_heard(message)
            case Settled(applied=applied, refused=refused):
                self._returned.difference_update(applied, refused)
            case Marked():
                self._on_marked(message)
            case WriteFailed():
                self._on_write_failed(message)
            case Tick():
                self._on_tick(message.now)
            case GetLent():
                rates = {name: each.rates.per_second() for name, each in self._meters.items()}
                message.reply_to.answer(rates)
            case Drain():
                self._drain(message)
            case _:
                self.unexpected(message)
        if self._draining is not None and not (self._lending or self._returned):
            self._draining.reply_to.answer(())

    def give_up(self, error: TaskQueueError) -> None:
        """Fail those that wait."""
        for line in self._lines.values():
            for waiter in line:
                waiter.reply_to.fail(error)
        if self._draining is not None:
            self._draining.reply_to.fail(error)

    def _take(self, waiter: LeaseTasks) -> None:
        if self._draining is not None:
            raise UnavailableError("the server is shutting down")
        if sum(map(len, self._lines.values())) >= MAX_WAITING:
            raise QueueFullError(f"{MAX_WAITING} workers already wait for tasks")
        self._lines.setdefault(waiter.queue, []).append(waiter)
        self._look(waiter.queue)

    def _look_at_all(self) -> None:
        for name in tuple(self._lines):
            self._look(name)

    def _look(self, name: str) -> None:
        """Have what is ready claimed for those in line."""
        line = [waiter for waiter in self._lines.pop(name, ()) if not waiter.reply_to.is_done]
        if not line:
            return
        self._lines[name] = line
        if name in self._lending:
            self._again.add(name)
            return
        bids = tuple(
            Bid(
                actions=waiter.actions,
                limit=waiter.limit,
                lease_id=self._random_bits(LEASE_ID_BITS),
                worker=waiter.worker,
                lease_seconds=waiter.lease_seconds,
            )
            for waiter in line
        )
        info = self._queues().get(name)
        rate = 0.0 if info is None else info.limits.rate_limit
        timeouts = self._actions.external
        lend = Lend(self._address, name, bids, MAX_LENT, rate, timeouts, self._now())
        self._lending[name] = lend, tuple(line)
        self._writer.tell(lend)

    def _on_lent(self, lent: Lent) -> None:
        name, line = lent.lend.queue_name, self._over(lent.lend)
        if line is None:
            for lot in lent.lots:
                self._give_back(lot)
            return
        for waiter, lot in zip(line, lent.lots, strict=True):
            if lot:
                if not waiter.reply_to.answer(lot):
                    self._give_back(lot)
                    continue
                for leased in lot:
                    waited = lent.lend.now - leased.claimed.ready_at
                    self._meter(name).started(leased.claimed.action, waited)
            elif not waiter.waits and not lent.more:  # the claim may not have got to it
                waiter.reply_to.answer(())
        if lent.more or name in self._again:
            self._again.discard(name)
            self._look(name)

    def _over(self, lend: Lend) -> Sequence[LeaseTasks] | None:
        """Return for whom this claim was, which is over; None: it was one of a former life."""
        present, line = self._lending.get(lend.queue_name, (None, ()))
        if present is not lend:
            return None
        del self._lending[lend.queue_name]
        return line

    def _give_back(self, lot: Sequence[LeasedTask]) -> None:
        for leased in lot:
            self._returned.add(leased.claimed.lease)
            settlement = requeue(leased.claimed)
            self._writer.tell(Settle(self._address, settlement, queue=leased.queue))

    def _settle(self, asked: SettleLeases) -> None:
        hear = Hear(
            self._address,
            asked.said,
            asked.queues,
            self._queues(),
            self._actions.external,
            self._random(),
            self._now(),
            asked.reply_to,
        )
        self._writer.tell(hear)

    def _on_heard(self, heard: Heard) -> None:
        for task_id, each in zip(heard.task_ids, heard.outcomes, strict=True):
            if isinstance(each, Refusal):
                self.log.warning("verdict refused", id=task_id, reason=each.value)
            elif not each.repeated:
                self._count(each)

    def _count(self, taken: Taken) -> None:
        meter = self._meter(taken.queue)
        if taken.status is Status.COMPLETED:
            meter.completed(taken.action, taken.seconds)
        elif taken.failed:
            meter.failed(taken.action, Outcome.FAILED, taken.status, taken.seconds)

    def _meter(self, queue: str) -> QueueMeter:
        if queue not in self._meters:
            self._meters[queue] = self._meter_of(queue)
        return self._meters[queue]

    def _on_tick(self, now: float) -> None:
        for meter in self._meters.values():
            meter.rates.note(now)
        self._look_at_all()
        failed, self._failed = self._failed, []
        for settle in failed:
            self._writer.tell(settle)
        names = tuple(self._actions.external)
        is_due = not 0 < self._marking.look_at - now <= MARK_SECONDS
        if not self._marking.busy and (is_due or names != self._marking.external):
            self._marking.external = names
            self._marking.after = None
            self._mark(now)

    def _mark(self, now: float) -> None:
        self._marking.busy = True
        self._marking.look_at = now + MARK_SECONDS
        external = self._marking.external or ()
        inner = tuple(name for name in self._actions.names if name not in external)
        queues = tuple(self._queues())
        self._writer.tell(Mark(self._address, external, inner, queues, self._marking.after))

    def _on_marked(self, marked: Marked) -> None:
        self._marking.busy = False
        self._marking.after = marked.after
        self._look_at_all()
        if marked.more:
            self._mark(self._now())

    def _on_write_failed(self, failure: WriteFailed) -> None:
        match failure.write:
            case Lend() as lend:
                for waiter in self._over(lend) or ():
                    waiter.reply_to.fail(failure.error)
            case Settle() as settle if isinstance(failure.error, BadRowError):
                self._returned.discard(settle.settlement.lease)  # it goes back when it lapses
            case Settle() as settle:
                self._failed.append(settle)
            case Mark():
                self._marking.busy = False

    def _drain(self, drain: Drain) -> None:
        """Lease nothing more; what a claim under way brings goes back."""
        self._draining = drain
        lines, self._lines = self._lines, {}
        for line in lines.values():
            for waiter in line:
                waiter.reply_to.answer(())
