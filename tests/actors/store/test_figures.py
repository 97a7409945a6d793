"""What happens on the queues is counted with the commit that makes it so, added up by minute."""

from task_queue.actors.messages.changes import CancelTask
from task_queue.actors.messages.figures import AddFigures
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Fire,
    Hear,
    Insert,
    Lend,
    Prune,
    Settle,
)
from task_queue.actors.store import figures, schedules
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.database import Database
from task_queue.actors.store.each_alone import each_alone
from task_queue.actors.store.figures import STEP_MINUTES
from task_queue.actors.store.notices import AnyWrite
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.claim import Bid, ClaimedTask
from task_queue.actors.tasks.conditions import Conditions
from task_queue.actors.tasks.figures import KEPT_SECONDS, MINUTE_SECONDS, Figures
from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.recurrence import Missed
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import ack, requeue
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.verdict import Acked, Nacked, Said
from tests.actors.store.calls import a_claimed_task, call, claim, claimant, put
from tests.fakes import NOW, Inbox, a_task

MINUTE = int(NOW) // MINUTE_SECONDS
SOME = Figures(3, 2, 1, 1, 1, 0.5, 1.25)


def counted(session: Session, *writes: AnyWrite, now: float = NOW) -> dict[str, Figures]:
    """What a commit of these counts, by queue."""
    with session.transaction():
        return dict(Commit(session, now).run(writes).figures)


def an_insert(*tasks: object, **columns: object) -> Insert:
    return Insert(Inbox(), tasks or (a_task(**columns),))  # type: ignore[arg-type]


def settled(claimed: ClaimedTask) -> Settle:
    return Settle(Inbox(), ack(claimed, "1", NOW, NOW + 3), queue="tasks")


def test_each_task_is_published_on_its_own_queue(session: Session) -> None:
    batch = an_insert(a_task(), a_task(queue="mail"), a_task(queue="mail", unique_key="one"))
    again = Insert(Inbox(), (a_task(queue="mail", unique_key="one"),), conditions=Conditions())
    assert counted(session, batch, an_insert()) == {
        "tasks": Figures(published=2),
        "mail": Figures(published=2),
    }
    assert counted(session, again) == {}  # the key is taken


def test_a_task_of_a_queue_in_memory_has_been_counted_when_it_becomes_a_row(
    session: Session,
) -> None:
    assert counted(session, an_insert(status=Status.COMPLETED, processed_at=int(NOW))) == {}


def test_a_task_of_a_schedule_is_published(session: Session) -> None:
    nightly = Schedule(
        name="nightly",
        recurrence=Interval("1d", "UTC"),
        missed=Missed.SKIP,
        task="{}",
        configured=False,
        next_at=NOW,
        last_at=None,
        created_at=int(NOW),
    )
    call(session, lambda connection: schedules.put(connection, nightly))
    fire = Fire(Inbox(), "nightly", NOW, NOW + 9, NOW, a_task(occurrence="nightly 1"))
    assert counted(session, fire) == {"tasks": Figures(published=1)}
    assert counted(session, fire) == {}  # another node was faster


def test_claims_start_tasks_and_a_claim_of_nothing_counts_nothing(session: Session) -> None:
    put(session, a_task(run_at=NOW - 2), a_task(run_at=NOW - 4), a_task(losses=1, run_at=NOW - 1))
    claims = Claim(Inbox(), claimant(), 10, 10), ClaimSuspect(Inbox(), claimant(lease_id=2))
    assert counted(session, *claims) == {"tasks": Figures(started=3, wait_seconds=7.0)}
    assert counted(session, *claims) == {}


def test_what_expires_before_it_starts_is_dead_and_has_not_started(session: Session) -> None:
    put(session, a_task(expires_at=NOW - 1), a_task(expires_at=NOW - 1, queue="mail"))
    late = Claim(Inbox(), claimant(), 10, 10)
    assert counted(session, late) == {"tasks": Figures(dead=1)}
    prune = Prune(Inbox(), NOW, dict.fromkeys(FINAL, 60), None, sweep=False, audit_seconds=60)
    assert counted(session, prune) == {"mail": Figures(dead=1)}


def test_only_settlements_that_are_accepted_count(session: Session) -> None:
    claimed = a_claimed_task(session)
    late = claimed._replace(lease=claimed.lease._replace(lease_id=99))
    with session.transaction():
        notices = each_alone(session, [settled(late), settled(claimed)], NOW, patient=True)
    assert notices.figures == [("tasks", Figures(completed=1, run_seconds=3.0))]


def test_a_task_that_was_claimed_and_given_back_has_not_started(session: Session) -> None:
    put(session, a_task(run_at=NOW))
    (task,), _ = claim(session)
    back = Settle(Inbox(), requeue(task), queue="tasks")
    assert counted(session, back) == {"tasks": Figures(started=-1)}


def test_what_nobody_failed_at_is_no_failure(session: Session) -> None:
    (task_id,) = put(session, a_task())
    assert counted(session, CancelTask(task_id, NOW)) == {}


def test_workers_over_http_start_complete_and_fail_tasks(session: Session) -> None:
    for _ in range(2):
        put(session, a_task(action="resize", external=True, run_at=NOW - 2, max_attempts=1))
    bid = Bid(actions=("resize",), limit=2, lease_id=1, worker="w", lease_seconds=60.0)
    lend = Lend(Inbox(), "tasks", (bid,), 500, 0.0, {}, NOW)
    with session.transaction():
        notices = Commit(session, NOW).run([lend])
    assert dict(notices.figures) == {"tasks": Figures(started=2, wait_seconds=4.0)}
    ((_, lent),) = notices.other
    one, other = (leased.claimed.lease for leased in lent.lots[0])  # type: ignore[attr-defined]
    said = (
        Said(lease=one, verdict=Acked(result="1"), fingerprint="a"),
        Said(lease=other, verdict=Nacked(error="broken"), fingerprint="b"),
    )
    hear = Hear(Inbox(), said, None, {}, {}, 0.5, NOW + 3, Reply())
    expected = Figures(completed=1, failed=1, dead=1, run_seconds=6.0)
    assert counted(session, hear, now=NOW + 3) == {"tasks": expected}
    assert counted(session, hear, now=NOW + 3) == {}  # said again


def test_figures_of_a_minute_are_added_up(session: Session) -> None:
    rows = (("mail", MINUTE, SOME), ("tasks", MINUTE, SOME), ("tasks", MINUTE + 1, SOME))
    counted(session, AddFigures(Inbox(), rows))
    counted(session, AddFigures(Inbox(), rows[1:]))
    of = call(session, lambda connection: figures.by_step(connection, MINUTE - 1, 60, 1))
    twice = SOME.plus(SOME)
    assert of == {"mail": {1: SOME}, "tasks": {1: twice, 2: twice}}
    ten = call(session, lambda c: figures.by_step(c, MINUTE - 1, 144, 10, {"tasks"}))
    assert ten == {"tasks": {0: twice.plus(twice)}}


def test_nodes_that_add_to_the_same_minute_do_not_wait_for_each_other(
    migrated_url: str,
) -> None:
    one, other = Session(Database(migrated_url)), Session(Database(migrated_url))
    rows = (("tasks", MINUTE, SOME),)
    with one.transaction(), other.transaction():
        figures.add(one.connection, rows)
        other.wait_for_no_lock()
        figures.add(other.connection, rows)
    of = call(one, lambda connection: figures.by_step(connection, MINUTE, 1, 1))
    one.close()
    other.close()
    assert of == {"tasks": {0: SOME.plus(SOME)}}


def test_old_figures_and_those_of_a_clock_that_was_ahead_are_deleted_in_steps(
    session: Session,
) -> None:
    kept = KEPT_SECONDS // MINUTE_SECONDS
    minutes = [*range(MINUTE - kept - 25, MINUTE - kept + 1), MINUTE, MINUTE + 9]
    rows = tuple(("tasks", minute, SOME) for minute in minutes)
    call(session, lambda connection: figures.add(connection, rows))

    def forget() -> int:
        return call(session, lambda connection: figures.forget(connection, NOW))

    assert [forget() for _ in range(4)] == [STEP_MINUTES, 25 - STEP_MINUTES, 1, 0]
    of = call(session, lambda connection: figures.by_step(connection, 0, MINUTE + 99, 1))
    assert list(of["tasks"]) == [MINUTE - kept, MINUTE]
