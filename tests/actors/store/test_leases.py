"""Leases are renewed, lapse, and are named by reports."""

from task_queue.actors.store import changes, leases
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import a_claimed_task, claim, get, put
from tests.fakes import NOW, a_task

NOT_HELD = Settlement(Lease("nobody", 1), Status.COMPLETED, attempt=1)


def test_a_renewed_lease_does_not_lapse_and_a_lost_one_is_told(session: Session) -> None:
    put(session, a_task(), a_task())
    (kept, lapsing), _ = claim(session, leased_until=NOW + 1)
    with session.transaction():
        lost = leases.renew(session.connection, [kept.lease, NOT_HELD.lease], NOW + 100, NOW)
        lapsed = leases.lapsed(session.connection, queue="tasks", now=NOW + 1)
    assert lost == [NOT_HELD.lease]
    assert lapsed == ([lapsing], [])


def test_only_lapsed_leases_of_the_queue_are_found_oldest_first(session: Session) -> None:
    put(session, a_task(), a_task(), a_task(), a_task(queue="other"), a_task())
    late = claim(session, limit=1, leased_until=NOW + 2)[0]
    early = claim(session, limit=1, leased_until=NOW + 1)[0]
    claim(session, limit=1, leased_until=NOW + 3)
    claim(session, queue="other", leased_until=NOW + 1)
    with session.transaction():
        assert leases.lapsed(session.connection, queue="tasks", now=NOW + 2) == (early + late, [])
        assert leases.lapsed(session.connection, queue="tasks", now=NOW + 0.5) == ([], [])


def test_a_running_task_that_somebody_asked_to_cancel_is_found_though_its_lease_holds(
    session: Session,
) -> None:
    put(session, a_task(), a_task(), a_task(queue="other"))
    (asked, _), _ = claim(session)
    (elsewhere,), _ = claim(session, queue="other")
    with session.transaction():
        for claimed in (asked, elsewhere):
            changes.cancel(session.connection, claimed.lease.task_id, NOW)
        assert leases.lapsed(session.connection, queue="tasks", now=NOW) == ([], [asked.lease])


def test_a_report_is_kept_if_its_lease_is_held_until_the_task_is_put_back(session: Session) -> None:
    claimed = a_claimed_task(session)
    with session.transaction():
        leases.report(session.connection, claimed.lease, 0.25, "quarter")
        leases.report(session.connection, claimed.lease._replace(lease_id=2), 0.5, "late")
    course = get(session, claimed.lease.task_id).course
    assert (course.progress, course.progress_message) == (0.25, "quarter")
