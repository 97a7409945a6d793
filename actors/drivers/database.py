"""The durable driver: a task is a row, and every change of its state is a commit."""

from collections.abc import Callable, Iterable, Sequence
from math import inf

from task_queue.actors.errors import AnswerTimeoutError, BadRowError, QueueFullError
from task_queue.actors.messages.base import Notice, Recipient
from task_queue.actors.messages.queue import Publish, Settled, Stored, Tended
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Insert,
    KeyPlace,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
    WriteFailed,
)
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import Claimant, Lease
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.settlement import Settlement, unstorable
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Status

MAX_PENDING_PUBLISHES = 10_000
"""How many publishes may wait for their commit. The number of HTTP threads is a lower bound until
the database hangs and callers time out and try again: then this one holds."""
RETRY = Backoff(base_seconds=0.5, factor=2.0, cap_seconds=10.0)
"""How long to wait before failed settlements are repeated."""
LEASE_ID_BITS = 63
RECOUNT_SECONDS = 60.0
"""How often to look for what was made by a clock that was ahead, besides at the start and when the
clock is set back: another node may have left it."""


class DatabaseDriver:
    """Tells the writer what to write, and keeps only the settlements that are not on disk yet.

    Those are repeated until they are written or their lease is lost, so that a task that completed
    while the database was away does not run again. There are never more of them than claimed
    tasks, since no claim succeeds meanwhile.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        *,
        queue: str,
        queue_address: Recipient,
        writer: Recipient,
        lease_seconds: float,
        sole_owner: bool,
        worker: str,
        limits: QueueLimits,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        random: Callable[[], float],
        random_bits: Callable[[int], int],
        on_own_actions: Callable[[Sequence[str]], None] = lambda _names: None,
    ) -> None:
        """Store what is needed.

        Args:
            queue: The queue's name.
            queue_address: The queue, which is told what came of a write.
            writer: The database writer.
            lease_seconds: How long a claim is good without being renewed.
            sole_owner: Whether no other process uses this database: then every lease that the
                queue does not hold was left by a former process or a former life.
            worker: The name of this node in the rows it claims.
            limits: The limits of the queue.
            now: The present moment, Unix seconds.
            monotonic: Seconds on a clock that is never set, for deadlines.
            random: Gives a number in [0, 1), for the jitter.
            random_bits: Gives a number of so many random bits, for lease ids.
            on_own_actions: Called with the names of actions that nodes have had.
        """
        self._queue = queue
        self._queue_address = queue_address
        self._writer = writer
        self._lease_seconds = lease_seconds
        self._sole_owner = sole_owner
        self._worker = worker
        self._limits = limits
        self._now = now
        self._monotonic = monotonic
        self._random = random
        self._random_bits = random_bits
        self._on_own_actions = on_own_actions
        self._watches_actions = not sole_owner
        self._publishing: dict[str, Publish] = {}  # by task id, in the order they came
        self._unsettled: dict[Lease, Settle] = {}
        self._failed: list[Settle] = []
        self._failures = 0
        self._retry_at = inf
        self._renew_at = 0.0
        self._recount_at = 0.0
        # The key after which the sweep for free places goes on; None: nothing is left to sweep.
        self._sweep_after: str | None = ""
        self._tending = False  # one `Tend` at a time, or they would pile up behind a slow commit

    def recover(self) -> None:
        """Have the leases found that former lives left."""
        self._tend(self._now())

    def publish(self, publish: Publish) -> None:
        """Have the rows written; the writer answers after the commit."""
        if len(self._publishing) >= MAX_PENDING_PUBLISHES:
            message = f"{MAX_PENDING_PUBLISHES} publishes already wait for the database"
            raise QueueFullError(message)
        self._publishing[publish.tasks[0].id] = publish
        self._writer.tell(
            Insert(
                self._queue_address,
                publish.tasks,
                publish.deadline,
                publish.reply_to,
                publish.conditions,
            )
        )

    def claim(self, limit: int, free: int) -> None:
        """Have the next ready rows leased."""
        self._writer.tell(Claim(self._queue_address, self._claimant(), limit, free))

    def claim_suspect(self) -> None:
        """Have the next suspect's row leased."""
        self._writer.tell(ClaimSuspect(self._queue_address, self._claimant()))

    def settle(self, settlement: Settlement) -> None:
        """Have it written, and keep it until it is. The first settlement of a lease counts."""
        if settlement.lease in self._unsettled:
            return
        settle = Settle(self._queue_address, settlement, self._place_of(settlement), self._queue)
        self._unsettled[settlement.lease] = settle
        self._writer.tell(settle)

    def tick(self, now: float, held: Iterable[Lease]) -> None:
        """Renew leases after a third of their time, repeat failed settlements, tend the queue.

        Also answer publishes whose deadline has passed, since nobody else does: see
        `Address.ask_later`.
        """
        self._give_up_publishes()
        # A clock may be set back: the distance counts, not the order.
        if not 0 < self._renew_at - now <= self._lease_seconds / 3:
            self._renew_at = now + self._lease_seconds / 3
            if leases := (*held, *self._unsettled):
                until = now + self._lease_seconds
                self._writer.tell(Renew(self._queue_address, leases, until))
        if self._failed and not 0 < self._retry_at - now <= RETRY.cap_seconds:
            self._retry_at = inf
            failed, self._failed = self._failed, []
            for settle in failed:
                self._writer.tell(settle)
        self._tend(now)

    def report(self, progress: Progress) -> None:
        """Have it stored how far a running task is; if that fails, the next report replaces it."""
        self._writer.tell(Report(self._queue_address, progress))

    def pause(self, waiter: Reply[None], *, paused: bool) -> None:
        """Have it stored whether the queue is paused."""
        self._writer.tell(SetPaused(self._queue_address, self._queue, paused, waiter))

    def reconfigure(self, lease_seconds: float, limits: QueueLimits) -> None:
        """Use these from now on, and sweep for tasks that a lifted or raised limit held back."""
        self._lease_seconds = lease_seconds
        self._limits = limits
        self._renew_at = 0.0
        self._sweep_after = ""

    def hear(self, notice: Notice) -> None:
        """Forget what is written or refused, and plan to repeat what failed."""
        match notice:
            case Stored():
                for task_id in notice.task_ids:
                    self._publishing.pop(task_id, None)
            case Settled():
                self._failures = 0
                for lease in (*notice.applied, *notice.refused):
                    self._unsettled.pop(lease, None)
            case Tended():
                self._on_tended(notice)
            case WriteFailed():
                self._on_write_failed(notice)

    def is_settling(self, lease: Lease) -> bool:
        """Return whether a settlement of this lease is neither written nor refused."""
        return lease in self._unsettled

    @property
    def unsettled(self) -> int:
        """How many settlements are neither written nor refused."""
        return len(self._unsettled)

    def _on_tended(self, tended: Tended) -> None:
        """Note how far the sweep came; tend again at once if more is due."""
        self._tending = False
        if self._limits.concurrency_per_key:
            self._sweep_after = tended.swept_to
        else:  # a lifted limit may have left blocked tasks: from the first key until there are none
            self._sweep_after = "" if tended.swept else None
        if tended.own_actions and self._watches_actions:
            self._watches_actions = False
            self._on_own_actions(tended.own_actions)
        if tended.recounted:
            self._recount_at = 0.0  # until there are no more
        if tended.more:
            self._tend(self._now())

    def _on_write_failed(self, failure: WriteFailed) -> None:
        """Forget a publish, whose caller was answered; plan to repeat a settlement."""
        match failure.write:
            case Insert(tasks=tasks):
                self._publishing.pop(tasks[0].id, None)
            case Settle(settlement=refused) if isinstance(failure.error, BadRowError):
                self._unsettled.pop(refused.lease, None)
                if refused.status is not Status.DEAD:
                    self.settle(unstorable(refused, failure.error, self._now()))
            case Settle() as settle:
                self._failed.append(settle)
                if self._retry_at == inf:
                    self._failures += 1
                    delay = RETRY.delay_seconds(self._failures, self._random)
                    self._retry_at = self._now() + delay
            case Renew():
                self._renew_at = 0.0
            case Tend():
                self._tending = False
                self._recount_at = 0.0

    def _claimant(self) -> Claimant:
        now = self._now()
        return Claimant(
            queue=self._queue,
            lease_id=self._random_bits(LEASE_ID_BITS),
            node=self._worker,
            now=now,
            leased_until=now + self._lease_seconds,
            rate_limit=self._limits.rate_limit,
        )

    def _give_up_publishes(self) -> None:
        monotonic = self._monotonic()
        for publish in self._publishing.values():
            if publish.deadline > monotonic:
                break  # those after it came later
            text = "no answer before the deadline; whether it took effect is unknown"
            publish.reply_to.fail(AnswerTimeoutError(text))

    def _tend(self, now: float) -> None:
        if self._tending:
            return
        self._tending = True
        lapsed = inf if self._sole_owner else now
        recounts = not 0 < self._recount_at - now <= RECOUNT_SECONDS
        if recounts:
            self._recount_at = now + RECOUNT_SECONDS
        self._writer.tell(
            Tend(
                self._queue_address,
                self._queue,
                now,
                lapsed,
                self._limits.concurrency_per_key,
                self._sweep_after,
                recounts,
                self._watches_actions,
            )
        )

    def _place_of(self, settlement: Settlement) -> KeyPlace | None:
        if settlement.key is None or not self._limits.concurrency_per_key:
            return None
        return KeyPlace(self._queue, settlement.key, self._limits.concurrency_per_key)
