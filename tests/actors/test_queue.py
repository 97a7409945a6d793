"""The queue: messages in, calls of its driver and deliveries out; and with all that is below it."""

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from task_queue.actors.drivers.database import DatabaseDriver
from task_queue.actors.drivers.memory import MemoryDriver
from task_queue.actors.errors import AnswerTimeoutError, StoreUnavailableError, UnavailableError
from task_queue.actors.messages.base import Message, Notice
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
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.supervisor import Replace, Retire
from task_queue.actors.messages.writer import Claim, ClaimSuspect, SetPaused, WriteFailed
from task_queue.actors.queue import CRASHED, LOST, QueueActor
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.limits import NO_LIMITS, QueueLimits
from task_queue.actors.tasks.settlement import EXPIRED, Failure, Settlement
from task_queue.actors.tasks.slot import Progress, Slot
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.window import AHEAD_SECONDS, FEW, MAX_WAIT_SECONDS
from task_queue.actors.writer import DatabaseWriter
from tests.actors.store.calls import claimant
from tests.fakes import NOW, Inbox, ManualClock, a_task, life, work

NO = Failure("no")
NEVER = Failure("never", permanent=True)

_numbers = count(1)


class BookkeepingDriver:
    """Keeps what it is asked for; nothing comes of it until the test says so."""

    def __init__(self) -> None:
        self.claims: list[tuple[int, int]] = []
        self.suspect_claims = 0
        self.settlements: list[Settlement] = []
        self.published: list[str] = []
        self.held: list[Lease] = []
        self.heard: list[Notice] = []
        self.reports: list[Progress] = []
        self.pauses: list[bool] = []
        self.recovered = False
        self.settings: tuple[float, QueueLimits] | None = None

    def recover(self) -> None:
        self.recovered = True

    def publish(self, publish: Publish) -> None:
        self.published += [task.id for task in publish.tasks]

    def claim(self, limit: int, free: int) -> None:
        self.claims.append((limit, free))

    def claim_suspect(self) -> None:
        self.suspect_claims += 1

    def settle(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)

    def tick(self, now: float, held: Iterable[Lease]) -> None:
        assert now
        self.held = list(held)

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)

    def pause(self, waiter: Reply[None], *, paused: bool) -> None:
        assert not waiter.is_done
        self.pauses.append(paused)

    def reconfigure(self, lease_seconds: float, limits: QueueLimits) -> None:
        self.settings = (lease_seconds, limits)

    def hear(self, notice: Notice) -> None:
        self.heard.append(notice)
        if isinstance(notice, Settled):
            gone = {*notice.applied, *notice.refused}
            self.settlements = [each for each in self.settlements if each.lease not in gone]

    def is_settling(self, lease: Lease) -> bool:
        return any(each.lease == lease for each in self.settlements)

    @property
    def unsettled(self) -> int:
        return len(self.settlements)


class Queue:
    """A queue that was never started, with two consumers and a window of four."""

    def __init__(self, prefetch: int = 4) -> None:
        self.driver = BookkeepingDriver()
        self.consumers = {"one": Inbox(), "two": Inbox()}
        self.clock = ManualClock()
        self.supervisor = Inbox()
        self.actor = QueueActor(
            life("queue"),
            driver=self.driver,
            consumers=self.consumers,
            prefetch=prefetch,
            backoff=Backoff(base_seconds=10.0, factor=2.0, cap_seconds=100.0),
            supervisor=self.supervisor,
            now=self.clock,
            monotonic=self.clock,
            random=lambda: 0.5,
        )
        self.actor.setup()

    def gets(self, *messages: Message) -> None:
        for message in messages:
            self.actor.receive(message)

    def delivered(self, consumer: str) -> list[ClaimedTask]:
        return [message.claimed for message in self.consumers[consumer].all_of(Deliver)]

    def pause(self, *, paused: bool = True) -> Reply[None]:
        """Ask for it; nothing is on disk until the test says so."""
        request = Pause(paused=paused)
        self.gets(request)
        return request.reply_to

    def settled(self) -> list[tuple[Lease, Status, int]]:
        """What became of which task, with how many attempts."""
        return [(each.lease, each.status, each.attempt) for each in self.driver.settlements]

    def outcomes(self) -> list[Outcome | None]:
        """What is recorded of each settled attempt."""
        failures = [each.failure for each in self.driver.settlements]
        return [None if failure is None else failure.outcome for failure in failures]

    def busy(self) -> tuple[int, int, int]:
        """How many consumers wait and run, and how many tasks wait for one."""
        state = self.state()
        return state.idle, state.running, state.prefetched

    def state(self) -> QueueState:
        request = GetQueueState()
        self.gets(request)
        return request.reply_to.wait(0)


def ready(consumer: str, slot: Slot | None = None) -> Ready:
    return Ready(consumer, slot or Slot())


def some(number: int, attempt: int = 1, **terms: Any) -> tuple[ClaimedTask, ...]:  # noqa: ANN401 - any term
    return tuple(
        ClaimedTask(
            Lease(f"task-{next(_numbers)}", 1), "sum", "{}", attempt, 5, terms=Terms(**terms)
        )
        for _ in range(number)
    )


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_it_takes_back_the_work_of_former_lives_before_it_claims(queue: Queue) -> None:
    assert queue.driver.recovered
    assert queue.driver.claims == []


def test_it_claims_for_free_consumers_one_claim_at_a_time(queue: Queue) -> None:
    queue.gets(ready("one"), ready("two"))
    assert queue.driver.claims == [(1, 1)]
    queue.gets(Claimed(some(1), more=True))
    assert queue.driver.claims == [(1, 1), (1, 1)]
    queue.gets(Claimed(some(1), more=True))
    assert queue.busy() == (0, 2, 0)
    assert len(queue.driver.claims) == 2


def does(queue: Queue, number: int, seconds: float = 0.0) -> None:
    """Let the consumer `one` do so many tasks, each in this time."""
    for task in some(number):
        queue.gets(Claimed((task,), more=False))
        queue.clock.advance(seconds)
        queue.gets(Ack("one", task, "{}", queue.clock.now - seconds))


def test_it_claims_as_many_ahead_as_have_just_ended_after_a_moment(queue: Queue) -> None:
    queue.gets(ready("one"))
    does(queue, FEW + 1)
    queue.gets(Stored(("task",)))
    assert queue.driver.claims[-1] == (2, 1)
    (failed,) = some(1)
    queue.gets(Claimed((failed,), more=False))
    queue.gets(Nack("one", failed, Failure("no", started_at=NOW)), Stored(("task",)))
    assert queue.driver.claims[-1] == (3, 1)
    does(queue, FEW + 1, 2 * AHEAD_SECONDS)
    queue.gets(Stored(("task",)))
    assert queue.driver.claims[-1] == (1, 1)


def test_what_waits_in_the_window_behind_a_long_task_goes_back_at_a_tick(queue: Queue) -> None:
    long, *waiting = some(3)
    queue.gets(ready("one"), Claimed((long, *waiting), more=False))
    queue.clock.advance(0.9 * MAX_WAIT_SECONDS)
    queue.gets(Tick(queue.clock.now))
    assert queue.settled() == []
    queue.clock.advance(0.2 * MAX_WAIT_SECONDS)
    queue.gets(Tick(queue.clock.now))
    # The last one first: each goes before those behind it.
    assert queue.settled() == [(task.lease, Status.QUEUED, 0) for task in reversed(waiting)]
    assert queue.outcomes() == [None, None]
    assert queue.busy() == (0, 1, 0)


def test_what_went_back_is_claimed_again_for_free_consumers_only(queue: Queue) -> None:
    long, waiting = some(2)
    queue.gets(ready("one"), Claimed((long, waiting), more=False))
    queue.clock.advance(1)
    queue.gets(Tick(queue.clock.now))
    queue.driver.claims.clear()
    queue.gets(Tick(queue.clock.now), Stored(("task",)))
    assert queue.driver.claims == []
    queue.gets(Ack("one", long, "{}", NOW), SuspectClaimed(None))
    assert queue.driver.claims == [(1, 1)]


def test_it_delivers_in_order_to_whoever_is_free(queue: Queue) -> None:
    first, second, third = tasks = some(3)
    queue.gets(ready("one"), ready("two"), Claimed(tasks, more=False))
    assert (queue.delivered("one"), queue.delivered("two")) == ([first], [second])
    queue.gets(Ack("two", second, "{}", NOW))
    assert queue.delivered("two") == [second, third]


def test_a_long_task_does_not_hold_the_window_behind_it(queue: Queue) -> None:
    long, *rest = tasks = some(4)
    queue.gets(ready("one"), ready("two"), Claimed(tasks, more=False))
    for task in rest:
        queue.gets(Ack("two", task, "{}", NOW))
    assert queue.delivered("one") == [long]
    assert queue.delivered("two") == rest


def test_it_claims_again_when_half_the_window_is_empty(queue: Queue) -> None:
    tasks = some(7)
    queue.gets(ready("one"))
    does(queue, FEW)
    queue.gets(Claimed(tasks, more=True))
    queue.driver.claims.clear()
    queue.gets(*(Ack("one", task, "{}", NOW) for task in tasks[:3]))
    assert queue.driver.claims == []  # three ended, and three wait
    queue.gets(Ack("one", tasks[3], "{}", NOW))
    assert queue.driver.claims == [(2, 0)]


def test_an_empty_queue_is_claimed_again_only_after_news(queue: Queue) -> None:
    queue.gets(ready("one"), Claimed((), more=False))
    queue.driver.claims.clear()
    queue.gets(ready("two"))
    assert queue.driver.claims == []
    queue.gets(Stored(("task",)))
    assert queue.driver.claims == [(2, 2)]


@pytest.mark.parametrize("news", [Tick(NOW), Tended(promoted=1, lapsed=()), Unblocked()])
def test_due_tasks_free_places_and_time_are_news(queue: Queue, news: Message) -> None:
    queue.gets(ready("one"), ready("two"), Claimed((), more=False))
    queue.driver.claims.clear()
    queue.gets(news)
    assert len(queue.driver.claims) == 1


def test_work_that_must_not_wait_is_not_asked_for_in_vain(queue: Queue) -> None:
    (retried,) = some(1, attempt=2)
    queue.gets(ready("one"))
    does(queue, FEW + 1)
    queue.gets(Stored(("task",)))
    assert queue.driver.claims[-1] == (2, 1)
    queue.driver.claims.clear()
    # More is ready, but the claim stopped short: its head is only for a free consumer.
    queue.gets(Claimed((retried,), more=True), Stored(("task",)))
    assert queue.driver.claims == []
    queue.gets(Ack("one", retried, "{}", NOW))
    assert queue.driver.claims == [(3, 1)]


def test_a_claim_that_failed_is_repeated_at_the_next_tick_not_at_once(queue: Queue) -> None:
    queue.gets(ready("one"))
    claim = Claim(Inbox(), claimant(), 1, 1)
    queue.gets(WriteFailed(claim, StoreUnavailableError()))
    assert queue.driver.claims == [(1, 1)]
    queue.gets(Tick(NOW), SuspectClaimed(None))
    assert len(queue.driver.claims) == 2


def test_an_ack_settles_and_a_nack_is_scheduled_with_backoff(queue: Queue) -> None:
    good, bad, rejected = tasks = some(3)
    queue.gets(ready("one"), ready("two"), Claimed(tasks, more=False))
    queue.gets(
        Ack("one", good, '{"output":1}', NOW),
        Nack("two", bad, NO),
        Nack("one", rejected, NEVER),
    )
    outcomes = [(each.status, each.result, each.error) for each in queue.driver.settlements]
    assert outcomes == [
        (Status.COMPLETED, '{"output":1}', None),
        (Status.SCHEDULED, None, "no"),
        (Status.DEAD, None, "never"),
    ]
    assert queue.driver.settlements[1].run_at == NOW + 5.0


def test_a_failed_task_with_a_backoff_of_its_own_waits_by_that(queue: Queue) -> None:
    (task,) = some(1, backoff=Backoff(60.0, 2.0, 600.0).text)
    queue.gets(ready("one"), Claimed((task,), more=False), Nack("one", task, NO))
    assert queue.driver.settlements[0].run_at == NOW + 30.0


def test_a_task_that_asks_for_later_and_one_that_stopped_are_settled_as_such(queue: Queue) -> None:
    later, stopped = tasks = some(2)
    queue.gets(ready("one"), ready("two"), Claimed(tasks, more=False))
    queue.gets(
        Nack("one", later, Failure("busy", retry_after=7.0)),
        Nack("two", stopped, Failure("bye", Outcome.CANCELLED)),
    )
    assert queue.settled() == [
        (later.lease, Status.SCHEDULED, 0),
        (stopped.lease, Status.CANCELLED, 1),
    ]
    assert queue.driver.settlements[0].run_at == NOW + 7.0


def test_what_a_consumer_ran_when_it_died_is_crashed_and_counts(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(ready("one"), Claimed((task,), more=False), ready("one"))
    assert queue.settled() == [(task.lease, Status.SCHEDULED, 1)]
    assert queue.outcomes() == [Outcome.CRASHED]
    assert queue.driver.settlements[0].error == CRASHED
    assert queue.busy() == (1, 0, 0)


def test_a_consumer_left_behind_does_not_free_its_successor(queue: Queue) -> None:
    old, new = some(1)[0], some(1)[0]
    queue.gets(ready("one"), Claimed((old,), more=False), ready("one"))
    queue.gets(Claimed((new,), more=False), Ack("one", old, "{}", NOW))
    assert queue.busy() == (0, 1, 0)


def test_lapsed_leases_are_lost_unless_they_are_in_our_hands(queue: Queue) -> None:
    held, lapsed = some(1)[0], some(1)[0]
    queue.gets(ready("one"), Claimed((held,), more=False))
    queue.gets(Tended(promoted=0, lapsed=(held, lapsed)))
    assert queue.settled() == [(lapsed.lease, Status.SCHEDULED, 1)]
    assert queue.outcomes() == [Outcome.LOST]
    assert queue.driver.settlements[0].error == LOST


def test_the_driver_hears_every_notice_and_no_other_message(queue: Queue) -> None:
    (task,) = some(1)
    claim = Claim(Inbox(), claimant(), 5, 1)
    notices: list[Notice] = [
        Claimed((task,), more=False),
        Stored(("task",)),
        Settled((), (task.lease,)),
        Renewed((task.lease,)),
        WriteFailed(claim, StoreUnavailableError()),
    ]
    queue.gets(ready("one"), *notices, Tick(NOW), Ack("one", task, "{}", NOW))
    assert queue.driver.heard == notices


def test_a_lease_that_is_being_settled_is_not_lost(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(ready("one"), Claimed((task,), more=False), Ack("one", task, "{}", NOW))
    queue.gets(Tended(promoted=0, lapsed=(task,)))
    assert [each.status for each in queue.driver.settlements] == [Status.COMPLETED]


def test_leases_of_the_window_and_of_what_runs_are_kept_alive(queue: Queue) -> None:
    tasks = some(3)
    queue.gets(ready("one"), Claimed(tasks, more=False), Tick(NOW))
    assert set(queue.driver.held) == {task.lease for task in tasks}


def test_a_task_whose_lease_is_lost_in_the_window_is_not_started(queue: Queue) -> None:
    running, lost, kept = tasks = some(3)
    queue.gets(ready("one"), Claimed(tasks, more=False), Renewed((lost.lease,)))
    queue.gets(Ack("one", running, "{}", NOW))
    assert queue.delivered("one") == [running, kept]


def suspect(attempt: int = 2) -> ClaimedTask:
    return some(1, attempt)[0]._replace(losses=1)


def test_a_suspect_is_claimed_for_a_free_consumer_only_and_goes_before_the_window(
    queue: Queue,
) -> None:
    running, waiting, last = tasks = some(3)
    queue.gets(ready("one"), Claimed(tasks, more=False), Tick(NOW))
    assert queue.driver.suspect_claims == 0
    queue.gets(Ack("one", running, "{}", NOW))
    assert queue.driver.suspect_claims == 1
    assert queue.delivered("one") == [running]
    lost = suspect()
    queue.gets(SuspectClaimed(lost), Ack("one", lost, "{}", NOW), SuspectClaimed(None))
    queue.gets(Ack("one", waiting, "{}", NOW))
    assert queue.delivered("one") == [running, lost, waiting, last]


def test_no_suspect_is_claimed_for_a_consumer_that_a_claim_under_way_is_for(queue: Queue) -> None:
    queue.gets(ready("one"), Tick(NOW))
    assert (queue.driver.claims, queue.driver.suspect_claims) == ([(1, 1)], 0)
    queue.gets(Claimed((), more=False))
    assert queue.driver.suspect_claims == 1


def test_only_one_suspect_is_claimed_at_a_time(queue: Queue) -> None:
    lost = suspect()
    queue.gets(ready("one"), ready("two"), Tick(NOW), Tick(NOW))
    assert queue.driver.suspect_claims == 1
    queue.gets(SuspectClaimed(lost), Tick(NOW))
    assert queue.delivered("one") == [lost]
    assert queue.driver.suspect_claims == 1
    queue.gets(Nack("one", lost, NO))
    assert queue.driver.suspect_claims == 2


def test_a_consumer_is_free_again_when_its_suspect_could_not_be_claimed(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(ready("one"), Claimed((), more=False), Tick(NOW))
    claim = ClaimSuspect(Inbox(), claimant())
    queue.gets(WriteFailed(claim, StoreUnavailableError()), Claimed((task,), more=False))
    assert queue.delivered("one") == [task]


def test_what_is_lost_becomes_a_suspect_and_what_fails_does_not(queue: Queue) -> None:
    failing, lost = tasks = some(2)
    queue.gets(ready("one"), ready("two"), Claimed(tasks, more=False))
    queue.gets(Nack("one", failing, NO), ready("two"))
    assert [(each.lease, each.losses) for each in queue.driver.settlements] == [
        (failing.lease, 0),
        (lost.lease, 1),
    ]


def test_a_drain_waits_for_the_claim_of_a_suspect_and_gives_it_back(queue: Queue) -> None:
    queue.gets(ready("one"), Claimed((), more=False), Tick(NOW), Claimed((), more=False))
    drain = Drain(NOW + 10)
    lost = suspect()
    queue.gets(drain)
    with pytest.raises(AnswerTimeoutError):
        drain.reply_to.wait(0)
    queue.gets(SuspectClaimed(lost))
    assert [(each.status, each.losses) for each in queue.driver.settlements] == [(Status.QUEUED, 1)]
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == ()


def settled(queue: Queue) -> Settled:
    return Settled(tuple(each.lease for each in queue.driver.settlements), ())


def test_a_drain_gives_back_the_window_and_waits_for_what_runs(queue: Queue) -> None:
    running, waiting = tasks = some(2)
    queue.gets(ready("one"), Claimed(tasks, more=True))
    drain = Drain(NOW + 10)
    queue.gets(drain)
    assert queue.settled() == [(waiting.lease, Status.QUEUED, 0)]
    assert queue.outcomes() == [None]
    queue.gets(settled(queue))
    queue.gets(Ack("one", running, "{}", NOW))
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == ()
    assert queue.delivered("one") == [running]


def test_a_claim_that_arrives_during_a_drain_is_given_back(queue: Queue) -> None:
    queue.gets(ready("one"))
    drain = Drain(NOW + 10)
    queue.gets(drain, Claimed(some(2), more=True))
    assert [each.status for each in queue.driver.settlements] == [Status.QUEUED] * 2
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == ()


def test_a_drain_past_its_deadline_gives_back_what_still_runs(queue: Queue) -> None:
    task = some(1)[0]
    drain = Drain(queue.clock() + 10)
    queue.gets(ready("one"), Claimed((task,), more=False), drain)
    queue.clock.advance(9)
    queue.gets(Tick(NOW + 3_600))  # a clock on the wall that was set meanwhile changes nothing
    assert queue.driver.settlements == []
    queue.clock.advance(1)
    queue.gets(Tick(NOW - 3_600))
    assert queue.settled() == [(task.lease, Status.QUEUED, 0)]
    assert queue.outcomes() == [Outcome.DRAINED]
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == (task.lease.task_id,)


def test_what_is_cut_short_by_a_drain_is_asked_to_stop_so_that_no_process_of_it_goes_on(
    queue: Queue,
) -> None:
    task, slot = some(1)[0], Slot()
    queue.gets(Ready("one", slot), Claimed((task,), more=False), Drain(queue.clock()), Tick(NOW))
    assert slot.stop == task.lease


def test_what_ends_because_a_drain_has_cut_it_short_is_not_logged_as_cancelled(
    queue: Queue,
) -> None:
    task = some(1)[0]
    queue.gets(ready("one"), Claimed((task,), more=False), Drain(queue.clock()), Tick(NOW))
    with capture_logs() as lines:
        queue.gets(Nack("one", task, Failure("cancelled", Outcome.CANCELLED)))
    assert lines == []
    assert queue.outcomes() == [Outcome.DRAINED]


# --- deadlines ------------------------------------------------------------------------------


def limit(slot: Slot, lease: Lease, overdue_at: float) -> None:
    """Let a run have five seconds, as the registry does."""
    slot.running, slot.timeout_seconds, slot.overdue_at = lease, 5.0, overdue_at


def test_a_consumer_that_does_not_come_back_is_replaced_and_its_task_timed_out(
    queue: Queue,
) -> None:
    task, slot = some(1)[0], Slot()
    slot.printed = lambda: "waiting\n"
    queue.gets(Ready("one", slot), Claimed((task,), more=False))
    limit(slot, task.lease, NOW + 6)  # the clock here is the same for both
    queue.clock.advance(5.9)
    queue.gets(Tick(NOW + 5.9))
    assert queue.driver.settlements == []
    queue.clock.advance(0.1)
    queue.gets(Tick(NOW + 6))
    assert queue.settled() == [(task.lease, Status.SCHEDULED, 1)]
    assert queue.outcomes() == [Outcome.TIMED_OUT]
    assert queue.driver.settlements[0].error == "timed out after 5 s, and did not stop"
    failure = queue.driver.settlements[0].failure
    assert failure is not None
    assert failure.stderr == "waiting\n"
    assert queue.driver.settlements[0].losses == 0
    assert queue.supervisor.messages == [Replace("one")]
    assert slot.stop == task.lease  # it may still look
    assert queue.busy() == (0, 0, 0)


def test_a_consumer_that_was_replaced_gets_nothing_until_its_successor_is_ready(
    queue: Queue,
) -> None:
    stuck, later = some(1)[0], some(1)[0]
    slot = Slot()
    queue.gets(Ready("one", slot), Claimed((stuck,), more=False))
    limit(slot, stuck.lease, NOW)
    queue.gets(Tick(NOW), Claimed((later,), more=False))
    assert queue.delivered("one") == [stuck]
    queue.gets(Ack("one", stuck, "{}", NOW))  # it came back after all
    assert queue.delivered("one") == [stuck]
    queue.gets(ready("one"), SuspectClaimed(None))
    assert queue.delivered("one") == [stuck, later]


def test_the_deadline_of_a_former_task_does_not_count(queue: Queue) -> None:
    former, task, slot = some(1)[0], some(1)[0], Slot()
    limit(slot, former.lease, NOW)
    queue.gets(Ready("one", slot), Claimed((task,), more=False), Tick(NOW + 100))
    assert queue.driver.settlements == []
    assert queue.supervisor.messages == []


# --- other settings -------------------------------------------------------------------------


def reconfigure(queue: Queue, *consumers: str, prefetch: int = 4) -> Reconfigure:
    backoff = Backoff(base_seconds=2.0, factor=1.0, cap_seconds=2.0)
    addresses = {name: queue.consumers.get(name) or Inbox() for name in consumers}
    queue.consumers = addresses
    return Reconfigure(
        consumers=addresses,
        prefetch=prefetch,
        backoff=backoff,
        lease_seconds=7.0,
        limits=NO_LIMITS,
    )


def test_a_further_consumer_is_given_tasks_as_soon_as_it_is_ready(queue: Queue) -> None:
    first, second = some(2)
    change = reconfigure(queue, "one", "two", "three")
    queue.gets(ready("one"), Claimed((first, second), more=False), change)
    assert change.reply_to.is_done
    queue.gets(ready("three"))
    assert queue.delivered("three") == [second]


def test_a_consumer_that_is_not_wanted_goes_at_once_if_it_is_free_else_after_its_task(
    queue: Queue,
) -> None:
    task = some(1)[0]
    queue.gets(ready("one"), Claimed((task,), more=False), ready("two"))
    queue.gets(reconfigure(queue))
    assert queue.supervisor.messages == [Retire(("two",))]
    queue.gets(Ack("one", task, "{}", NOW))
    assert queue.supervisor.messages == [Retire(("two",)), Retire(("one",))]
    assert queue.settled() == [(task.lease, Status.COMPLETED, 1)]
    assert queue.busy() == (0, 0, 0)


def test_a_consumer_that_is_wanted_again_before_its_task_ends_stays(queue: Queue) -> None:
    task = some(1)[0]
    one = queue.consumers["one"]
    queue.gets(ready("one"), Claimed((task,), more=False), reconfigure(queue))
    change = reconfigure(queue, "one")
    queue.consumers["one"] = one
    queue.gets(change, Ack("one", task, "{}", NOW))
    assert queue.supervisor.messages == []
    assert queue.busy() == (1, 0, 0)


def test_a_consumer_kept_free_for_a_suspect_goes_too_if_it_is_not_wanted(queue: Queue) -> None:
    queue.gets(ready("one"), Claimed((), more=False), Tick(NOW))
    queue.gets(reconfigure(queue), SuspectClaimed(None))
    assert queue.supervisor.messages == [Retire(("one",))]


def test_other_settings_hold_for_the_next_claim_the_next_failure_and_the_driver(
    queue: Queue,
) -> None:
    (last,) = some(1)
    one = queue.consumers["one"]
    change = reconfigure(queue, "one", prefetch=2)
    queue.consumers["one"] = one
    queue.gets(ready("one"), change)
    assert queue.driver.settings == (7.0, NO_LIMITS)
    does(queue, FEW + 3)
    queue.gets(Stored(("task",)))
    assert queue.driver.claims[-1] == (3, 1)  # not (4, 1)
    queue.gets(Claimed((last,), more=False), Nack("one", last, NO))
    assert queue.driver.settlements[-1].run_at == NOW + 1.0


def test_nothing_is_published_during_a_drain(queue: Queue) -> None:
    queue.gets(ready("one"), Drain(NOW + 10))
    with pytest.raises(UnavailableError, match="shutting down"):
        queue.gets(Publish((a_task(),), NOW))
    assert queue.driver.published == []


# --- pause ----------------------------------------------------------------------------------


def test_a_pause_gives_back_the_window_and_lets_what_runs_finish(queue: Queue) -> None:
    running, waiting = tasks = some(2)
    queue.gets(ready("one"), Claimed(tasks, more=True))
    queue.driver.claims.clear()
    queue.pause()
    assert queue.driver.pauses == [True]
    assert queue.settled() == [(waiting.lease, Status.QUEUED, 0)]
    assert queue.state().paused
    queue.gets(Ack("one", running, "{}", NOW), Tick(NOW), Stored(("task",)))
    assert queue.settled()[1:] == [(running.lease, Status.COMPLETED, 1)]
    assert queue.delivered("one") == [running]
    assert (queue.driver.claims, queue.driver.suspect_claims) == ([], 0)


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_was_claimed_before_the_pause_is_given_back_not_started(
    queue: Queue, *, on_disk: bool
) -> None:
    ordinary, lost = some(1)[0], suspect()
    queue.gets(ready("one"), ready("two"), Tick(NOW))
    paused = queue.pause()
    if on_disk:
        paused.answer(None)
    queue.gets(Claimed((ordinary,), more=True), SuspectClaimed(lost))
    assert queue.settled() == [(ordinary.lease, Status.QUEUED, 0), (lost.lease, Status.QUEUED, 1)]
    assert queue.delivered("one") == queue.delivered("two") == []
    assert queue.busy() == (2, 0, 0)


def test_news_older_than_the_pause_does_not_end_it_and_later_news_does(queue: Queue) -> None:
    queue.gets(ready("one"))
    paused = queue.pause()
    paused.answer(None)
    queue.gets(Tended(promoted=1, lapsed=(), paused=False), Claimed(some(1), more=True))
    assert queue.delivered("one") == []
    assert queue.state().paused
    queue.gets(PauseKept(paused=True), Tended(promoted=0, lapsed=(), paused=True))
    assert queue.state().paused
    queue.gets(Tended(promoted=0, lapsed=(), paused=False))  # another node ended it
    assert not queue.state().paused


def test_of_two_wishes_in_a_row_the_last_one_counts(queue: Queue) -> None:
    queue.gets(ready("one"))
    queue.pause()
    queue.pause(paused=False)
    queue.gets(PauseKept(paused=True))
    assert not queue.state().paused
    queue.gets(PauseKept(paused=False), Tended(promoted=0, lapsed=(), paused=True))
    assert queue.state().paused


@pytest.mark.parametrize("kept", [True, False])
def test_what_came_of_a_wish_of_a_former_life_confuses_nobody(queue: Queue, *, kept: bool) -> None:
    write = SetPaused(Inbox(), "tasks", paused=True, waiter=Reply())
    failed = WriteFailed(write, StoreUnavailableError("away"))
    queue.gets(ready("one"), PauseKept(paused=True) if kept else failed)
    queue.gets(Tended(promoted=0, lapsed=(), paused=False))
    assert not queue.state().paused
    queue.pause()
    queue.gets(Tended(promoted=0, lapsed=(), paused=False))
    assert queue.state().paused


def test_news_older_than_the_end_of_a_pause_does_not_begin_it_anew(queue: Queue) -> None:
    queue.gets(ready("one"))
    queue.pause().answer(None)
    queue.driver.claims.clear()
    queue.pause(paused=False)
    assert queue.driver.pauses == [True, False]
    queue.gets(Claimed((), more=False), Tended(promoted=0, lapsed=(), paused=True))
    assert not queue.state().paused


def test_a_queue_that_goes_on_claims_at_once(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(ready("one"), Claimed((), more=False))
    queue.pause().answer(None)
    queue.driver.claims.clear()
    queue.pause(paused=False)
    assert queue.driver.claims == [(1, 1)]
    queue.gets(Claimed((task,), more=False))
    assert queue.delivered("one") == [task]


def test_a_pause_by_another_node_or_in_a_former_life_is_found_at_a_tick(queue: Queue) -> None:
    running, waiting = tasks = some(2)
    queue.gets(ready("one"), Claimed(tasks, more=True))
    queue.gets(Tended(promoted=0, lapsed=(), paused=True))
    assert queue.settled() == [(waiting.lease, Status.QUEUED, 0)]
    queue.gets(Ack("one", running, "{}", NOW))
    queue.driver.claims.clear()
    queue.gets(Tended(promoted=0, lapsed=(), paused=False))
    assert queue.driver.claims == [(1, 1)]


def test_a_pause_that_could_not_be_kept_ends_with_the_next_look(queue: Queue) -> None:
    queue.gets(ready("one"))
    write = SetPaused(Inbox(), "tasks", paused=True, waiter=queue.pause())
    queue.gets(WriteFailed(write, StoreUnavailableError("away")))
    assert queue.state().paused
    queue.gets(Tended(promoted=0, lapsed=(), paused=False))
    assert not queue.state().paused


def test_publishing_goes_on_while_a_queue_is_paused(queue: Queue) -> None:
    queue.pause()
    publish = Publish((a_task(), a_task()), NOW)
    queue.gets(publish)
    assert queue.driver.published == [task.id for task in publish.tasks]


def test_a_paused_queue_drains_like_any_other(queue: Queue) -> None:
    running = some(1)[0]
    queue.gets(ready("one"), Claimed((running,), more=False))
    queue.pause()
    drain = Drain(NOW + 10)
    queue.gets(drain, Ack("one", running, "{}", NOW))
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == ()


# --- cancel, expiry, progress ---------------------------------------------------------------


@pytest.mark.parametrize(
    "notice",
    [
        lambda lease: Tended(promoted=0, lapsed=(), cancelling=(lease,)),
        lambda lease: Renewed((lease,)),
    ],
    ids=["cancelled", "the lease is lost"],
)
def test_what_runs_is_asked_to_stop_and_its_neighbour_is_not(
    queue: Queue, notice: Callable[[Lease], Notice]
) -> None:
    one, two = tasks = some(2)
    slots = {"one": Slot(), "two": Slot()}
    queue.gets(*(ready(name, slot) for name, slot in slots.items()), Claimed(tasks, more=False))
    queue.gets(notice(one.lease))
    assert (slots["one"].stop, slots["two"].stop) == (one.lease, None)
    assert queue.settled() == []
    queue.gets(Ack("two", two, "{}", NOW))
    assert queue.settled() == [(two.lease, Status.COMPLETED, 1)]


def test_what_waits_in_the_window_goes_back_to_be_cancelled(queue: Queue) -> None:
    running, cancelled, kept = tasks = some(3)
    queue.gets(ready("one"), Claimed(tasks, more=False))
    queue.gets(Tended(promoted=0, lapsed=(), cancelling=(cancelled.lease,)))
    assert queue.settled() == [(cancelled.lease, Status.QUEUED, 0)]
    queue.gets(Ack("one", running, "{}", NOW))
    assert queue.delivered("one") == [running, kept]


def test_a_consumer_that_took_the_place_of_a_dead_one_is_reached_by_its_own_slot(
    queue: Queue,
) -> None:
    old, new = some(1)[0], some(1)[0]
    slots = [Slot(), Slot()]
    queue.gets(ready("one", slots[0]), Claimed((old,), more=False))
    queue.gets(ready("one", slots[1]), Claimed((new,), more=False))
    queue.gets(Tended(promoted=0, lapsed=(), cancelling=(new.lease,)))
    assert [slot.stop for slot in slots] == [None, new.lease]


def test_a_task_that_expired_in_the_window_is_dead_and_the_next_is_started(queue: Queue) -> None:
    running = some(1)[0]
    late, in_time = some(2, expires_at=NOW + 0.05)
    endless = some(1)[0]
    queue.gets(ready("one"), Claimed((running, late, in_time, endless), more=False))
    queue.clock.advance(0.04)
    queue.gets(Ack("one", running, "{}", NOW))
    queue.clock.advance(0.01)
    queue.gets(Ack("one", late, "{}", NOW))
    assert queue.delivered("one") == [running, late, endless]
    assert queue.settled()[2:] == [(in_time.lease, Status.DEAD, 0)]
    assert (queue.driver.settlements[2].error, queue.outcomes()[2]) == (EXPIRED, None)
    queue.gets(ready("two"))
    assert queue.busy() == (1, 1, 0)


def test_progress_is_written_at_a_tick_once_per_report(queue: Queue) -> None:
    task = some(1)[0]
    slot = Slot()
    queue.gets(ready("one", slot), ready("two"), Claimed((task,), more=False), Tick(NOW))
    assert queue.driver.reports == []
    half = slot.progress = Progress(task.lease, 0.5, None)
    slot.progress = most = Progress(task.lease, 0.9, "nearly")
    queue.gets(Stored(("task",)))
    assert queue.driver.reports == []
    queue.gets(Tick(NOW), Tick(NOW))
    assert queue.driver.reports == [most]
    slot.progress = half
    queue.gets(Tick(NOW))
    assert queue.driver.reports == [most, half]


def test_the_last_progress_of_a_task_is_written_once_when_it_ends(queue: Queue) -> None:
    old, new = some(2)
    slot = Slot()
    queue.gets(ready("one", slot), Claimed((old, new), more=False))
    slot.progress = Progress(old.lease, 1.0, None)
    queue.gets(Ack("one", old, "{}", NOW), Tick(NOW))
    queue.gets(Ack("one", new, "{}", NOW), Tick(NOW))
    assert queue.driver.reports == [Progress(old.lease, 1.0, None)]


# --- a rate limit, rates --------------------------------------------------------------------


def test_without_a_window_it_claims_for_free_consumers_only() -> None:
    queue = Queue(prefetch=0)
    queue.gets(ready("one"), ready("two"))
    assert queue.driver.claims == [(1, 1)]
    first, second = some(2)
    queue.gets(Claimed((first,), more=True))
    assert queue.driver.claims == [(1, 1), (1, 1)]
    queue.gets(Claimed((second,), more=True))
    assert queue.busy() == (0, 2, 0)
    assert len(queue.driver.claims) == 2
    queue.gets(Ack("two", second, "{}", NOW))
    assert queue.driver.claims[2:] == [(1, 1)]


def test_the_state_shows_how_many_a_second_are_published_completed_and_failed(
    queue: Queue,
) -> None:
    good, bad, died = some(3)
    queue.gets(Tick(NOW), ready("one"), SuspectClaimed(None))
    queue.gets(Claimed((good, bad, died), more=False))
    queue.gets(Publish(tuple(a_task() for _ in range(4)), NOW + 60))
    queue.gets(Ack("one", good, "{}", NOW), Nack("one", bad, NO))
    queue.gets(ready("one"), Tick(NOW + 10))
    assert queue.state().rates == {"published": 0.4, "completed": 0.1, "failed": 0.2}


# --- with a real writer, and all in one thread ----------------------------------------------


class Office:
    """A queue, its driver and the writer, none of which has a thread; one consumer who waits."""

    def __init__(self, database: Database, *, in_memory: bool = False) -> None:
        self.clock = ManualClock()
        self.consumer = Inbox()
        address, writer_address = Address("queue"), Address("writer")
        self.store = Session(database)
        self.writer = DatabaseWriter(
            Life(writer_address, Inbox()),
            session=self.store,
            max_batch=100,
            now=self.clock,
            monotonic=self.clock,
        )
        driver: DatabaseDriver | MemoryDriver = DatabaseDriver(
            queue="tasks",
            queue_address=address,
            writer=writer_address,
            lease_seconds=60.0,
            sole_owner=True,
            worker="worker",
            limits=NO_LIMITS,
            now=self.clock,
            monotonic=self.clock,
            random=lambda: 0.5,
            random_bits=lambda _: next(_numbers),
        )
        if in_memory:
            driver = MemoryDriver(queue_address=address, writer=writer_address, now=self.clock)
        self.queue = QueueActor(
            Life(address, Inbox()),
            driver=driver,
            consumers={"one": self.consumer},
            prefetch=4,
            backoff=Backoff(base_seconds=10.0, factor=2.0, cap_seconds=100.0),
            supervisor=Inbox(),
            now=self.clock,
            monotonic=self.clock,
            random=lambda: 0.5,
        )
        address.bind(self.queue.actor_ref)
        writer_address.bind(self.writer.actor_ref)
        self.address = address
        self.queue.setup()
        work(self.queue, self.writer)

    def tell(self, *messages: Message) -> None:
        """Put messages in the queue's inbox; nobody works yet."""
        for message in messages:
            self.address.tell(message)  # type: ignore[arg-type] # nobody waits for the answer

    def told(self, *messages: Message) -> None:
        """Tell them, and let everybody work until nobody has anything to do."""
        self.tell(*messages)
        work(self.queue, self.writer)

    def state(self) -> QueueState:
        request = GetQueueState()
        self.told(request)
        return request.reply_to.wait(0)


def inbox_of(actor: Actor) -> list[Message]:
    """What it was told and has not read; it never will."""
    messages: list[Message] = []
    while not actor.actor_inbox.empty():
        messages.append(actor.actor_inbox.get().message)
    return messages


@pytest.fixture
def office(database: Database) -> Iterator[Office]:
    office = Office(database)
    yield office
    office.store.close()


def test_a_pause_that_was_answered_is_not_undone_by_older_news_that_comes_late(
    office: Office,
) -> None:
    pause = Pause(paused=True)
    office.tell(Tick(NOW), pause)  # both are part of one commit, the look before the pause
    work(office.queue, office.writer)
    assert pause.reply_to.is_done
    assert office.state().paused


def test_nothing_that_was_claimed_before_an_answered_pause_is_started_after_it(
    office: Office,
) -> None:
    office.told(ready("one"))
    office.tell(Publish((a_task(),), NOW + 60), Tick(NOW))
    work(office.queue)
    pause = Pause(paused=True)
    office.queue.receive(pause)
    insert, *others, pausing = inbox_of(office.writer)
    for write in (insert, *others):
        office.writer.receive(write)
    work(office.writer)  # claimed, and looked whether it is paused: told, and not read yet
    office.writer.receive(pausing)
    work(office.writer)
    assert pause.reply_to.is_done
    late = inbox_of(office.queue)
    assert [len(each.tasks) for each in late if isinstance(each, Claimed)] == [1]
    office.told(*late)
    assert office.consumer.all_of(Deliver) == []


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_task_counts_once_as_published_and_once_as_completed(
    database: Database, *, in_memory: bool
) -> None:
    office = Office(database, in_memory=in_memory)
    office.told(Tick(NOW), ready("one"), Publish((a_task(),), NOW + 60))
    (delivery,) = office.consumer.all_of(Deliver)
    office.told(Ack("one", delivery.claimed, "1", NOW))
    office.told(Tick(NOW + 10))
    assert office.state().rates == {"published": 0.1, "completed": 0.1, "failed": 0.0}
    office.store.close()


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_after_a_pause_tasks_are_started_in_their_order(
    database: Database, *, in_memory: bool
) -> None:
    office = Office(database, in_memory=in_memory)
    tasks = tuple(a_task() for _ in range(4))
    office.told(ready("one"), Publish(tasks, NOW + 60))
    office.told(Pause(paused=True))
    office.told(Pause(paused=False))
    started: list[str] = []
    for _ in tasks:
        claimed = office.consumer.all_of(Deliver)[-1].claimed
        started.append(claimed.lease.task_id)
        office.told(Ack("one", claimed, "1", NOW))
    assert started == [task.id for task in tasks]
    office.store.close()
