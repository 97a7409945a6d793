"""External tasks are leased to workers, and settled by what these say, each lease once."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Hear, Lend, Mark
from task_queue.actors.store import external, external_marks, leases, own_actions
from task_queue.actors.store.external import REPEATED_SECONDS, Hearing
from task_queue.actors.store.queues import set_paused
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import Bid, Lease, LeasedTask
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.settlement import EXPIRED
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Task
from task_queue.actors.tasks.verdict import (
    Acked,
    Extended,
    Nacked,
    Refusal,
    Released,
    Said,
    Taken,
    Verdict,
)
from tests.actors.store.calls import attempts, claim, get, put
from tests.fakes import NOW, Inbox, a_task

QUEUE = QueueInfo(
    name="tasks",
    max_attempts=5,
    backoff=Backoff(10.0, 2.0, 100.0),
    limits=QueueLimits(concurrency_per_key=1),
)


def an_external_task(**changes: Any) -> Task:  # noqa: ANN401 - any column
    return a_task(action="resize", external=True, **changes)


def a_bid(*actions: str, limit: int = 10, lease_id: int = 1, seconds: float = 60.0) -> Bid:
    return Bid(
        actions=actions or ("resize",),
        limit=limit,
        lease_id=lease_id,
        worker="host-1",
        lease_seconds=seconds,
    )


def lend(
    session: Session,
    *bids: Bid,
    limit: int = 500,
    rate_limit: float = 0.0,
    timeouts: Mapping[str, float] | None = None,
    now: float = NOW,
) -> tuple[tuple[tuple[LeasedTask, ...], ...], bool]:
    write = Lend(Inbox(), "tasks", bids or (a_bid(),), limit, rate_limit, timeouts or {}, now)
    with session.transaction():
        return external.lend(session.connection, write)


def a_lease(session: Session, **changes: Any) -> LeasedTask:  # noqa: ANN401 - any column
    put(session, an_external_task(**changes))
    [[leased]], _ = lend(session)
    return leased


def said(lease: Lease, verdict: Verdict) -> Said:
    return Said(lease=lease, verdict=verdict, fingerprint=repr(verdict))


def hear(
    session: Session, *what: Said, now: float = NOW + 1, visible: frozenset[str] | None = None
) -> Hearing:
    write = Hear(Inbox(), what, visible, {"tasks": QUEUE}, {"resize": 600.0}, 0.5, now, Reply())
    with session.transaction():
        return external.hear(session.connection, write)


def heard(session: Session, lease: Lease, verdict: Verdict, **options: Any) -> Taken | Refusal:  # noqa: ANN401
    [outcome] = hear(session, said(lease, verdict), **options).outcomes
    return outcome


def ids(lot: tuple[LeasedTask, ...]) -> list[str]:
    return [each.claimed.lease.task_id for each in lot]


def test_consumers_leave_external_tasks_alone_and_workers_all_others(session: Session) -> None:
    inner, outer = put(session, a_task(), an_external_task())
    [lot], more = lend(session, a_bid("resize", "uppercase"))
    assert (ids(lot), more) == ([outer], False)
    assert [each.lease.task_id for each in claim(session)[0]] == [inner]


def test_tasks_of_several_actions_are_leased_by_rank(session: Session) -> None:
    names = ["resize", "crop", "resize", "crop"]
    put_ids = put(
        session,
        *(
            a_task(action=name, external=True, priority=priority)
            for name, priority in zip(names, (0, 5, 3, 1), strict=True)
        ),
    )
    put(session, a_task(action="other", external=True, priority=9))
    [lot], _ = lend(session, a_bid("resize", "crop", limit=3))
    assert ids(lot) == [put_ids[1], put_ids[2], put_ids[3]]


def test_who_came_first_is_served_first_and_nobody_twice(session: Session) -> None:
    put_ids = put(session, *(an_external_task() for _ in range(5)))
    lots, more = lend(
        session,
        a_bid(limit=2),
        a_bid("crop", lease_id=2),
        a_bid(limit=2, lease_id=3),
        a_bid(limit=2, lease_id=4),
        a_bid(lease_id=5),
    )
    assert [ids(lot) for lot in lots] == [put_ids[:2], [], put_ids[2:4], put_ids[4:], []]
    assert not more
    assert [lot[0].claimed.lease.lease_id for lot in lots if lot] == [1, 3, 4]


def test_a_claim_leases_no_more_than_it_may_and_says_that_there_is_more(session: Session) -> None:
    put(session, *(an_external_task() for _ in range(5)))
    lots, more = lend(session, a_bid(limit=2), a_bid(limit=2, lease_id=2), limit=3)
    assert ([len(lot) for lot in lots], more) == ([2, 1], True)


def test_a_lease_counts_an_attempt_and_lasts_no_longer_than_the_attempt_may(
    session: Session,
) -> None:
    long, short = put(session, an_external_task(), an_external_task(timeout_seconds=5.0))
    [lot], _ = lend(session)
    assert [each.leased_until for each in lot] == [NOW + 60, NOW + 5]
    task = get(session, long)
    assert (task.status, task.attempt, task.course.worker) == (Status.RUNNING, 1, "host-1")
    assert get(session, short).attempt == 1


def test_the_time_of_an_action_holds_for_tasks_without_one_of_their_own(session: Session) -> None:
    put(session, an_external_task(), an_external_task(timeout_seconds=9.0))
    put(session, a_task(action="crop", external=True))
    [lot], _ = lend(session, a_bid("resize", "crop"), timeouts={"resize": 3.0, "crop": 0.0})
    assert [each.leased_until for each in lot] == [NOW + 3, NOW + 9, NOW + 60]


def test_a_paused_queue_lends_nothing(session: Session) -> None:
    put(session, an_external_task())
    with session.transaction():
        set_paused(session.connection, "tasks", paused=True)
    assert lend(session) == (((),), False)


def test_what_is_leased_takes_tokens_of_the_rate(session: Session) -> None:
    put(session, *(an_external_task() for _ in range(5)))
    lots, more = lend(session, a_bid(limit=2), a_bid(lease_id=2), rate_limit=1.0)
    assert (sum(map(len, lots)), more) == (1, False)
    assert lend(session, rate_limit=1.0) == (((),), False)


def test_what_is_expired_is_dead_and_another_one_is_leased(session: Session) -> None:
    late, good = put(session, an_external_task(expires_at=NOW - 1), an_external_task())
    [lot], _ = lend(session, a_bid(limit=1))
    assert ids(lot) == [good]
    assert (get(session, late).status, get(session, late).error) == (Status.DEAD, EXPIRED)


def test_an_acknowledged_task_is_completed_and_the_same_again_has_the_same_answer(
    session: Session,
) -> None:
    lease = a_lease(session).claimed.lease
    first = heard(session, lease, Acked(result='{"a":1}'))
    assert isinstance(first, Taken)
    assert (first.status, first.repeated) == (Status.COMPLETED, False)
    again = heard(session, lease, Acked(result='{"a":1}'))
    assert isinstance(again, Taken)
    assert (again.status, again.task_id, again.repeated) == (first.status, first.task_id, True)
    task = get(session, lease.task_id)
    assert (task.status, task.result, task.attempt) == (Status.COMPLETED, '{"a":1}', 1)
    for other in (Acked(result="2"), Nacked(error="no"), Released()):
        assert heard(session, lease, other) is Refusal.SETTLED
    assert get(session, lease.task_id) == task


def test_what_was_said_is_forgotten_in_time(session: Session) -> None:
    lease = a_lease(session).claimed.lease
    heard(session, lease, Acked(result="1"))
    late = NOW + 1 + REPEATED_SECONDS
    assert heard(session, lease, Acked(result="1"), now=late) is Refusal.LAPSED


def test_a_lease_that_has_lapsed_records_nothing(session: Session) -> None:
    lease = a_lease(session).claimed.lease
    before = get(session, lease.task_id)
    for verdict in (
        Acked(result="1"),
        Nacked(error="no"),
        Released(),
        Extended(lease_seconds=60, fraction=0.5),
    ):
        assert heard(session, lease, verdict, now=NOW + 60) is Refusal.LAPSED
    assert get(session, lease.task_id) == before


@pytest.mark.parametrize("foreign", [{"lease_id": 2}, {"task_id": "nobody"}])
def test_what_others_say_records_nothing(session: Session, foreign: dict[str, Any]) -> None:
    lease = a_lease(session).claimed.lease
    refused = heard(session, lease._replace(**foreign), Acked(result="1"))
    assert refused is (Refusal.NOT_FOUND if "task_id" in foreign else Refusal.LAPSED)
    assert get(session, lease.task_id).status is Status.RUNNING


def test_a_worker_that_may_not_see_the_queue_learns_nothing(session: Session) -> None:
    lease = a_lease(session).claimed.lease
    elsewhere = frozenset({"other"})
    assert heard(session, lease, Acked(result="1"), visible=elsewhere) is Refusal.NOT_FOUND
    heard(session, lease, Acked(result="1"))
    assert heard(session, lease, Acked(result="1"), visible=elsewhere) is Refusal.NOT_FOUND


def test_a_consumers_lease_is_none_of_a_worker(session: Session) -> None:
    put(session, a_task())
    [claimed], _ = claim(session)
    assert heard(session, claimed.lease, Acked(result="1")) is Refusal.LAPSED
    assert get(session, claimed.lease.task_id).status is Status.RUNNING


def test_a_failure_counts_and_waits_for_its_backoff_or_as_long_as_it_says(
    session: Session,
) -> None:
    one = a_lease(session).claimed.lease
    failed = heard(session, one, Nacked(error="boom"))
    assert isinstance(failed, Taken)
    assert (failed.status, failed.run_at, failed.failed) == (Status.SCHEDULED, NOW + 6, True)
    task = get(session, one.task_id)
    assert (task.attempt, task.error) == (1, "boom")
    two = a_lease(session).claimed.lease
    later = heard(session, two, Nacked(error="boom", retry_after_seconds=60))
    assert isinstance(later, Taken)
    assert (later.run_at, get(session, two.task_id).attempt) == (NOW + 61, 1)


def test_a_permanent_failure_and_the_last_one_are_dead(session: Session) -> None:
    for verdict, most in (
        (Nacked(error="no", permanent=True, retry_after_seconds=9), 5),
        (Nacked(error="no", retry_after_seconds=9), 1),
    ):
        lease = a_lease(session, max_attempts=most).claimed.lease
        outcome = heard(session, lease, verdict)
        assert isinstance(outcome, Taken)
        assert (outcome.status, outcome.run_at) == (Status.DEAD, None)
        assert get(session, lease.task_id).status is Status.DEAD


def test_a_task_given_back_keeps_its_attempts_and_its_last_error_and_rests(
    session: Session,
) -> None:
    put(session, an_external_task(error="of the last attempt", attempt=1))
    [[leased]], _ = lend(session)
    outcome = heard(session, leased.claimed.lease, Released())
    assert isinstance(outcome, Taken)
    task = get(session, leased.claimed.lease.task_id)
    assert (task.status, task.attempt, task.error) == (Status.SCHEDULED, 1, "of the last attempt")
    assert task.run_at == outcome.run_at == NOW + 2


def test_a_lease_is_extended_but_not_beyond_what_the_attempt_may_take(session: Session) -> None:
    lease = a_lease(session).claimed.lease
    longer = heard(session, lease, Extended(lease_seconds=90, fraction=0.5, message="half"))
    assert isinstance(longer, Taken)
    assert (longer.status, longer.leased_until) == (Status.RUNNING, NOW + 91)
    course = get(session, lease.task_id).course
    assert (course.progress, course.progress_message) == (0.5, "half")
    longest = heard(session, lease, Extended(lease_seconds=3600))
    assert isinstance(longest, Taken)
    assert longest.leased_until == NOW + 600  # of its action


def test_a_worker_hears_that_somebody_cancels_and_only_an_ack_completes_then(
    session: Session,
) -> None:
    leased = [a_lease(session).claimed.lease for _ in range(3)]
    with session.transaction():
        asked = sa.update(tasks).values(cancel_requested_at=int(NOW))
        session.connection.execute(asked)
    outcome = heard(session, leased[0], Extended(lease_seconds=5))
    assert isinstance(outcome, Taken)
    assert outcome.cancelling
    ends: dict[Verdict, Status] = {
        Acked(result="1"): Status.COMPLETED,
        Nacked(error="stopped"): Status.CANCELLED,
        Released(): Status.CANCELLED,
    }
    for lease, (verdict, status) in zip(leased, ends.items(), strict=True):
        outcome = heard(session, lease, verdict)
        assert isinstance(outcome, Taken)
        assert outcome.status is status
        assert get(session, lease.task_id).status is status


def test_each_of_several_verdicts_is_taken_or_refused_alone(session: Session) -> None:
    good, bad = (a_lease(session).claimed.lease for _ in range(2))
    outcomes = hear(
        session,
        said(bad._replace(lease_id=9), Acked(result="1")),
        said(good, Acked(result="1")),
    ).outcomes
    assert outcomes[0] is Refusal.LAPSED
    assert isinstance(outcomes[1], Taken)


def test_a_task_with_a_key_frees_its_place(session: Session) -> None:
    lease = a_lease(session, key="tenant-1").claimed.lease
    places = hear(session, said(lease, Acked(result="1"))).places
    assert places == (("tasks", "tenant-1", 1),)


def test_a_workers_lease_lapses_by_its_time_also_where_one_process_holds_all_others(
    session: Session,
) -> None:
    leased = a_lease(session)
    for now, found in ((NOW + 59, []), (NOW + 60, [leased.claimed])):
        with session.transaction():
            lapsed = leases.lapsed(session.connection, "tasks", now, inner_until=float("inf"))
        assert lapsed == (found, [])


def mark(session: Session, external: tuple[str, ...], inner: tuple[str, ...]) -> list[int | None]:
    """Mark all there is; the row numbers where each step ended."""
    after: int | None = None
    ended: list[int | None] = []
    while True:
        with session.transaction():
            write = Mark(Inbox(), external, inner, ("tasks",), after)
            after, more = external_marks.mark(session.connection, write)
        ended.append(after)
        if not more:
            return ended


def is_external(session: Session, task_id: str) -> bool:
    return get(session, task_id).options.external


def test_tasks_that_wait_are_marked_once_their_action_is_external_and_back(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_marks, "STEP_ROWS", 2)
    with session.transaction():
        own_actions.remember(session.connection, ["resize"])
    waits = put(
        session,
        *(a_task(action="resize", status=each) for each in (Status.QUEUED, Status.SCHEDULED)),
        a_task(action="resize", status=Status.BLOCKED, key="a"),
    )
    others = put(
        session,
        a_task(),
        a_task(action="resize", status=Status.COMPLETED),
        a_task(action="resize", status=Status.RUNNING),
    )
    assert len(mark(session, ("resize",), ("uppercase",))) == 4
    assert mark(session, ("resize",), ("uppercase",)) == [None]
    assert [is_external(session, each) for each in waits] == [True] * 3
    assert [is_external(session, each) for each in others] == [False] * 3
    mark(session, (), ("uppercase", "resize"))
    assert [is_external(session, each) for each in waits] == [False] * 3


def test_a_stray_of_an_action_that_is_not_external_any_more_is_found(session: Session) -> None:
    [stray] = put(session, an_external_task())
    assert mark(session, (), ("resize",)) == [None]
    assert not is_external(session, stray)


def test_the_outcome_of_a_failed_attempt_is_kept(session: Session) -> None:
    lease = a_lease(session).claimed.lease
    heard(session, lease, Nacked(error="boom"))
    [attempt] = attempts(session, lease.task_id)
    assert (attempt.outcome, attempt.worker, attempt.error) == (Outcome.FAILED, "host-1", "boom")
