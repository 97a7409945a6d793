"""A commit that has failed, once more: each of its writes fails alone."""

from collections.abc import Sequence

from task_queue.actors.errors import BadRowError, LockedError
from task_queue.actors.messages.writer import Insert
from task_queue.actors.store.callbacks import NOBODY, Deliverer
from task_queue.actors.store.commit import Commit, lock
from task_queue.actors.store.notices import AnyWrite, Notices
from task_queue.actors.store.session import Session


def each_alone(
    session: Session,
    writes: Sequence[AnyWrite],
    now: float,
    deliverer: Deliverer = NOBODY,
    *,
    patient: bool,
) -> Notices:
    """Do each write in a savepoint of its own, so that it fails alone.

    Args:
        session: The database, inside a transaction.
        writes: The writes.
        now: The present moment, Unix seconds.
        deliverer: See `Commit`.
        patient: Whether to wait for locks of other sessions, until the first that is not to be had.
    """
    notices = Notices()
    inserts = [write for write in writes if isinstance(write, Insert)]
    if patient:
        try:
            with session.savepoint():
                lock(session.connection, inserts)
        except LockedError:
            patient = False
    if not patient:
        session.wait_for_no_lock()
    for write in writes:
        try:
            with session.savepoint():
                notices.add(Commit(session, now, deliverer).run([write]))
        except BadRowError as error:
            notices.failed.append((write, error))
        except LockedError as error:
            notices.locked.append((write, error))
            session.wait_for_no_lock()
    return notices
