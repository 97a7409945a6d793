"""The queue alone: messages in, calls of its driver and deliveries out. Nothing runs."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

import pytest

from actors.backoff import Backoff
from actors.errors import AnswerTimeoutError, StoreUnavailableError, UnavailableError
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
    Renewed,
    Settled,
    Stored,
    SuspectClaimed,
    Tended,
    Tick,
    WriteFailed,
)
from actors.queue import LOST, QueueActor
from actors.task import ClaimedTask, Lease, Settlement, Status
from tests.fakes import NOW, Inbox, ManualClock, a_task, life

_numbers = count(1)


class BookkeepingDriver:
    """Keeps what it is asked for; nothing comes of it until the test says so."""

    def __init__(self) -> None:
        self.claims: list[tuple[int, int]] = []
        self.suspect_claims = 0
        self.settlements: list[Settlement] = []
        self.published: list[str] = []
        self.held: list[Lease] = []
        self.failures: list[WriteFailed] = []
        self.recovered = False

    def recover(self) -> None:
        self.recovered = True

    def publish(self, publish: Publish) -> None:
        self.published.append(publish.task.id)

    def claim(self, limit: int, free: int) -> None:
        self.claims.append((limit, free))

    def claim_suspect(self) -> None:
        self.suspect_claims += 1

    def settle(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)

    def tick(self, now: float, held: Iterable[Lease]) -> None:
        assert now
        self.held = list(held)

    def stored(self, task_ids: Iterable[str]) -> None:
        pass

    def settled(self, leases: Iterable[Lease]) -> None:
        gone = set(leases)
        self.settlements = [each for each in self.settlements if each.lease not in gone]

    def failed(self, failure: WriteFailed) -> None:
        self.failures.append(failure)

    def is_settling(self, lease: Lease) -> bool:
        return any(each.lease == lease for each in self.settlements)

    @property
    def unsettled(self) -> int:
        return len(self.settlements)


class Queue:
    """A queue that was never started, with two consumers and a window of four."""

    def __init__(self) -> None:
        self.driver = BookkeepingDriver()
        self.consumers = {"one": Inbox(), "two": Inbox()}
        self.clock = ManualClock()
        self.actor = QueueActor(
            life("queue"),
            driver=self.driver,
            consumers=self.consumers,
            prefetch=4,
            backoff=Backoff(base_seconds=10.0, factor=2.0, cap_seconds=100.0),
            now=self.clock,
            random=lambda: 0.5,
        )
        self.actor.setup()

    def gets(self, *messages: Message) -> None:
        for message in messages:
            self.actor.receive(message)

    def delivered(self, consumer: str) -> list[ClaimedTask]:
        return [message.claimed for message in self.consumers[consumer].all_of(Deliver)]

    def state(self) -> QueueState:
        request = GetQueueState()
        self.gets(request)
        return request.reply_to.wait(0)


def some(number: int, attempt: int = 1) -> tuple[ClaimedTask, ...]:
    return tuple(
        ClaimedTask(Lease(f"task-{next(_numbers)}", 1), "sum", "{}", attempt, 5)
        for _ in range(number)
    )


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_it_takes_back_the_work_of_former_lives_before_it_claims(queue: Queue) -> None:
    assert queue.driver.recovered
    assert queue.driver.claims == []


def test_it_claims_for_free_consumers_and_the_window_one_claim_at_a_time(queue: Queue) -> None:
    queue.gets(Ready("one"), Ready("two"))
    assert queue.driver.claims == [(5, 1)]
    queue.gets(Claimed(some(5), more=True))
    assert queue.state() == QueueState(idle=0, running=2, prefetched=3)


def test_it_delivers_in_order_to_whoever_is_free(queue: Queue) -> None:
    first, second, third = tasks = some(3)
    queue.gets(Ready("one"), Ready("two"), Claimed(tasks, more=False))
    assert (queue.delivered("one"), queue.delivered("two")) == ([first], [second])
    queue.gets(Ack("two", second, "{}"))
    assert queue.delivered("two") == [second, third]


def test_a_long_task_does_not_hold_the_window_behind_it(queue: Queue) -> None:
    long, *rest = tasks = some(4)
    queue.gets(Ready("one"), Ready("two"), Claimed(tasks, more=False))
    for task in rest:
        queue.gets(Ack("two", task, "{}"))
    assert queue.delivered("one") == [long]
    assert queue.delivered("two") == rest


def test_it_claims_again_when_half_the_window_is_empty(queue: Queue) -> None:
    queue.gets(Ready("one"), Claimed(some(5), more=True))
    queue.driver.claims.clear()
    queue.gets(Ack("one", queue.delivered("one")[0], "{}"))
    assert queue.driver.claims == []
    queue.gets(Ack("one", queue.delivered("one")[1], "{}"))
    assert queue.driver.claims == [(2, 0)]


def test_an_empty_queue_is_claimed_again_only_after_news(queue: Queue) -> None:
    queue.gets(Ready("one"), Claimed((), more=False))
    queue.driver.claims.clear()
    queue.gets(Ready("two"))
    assert queue.driver.claims == []
    queue.gets(Stored(("task",)))
    assert queue.driver.claims == [(6, 2)]


@pytest.mark.parametrize("news", [Tick(NOW), Tended(promoted=1, lapsed=())])
def test_due_tasks_and_time_are_news(queue: Queue, news: Message) -> None:
    queue.gets(Ready("one"), Claimed((), more=False))
    queue.driver.claims.clear()
    queue.gets(news)
    assert len(queue.driver.claims) == 1


def test_work_that_must_not_wait_is_not_asked_for_in_vain(queue: Queue) -> None:
    # More is ready, but the claim stopped short: its head is only for a free consumer.
    queue.gets(Ready("one"), Claimed(some(1, attempt=2), more=True))
    queue.driver.claims.clear()
    queue.gets(Stored(("task",)))
    assert queue.driver.claims == []
    queue.gets(Ack("one", queue.delivered("one")[0], "{}"))
    assert queue.driver.claims == [(5, 1)]


def test_a_claim_that_failed_is_repeated_at_the_next_tick_not_at_once(queue: Queue) -> None:
    queue.gets(Ready("one"))
    claim = Claim(Inbox(), "tasks", 5, 1, lease_id=1, now=NOW, leased_until=NOW)
    queue.gets(WriteFailed(claim, StoreUnavailableError()))
    assert queue.driver.claims == [(5, 1)]
    queue.gets(Tick(NOW))
    assert len(queue.driver.claims) == 2


def test_an_ack_settles_and_a_nack_is_scheduled_with_backoff(queue: Queue) -> None:
    good, bad, hopeless = tasks = some(3)
    queue.gets(Ready("one"), Ready("two"), Claimed(tasks, more=False))
    queue.gets(
        Ack("one", good, '{"output":1}'),
        Nack("two", bad, "no", permanent=False),
        Nack("one", hopeless, "never", permanent=True),
    )
    outcomes = [(each.status, each.result, each.error) for each in queue.driver.settlements]
    assert outcomes == [
        (Status.COMPLETED, '{"output":1}', None),
        (Status.SCHEDULED, None, "no"),
        (Status.DEAD, None, "never"),
    ]
    assert queue.driver.settlements[1].run_at == NOW + 5.0


def test_what_a_consumer_ran_when_it_died_is_lost_and_counts(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(Ready("one"), Claimed((task,), more=False), Ready("one"))
    (settlement,) = queue.driver.settlements
    assert (settlement.status, settlement.attempt, settlement.error) == (
        Status.SCHEDULED,
        1,
        LOST,
    )
    assert queue.state() == QueueState(idle=1, running=0, prefetched=0)


def test_a_consumer_left_behind_does_not_free_its_successor(queue: Queue) -> None:
    old, new = some(1)[0], some(1)[0]
    queue.gets(Ready("one"), Claimed((old,), more=False), Ready("one"))
    queue.gets(Claimed((new,), more=False), Ack("one", old, "{}"))
    assert queue.state() == QueueState(idle=0, running=1, prefetched=0)


def test_lapsed_leases_are_lost_unless_they_are_in_our_hands(queue: Queue) -> None:
    held, lapsed = some(1)[0], some(1)[0]
    queue.gets(Ready("one"), Claimed((held,), more=False))
    queue.gets(Tended(promoted=0, lapsed=(held, lapsed)))
    assert [each.lease for each in queue.driver.settlements] == [lapsed.lease]


def test_a_lease_that_is_being_settled_is_not_lost(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(Ready("one"), Claimed((task,), more=False), Ack("one", task, "{}"))
    queue.gets(Tended(promoted=0, lapsed=(task,)))
    assert [each.status for each in queue.driver.settlements] == [Status.COMPLETED]


def test_leases_of_the_window_and_of_what_runs_are_kept_alive(queue: Queue) -> None:
    tasks = some(3)
    queue.gets(Ready("one"), Claimed(tasks, more=False), Tick(NOW))
    assert set(queue.driver.held) == {task.lease for task in tasks}


def test_a_task_whose_lease_is_lost_in_the_window_is_not_started(queue: Queue) -> None:
    running, lost, kept = tasks = some(3)
    queue.gets(Ready("one"), Claimed(tasks, more=False), Renewed((lost.lease,)))
    queue.gets(Ack("one", running, "{}"))
    assert queue.delivered("one") == [running, kept]


def suspect(attempt: int = 2) -> ClaimedTask:
    return replace(some(1, attempt)[0], losses=1)


def test_a_suspect_is_claimed_for_a_free_consumer_only_and_goes_before_the_window(
    queue: Queue,
) -> None:
    running, waiting, last = tasks = some(3)
    queue.gets(Ready("one"), Claimed(tasks, more=False), Tick(NOW))
    assert queue.driver.suspect_claims == 0
    queue.gets(Ack("one", running, "{}"))
    assert queue.driver.suspect_claims == 1
    assert queue.delivered("one") == [running]
    lost = suspect()
    queue.gets(SuspectClaimed(lost), Ack("one", lost, "{}"), SuspectClaimed(None))
    queue.gets(Ack("one", waiting, "{}"))
    assert queue.delivered("one") == [running, lost, waiting, last]


def test_only_one_suspect_is_claimed_at_a_time(queue: Queue) -> None:
    lost = suspect()
    queue.gets(Ready("one"), Ready("two"), Tick(NOW), Tick(NOW))
    assert queue.driver.suspect_claims == 1
    queue.gets(SuspectClaimed(lost), Tick(NOW))
    assert queue.delivered("one") == [lost]
    assert queue.driver.suspect_claims == 1
    queue.gets(Nack("one", lost, "no", permanent=False))
    assert queue.driver.suspect_claims == 2


def test_a_consumer_is_free_again_when_its_suspect_could_not_be_claimed(queue: Queue) -> None:
    task = some(1)[0]
    queue.gets(Ready("one"), Claimed((), more=False), Tick(NOW))
    claim = ClaimSuspect(Inbox(), "tasks", lease_id=1, now=NOW, leased_until=NOW)
    queue.gets(WriteFailed(claim, StoreUnavailableError()), Claimed((task,), more=False))
    assert queue.delivered("one") == [task]


def test_what_is_lost_becomes_a_suspect_and_what_fails_does_not(queue: Queue) -> None:
    failing, lost = tasks = some(2)
    queue.gets(Ready("one"), Ready("two"), Claimed(tasks, more=False))
    queue.gets(Nack("one", failing, "no", permanent=False), Ready("two"))
    assert [(each.lease, each.losses) for each in queue.driver.settlements] == [
        (failing.lease, 0),
        (lost.lease, 1),
    ]


def test_a_drain_waits_for_the_claim_of_a_suspect_and_gives_it_back(queue: Queue) -> None:
    queue.gets(Ready("one"), Claimed((), more=False), Tick(NOW), Claimed((), more=False))
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
    queue.gets(Ready("one"), Claimed(tasks, more=True))
    drain = Drain(NOW + 10)
    queue.gets(drain)
    (given_back,) = queue.driver.settlements
    assert (given_back.lease, given_back.status) == (waiting.lease, Status.QUEUED)
    assert given_back.attempt == 0
    queue.gets(settled(queue))
    queue.gets(Ack("one", running, "{}"))
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == ()
    assert queue.delivered("one") == [running]


def test_a_claim_that_arrives_during_a_drain_is_given_back(queue: Queue) -> None:
    queue.gets(Ready("one"))
    drain = Drain(NOW + 10)
    queue.gets(drain, Claimed(some(2), more=True))
    assert [each.status for each in queue.driver.settlements] == [Status.QUEUED] * 2
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == ()


def test_a_drain_past_its_deadline_gives_back_what_still_runs(queue: Queue) -> None:
    task = some(1)[0]
    drain = Drain(NOW + 10)
    queue.gets(Ready("one"), Claimed((task,), more=False), drain, Tick(NOW + 9))
    assert queue.driver.settlements == []
    queue.gets(Tick(NOW + 10))
    (given_back,) = queue.driver.settlements
    assert (given_back.status, given_back.attempt) == (Status.QUEUED, 0)
    queue.gets(settled(queue))
    assert drain.reply_to.wait(0) == (task.lease.task_id,)


def test_nothing_is_published_during_a_drain(queue: Queue) -> None:
    queue.gets(Ready("one"), Drain(NOW + 10))
    with pytest.raises(UnavailableError, match="shutting down"):
        queue.gets(Publish(a_task(), NOW))
    assert queue.driver.published == []
