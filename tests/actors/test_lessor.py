"""The lessor, without a thread: who gets what, and what goes back."""

from collections.abc import Sequence
from typing import Any

import pytest

from task_queue.actors.errors import StoreUnavailableError, TaskQueueError, UnavailableError
from task_queue.actors.lessor import MARK_SECONDS, Lessor
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
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease, LeasedTask
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.verdict import Acked, Said, Taken
from tests.fakes import NOW, Inbox, ManualClock, life

QUEUE = QueueInfo(
    name="tasks", max_attempts=5, backoff=Backoff(1, 2, 3), limits=QueueLimits(rate_limit=9.0)
)


class Actions:
    def __init__(self) -> None:
        self.names = ["resize", "sum"]
        self.external = {"resize": 60.0}


class Lender:
    """A lessor that was never started, and the writer that it tells."""

    def __init__(self) -> None:
        self.writer = Inbox()
        self.actions = Actions()
        self.clock = ManualClock()
        self.actor: Lessor = Lessor(
            life("lessor"),
            address=Inbox(),
            writer=self.writer,
            queues=lambda: {"tasks": QUEUE},
            actions=self.actions,
            now=self.clock,
            random=lambda: 0.5,
            random_bits=lambda bits: 2**bits - 1,
        )

    def ask(self, *, waits: bool = True, queue: str = "tasks", limit: int = 2) -> LeaseTasks:
        asked = LeaseTasks(
            queue=queue,
            actions=("resize",),
            limit=limit,
            lease_seconds=60.0,
            worker="host-1",
            waits=waits,
        )
        self.actor.receive(asked)
        return asked

    def lent(self, *lots: Sequence[LeasedTask], queue: str = "tasks", more: bool = False) -> None:
        lend = next(each for each in reversed(self.lends) if each.queue_name == queue)
        self.actor.receive(Lent(lend, tuple(map(tuple, lots)), more))

    @property
    def lends(self) -> list[Lend]:
        return self.writer.all_of(Lend)


def leased(name: str) -> LeasedTask:
    claimed = ClaimedTask(Lease(name, 7), "resize", "{}", attempt=1, max_attempts=5)
    return LeasedTask(claimed, "tasks", int(NOW), NOW + 60)


@pytest.fixture
def lender() -> Lender:
    return Lender()


def test_a_worker_gets_what_is_claimed_for_it(lender: Lender) -> None:
    asked = lender.ask()
    [lend] = lender.lends
    assert (lend.queue_name, lend.rate_limit, lend.bids[0].lease_id) == ("tasks", 9.0, 2**63 - 1)
    lender.lent([leased("one")])
    assert asked.reply_to.wait(0) == (leased("one"),)


def test_one_that_does_not_wait_is_answered_with_nothing(lender: Lender) -> None:
    asked = lender.ask(waits=False)
    lender.lent([])
    assert asked.reply_to.wait(0) == ()


def test_one_that_does_not_wait_is_not_forgotten_where_a_claim_did_not_get_to_it(
    lender: Lender,
) -> None:
    asked = lender.ask(waits=False)
    lender.lent([], more=True)
    assert not asked.reply_to.is_done
    lender.lent([leased("one")])
    assert asked.reply_to.wait(0) == (leased("one"),)


def test_those_that_wait_share_one_claim_at_each_tick(lender: Lender) -> None:
    waiting = [lender.ask() for _ in range(50)]
    assert len(lender.lends) == 1
    lender.lent([])
    assert len(lender.lends) == 2  # for those that came meanwhile
    lender.lent(*[[]] * 50)
    lender.actor.receive(Tick(NOW))
    lender.actor.receive(Tick(NOW))
    assert len(lender.lends) == 3
    assert len(lender.lends[-1].bids) == 50
    assert not any(each.reply_to.is_done for each in waiting)


def test_queues_do_not_wait_for_each_other(lender: Lender) -> None:
    lender.ask()
    lender.ask(queue="other")
    assert [each.queue_name for each in lender.lends] == ["tasks", "other"]


@pytest.mark.parametrize("hint", [ExternalStored(("tasks",)), Unblocked(), Tick(NOW)])
def test_what_may_be_ready_is_claimed_at_once(lender: Lender, hint: Any) -> None:  # noqa: ANN401
    lender.ask()
    lender.lent([])
    lender.actor.receive(hint)
    assert len(lender.lends) == 2


@pytest.mark.parametrize("hint", [ExternalStored(("tasks",)), Unblocked(), Tick(NOW)])
def test_nothing_is_claimed_while_nobody_waits(lender: Lender, hint: Any) -> None:  # noqa: ANN401
    lender.actor.receive(hint)
    assert lender.lends == []


def test_what_was_claimed_for_one_that_has_gone_goes_back_without_an_attempt(
    lender: Lender,
) -> None:
    asked = lender.ask()
    asked.reply_to.answer(())
    lender.lent([leased("one")])
    [settle] = lender.writer.all_of(Settle)
    assert (settle.settlement.status, settle.settlement.attempt) == (Status.QUEUED, 0)
    lender.actor.receive(WriteFailed(settle, StoreUnavailableError("away")))
    lender.actor.receive(Tick(NOW))
    assert lender.writer.all_of(Settle) == [settle, settle]


def test_what_was_claimed_for_a_former_life_goes_back_and_disturbs_no_claim_of_this_one(
    lender: Lender,
) -> None:
    former = Lender()
    for _ in range(2):
        former.ask(queue="other")
        former.ask()
    asked = lender.ask()
    for lend in former.lends:
        lender.actor.receive(Lent(lend, ((leased("one"),),), more=True))
        lender.actor.receive(WriteFailed(lend, StoreUnavailableError("away")))
    returned = [each.settlement.lease.task_id for each in lender.writer.all_of(Settle)]
    assert returned == ["one", "one"]
    lender.lent([leased("two")])
    assert asked.reply_to.wait(0) == (leased("two"),)


def test_what_somebody_never_heard_of_goes_back_without_an_attempt(lender: Lender) -> None:
    lender.actor.receive(GiveBack((leased("one"), leased("two"))))
    settled = [each.settlement for each in lender.writer.all_of(Settle)]
    assert [(each.status, each.attempt) for each in settled] == [(Status.QUEUED, 0)] * 2


def test_one_that_has_gone_is_claimed_for_no_more(lender: Lender) -> None:
    asked = lender.ask()
    lender.lent([])
    asked.reply_to.answer(())
    lender.actor.receive(Tick(NOW))
    assert len(lender.lends) == 1


def test_a_claim_that_fails_is_told_to_those_it_was_for(lender: Lender) -> None:
    asked = lender.ask()
    lender.actor.receive(WriteFailed(lender.lends[0], StoreUnavailableError("away")))
    with pytest.raises(StoreUnavailableError):
        asked.reply_to.wait(0)


def test_a_drain_answers_those_that_wait_and_gives_back_what_comes_in(lender: Lender) -> None:
    asked = lender.ask()
    drain = Drain(deadline=0.0)
    lender.actor.receive(drain)
    assert asked.reply_to.wait(0) == ()
    assert not drain.reply_to.is_done
    lender.lent([leased("one")])
    assert not drain.reply_to.is_done
    lender.actor.receive(Settled((Lease("one", 7),), ()))
    assert drain.reply_to.wait(0) == ()
    with pytest.raises(UnavailableError):
        lender.ask()


def test_an_actor_that_dies_answers_those_that_wait(lender: Lender) -> None:
    asked = lender.ask()
    lender.actor.give_up(UnavailableError("down"))
    with pytest.raises(TaskQueueError):
        asked.reply_to.wait(0)


def test_verdicts_go_to_the_writer_with_the_rules_of_this_node(lender: Lender) -> None:
    verdict = Said(lease=Lease("one", 7), verdict=Acked(result="1"), fingerprint="a")
    asked = SettleLeases((verdict,), frozenset({"tasks"}))
    lender.actor.receive(asked)
    [hear] = lender.writer.all_of(Hear)
    assert hear.waiter is asked.reply_to
    assert (hear.visible, hear.timeouts, hear.now) == ({"tasks"}, {"resize": 60.0}, NOW)


def test_what_workers_do_is_counted_once(lender: Lender) -> None:
    done = Taken(task_id="one", queue="tasks", status=Status.COMPLETED)
    again = Taken(task_id="one", queue="tasks", status=Status.COMPLETED, repeated=True)
    failed = Taken(task_id="two", queue="tasks", status=Status.DEAD, failed=True)
    lender.actor.receive(Heard(("one", "one", "two"), (done, again, failed)))
    for second in (0, 2):
        lender.actor.receive(Tick(NOW + second))
    asked = GetLent()
    lender.actor.receive(asked)
    rates = asked.reply_to.wait(0)["tasks"]
    assert (rates["completed"], rates["failed"]) == (0.5, 0.5)


def test_tasks_are_marked_at_the_start_in_steps_and_when_the_actions_change(
    lender: Lender,
) -> None:
    lender.actor.receive(Tick(NOW))
    lender.actor.receive(Tick(NOW))
    [first] = lender.writer.all_of(Mark)
    assert (first.external, first.inner, first.queues) == (("resize",), ("sum",), ("tasks",))
    lender.actor.receive(Marked(5000, more=True))
    assert lender.writer.all_of(Mark)[-1].after == 5000
    lender.actor.receive(Marked(None, more=False))
    lender.actor.receive(Tick(NOW + 1))
    assert len(lender.writer.all_of(Mark)) == 2
    lender.actions.external = {}
    lender.actor.receive(Tick(NOW + 2))
    assert lender.writer.all_of(Mark)[-1].inner == ("resize", "sum")
    lender.actor.receive(Marked(None, more=False))
    lender.actor.receive(Tick(NOW + 3 + MARK_SECONDS))
    assert len(lender.writer.all_of(Mark)) == 4
