"""However a task ends, what tells so is stored in the same commit, once, and only then."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from task_queue.actors.messages.changes import CancelTask, Purge, RetryTask
from task_queue.actors.messages.queue import Stored
from task_queue.actors.messages.writer import Claim, ClaimSuspect, Prune, Settle
from task_queue.actors.store.callbacks import STEP_TASKS, Deliverer, announce
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.listing import page
from task_queue.actors.store.notices import AnyWrite
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.document import task_document
from task_queue.actors.tasks.event import CALLBACKS, DELIVERY, MAX_EVENT_BYTES
from task_queue.actors.tasks.filters import Filters
from task_queue.actors.tasks.settlement import (
    Failure,
    Settlement,
    ack,
    drained,
    expire,
    nack,
    requeue,
    unstorable,
)
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Task
from tests.actors.store.calls import a_claimed_task, call, claim, claimant, get, put
from tests.databases import overhear
from tests.fakes import NOW, Inbox, a_task

URL = "https://shop.example/hook"
TRACE = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1"}
ATTEMPTS = 7
LATER = NOW + 9
TIME = f"{datetime.fromtimestamp(LATER, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
TERMS = dict.fromkeys((Status.COMPLETED, Status.DEAD, Status.CANCELLED), 86_400)

Way = Callable[[Session], tuple[str, AnyWrite]]
"""Stores a task with a callback; returns its id and the write that ends it."""


def commit(session: Session, *writes: AnyWrite, now: float = LATER) -> Inbox:
    """Commit these; what the queue of deliveries is told."""
    inbox = Inbox()
    with session.transaction():
        notices = Commit(session, now, Deliverer(inbox, ATTEMPTS)).run(writes)
    notices.send()
    return inbox


def deliveries(session: Session) -> list[Task]:
    return call(session, lambda each: page(each, Filters(queue=CALLBACKS), 1_000)[0])


def events(session: Session) -> list[dict[str, Any]]:
    """Those that were stored, the oldest first."""
    return [json.loads(each.data) for each in sorted(deliveries(session), key=lambda row: row.id)]


def fail(failure: Failure, **columns: Any) -> Way:  # noqa: ANN401 - any column
    def end(session: Session) -> tuple[str, AnyWrite]:
        claimed = a_claimed_task(session, callback=URL, **columns)
        settlement = nack(claimed, failure, backoff=Backoff(1, 2, 3), now=LATER, random=lambda: 0.5)
        return claimed.lease.task_id, Settle(Inbox(), settlement)

    return end


def settled(settle: Callable[[Any], Settlement], *, cancelled: bool = False) -> Way:
    def end(session: Session) -> tuple[str, AnyWrite]:
        claimed = a_claimed_task(session, callback=URL)
        if cancelled:
            assert not commit(session, CancelTask(claimed.lease.task_id, NOW)).messages
        return claimed.lease.task_id, Settle(Inbox(), settle(claimed))

    return end


def waiting(write: Callable[[str], AnyWrite], **columns: Any) -> Way:  # noqa: ANN401 - any column
    def end(session: Session) -> tuple[str, AnyWrite]:
        (task_id,) = put(session, a_task(callback=URL, **columns))
        return task_id, write(task_id)

    return end


def completed(claimed: Any) -> Settlement:  # noqa: ANN401 - a claimed task
    return ack(claimed, '{"output":1}', NOW, LATER)


WAYS: dict[str, tuple[Way, Status]] = {
    "its action returns": (settled(completed), Status.COMPLETED),
    "its action fails for good": (fail(Failure("no", permanent=True)), Status.DEAD),
    "its attempts are used up": (fail(Failure("no"), max_attempts=1), Status.DEAD),
    "its worker dies": (fail(Failure("lost", Outcome.LOST), max_attempts=1), Status.DEAD),
    "its action was cancelled": (
        fail(Failure("cancelled", Outcome.CANCELLED)),
        Status.CANCELLED,
    ),
    "it fails after a cancel": (
        settled(
            lambda claimed: nack(
                claimed, Failure("no"), backoff=Backoff(1, 2, 3), now=LATER, random=lambda: 0.5
            ),
            cancelled=True,
        ),
        Status.CANCELLED,
    ),
    "it is given back after a cancel": (settled(requeue, cancelled=True), Status.CANCELLED),
    "it is cut off after a cancel": (
        settled(lambda claimed: drained(claimed, LATER), cancelled=True),
        Status.CANCELLED,
    ),
    "it expires in the window": (settled(lambda claimed: expire(claimed, LATER)), Status.DEAD),
    "its result cannot be stored": (
        settled(lambda claimed: unstorable(completed(claimed), ValueError("no"), LATER)),
        Status.DEAD,
    ),
    "it is cancelled while it waits": (
        waiting(lambda task_id: CancelTask(task_id, NOW), status=Status.SCHEDULED),
        Status.CANCELLED,
    ),
    "its queue is purged": (
        waiting(lambda _: Purge("tasks", 9, int(NOW), NOW)),
        Status.CANCELLED,
    ),
    "it is claimed too late": (
        waiting(lambda _: Claim(Inbox(), claimant(now=LATER), 9, 9), expires_at=NOW + 1),
        Status.DEAD,
    ),
    "it is claimed alone too late": (
        waiting(lambda _: ClaimSuspect(Inbox(), claimant(now=LATER)), expires_at=NOW + 1, losses=1),
        Status.DEAD,
    ),
    "nobody starts it in time": (
        waiting(
            lambda _: Prune(Inbox(), LATER, TERMS, None, sweep=False, audit_seconds=1),
            expires_at=NOW + 1,
        ),
        Status.DEAD,
    ),
}


@pytest.mark.parametrize(("way", "status"), WAYS.values(), ids=WAYS.keys())
def test_its_end_is_told_once_as_the_task_then_is(
    session: Session, way: Way, status: Status
) -> None:
    task_id, write = way(session)
    inbox = commit(session, write)
    ended = get(session, task_id)
    assert ended.status is status
    (row,) = deliveries(session)
    (event,) = events(session)
    assert inbox.all_of(Stored) == [Stored((row.id,))]
    assert (row.queue, row.action, row.status) == (CALLBACKS, DELIVERY, Status.QUEUED)
    assert (row.max_attempts, row.run_at, row.options.callback) == (ATTEMPTS, LATER, None)
    assert event["data"] == orjson.loads(orjson.dumps(task_document(ended)))
    assert {**event, "data": None} == {
        "specversion": "1.0",
        "id": row.id,
        "source": "/tasks",
        "type": f"task.{status.value}",
        "subject": task_id,
        "time": TIME,
        "datacontenttype": "application/json",
        "data": None,
    }


@pytest.mark.parametrize("way", [way for way, _ in WAYS.values()], ids=WAYS.keys())
def test_what_is_rolled_back_tells_nothing(session: Session, way: Way) -> None:
    task_id, write = way(session)
    before = get(session, task_id)
    with session.transaction():
        undone = session.connection.begin_nested()
        Commit(session, LATER, Deliverer(Inbox(), ATTEMPTS)).run([write])
        undone.rollback()
    assert (get(session, task_id), deliveries(session)) == (before, [])


@pytest.mark.parametrize(
    "settle",
    [
        requeue,
        lambda claimed: drained(claimed, LATER),
        lambda claimed: nack(
            claimed, Failure("no"), backoff=Backoff(1, 2, 3), now=LATER, random=lambda: 0.5
        ),
    ],
)
def test_a_task_that_goes_on_tells_nothing(
    session: Session, settle: Callable[[Any], Settlement]
) -> None:
    claimed = a_claimed_task(session, callback=URL)
    assert not commit(session, Settle(Inbox(), settle(claimed))).messages
    assert deliveries(session) == []


def test_a_task_that_is_asked_to_stop_tells_nothing_yet(session: Session) -> None:
    claimed = a_claimed_task(session, callback=URL)
    assert not commit(session, CancelTask(claimed.lease.task_id, NOW)).messages
    assert deliveries(session) == []


def test_a_late_result_that_is_refused_tells_nothing(session: Session) -> None:
    claimed = a_claimed_task(session, callback=URL)
    commit(session, Settle(Inbox(), completed(claimed)))
    assert not commit(session, Settle(Inbox(), completed(claimed))).messages
    assert len(deliveries(session)) == 1


def test_a_task_that_is_put_back_and_ends_again_is_told_of_again(session: Session) -> None:
    claimed = a_claimed_task(session, callback=URL)
    task_id = claimed.lease.task_id
    dead = nack(
        claimed,
        Failure("no", permanent=True),
        backoff=Backoff(1, 2, 3),
        now=LATER,
        random=lambda: 0.5,
    )
    # The retry is a part of the same commit, and comes after the end.
    commit(session, RetryTask(task_id, LATER), Settle(Inbox(), dead))
    assert get(session, task_id).status is Status.QUEUED
    (again,), _ = claim(session, now=LATER)
    commit(session, Settle(Inbox(), completed(again)))
    assert [each["type"] for each in events(session)] == ["task.dead", "task.completed"]
    assert len({each["id"] for each in events(session)}) == 2


def test_tasks_without_a_callback_cost_no_statement_and_tell_nothing(session: Session) -> None:
    put(session, *(a_task() for _ in range(3)))
    claimed, _ = claim(session)
    said: list[str] = []
    end = overhear(session, lambda text, _: said.append(text))
    commit(session, *(Settle(Inbox(), completed(each)) for each in claimed))
    end()
    assert not [text for text in said if "SELECT" in text]
    assert deliveries(session) == []


def test_many_ends_in_one_commit_are_all_told(session: Session) -> None:
    count = 2 * STEP_TASKS + 1
    put(session, *(a_task(callback=URL) for _ in range(count)), *(a_task() for _ in range(3)))
    inbox = commit(session, Purge("tasks", 1_000, int(NOW), NOW))
    assert len({each["subject"] for each in events(session)}) == count
    assert sum(len(each.task_ids) for each in inbox.all_of(Stored)) == count


def test_without_a_queue_of_deliveries_it_is_stored_all_the_same(session: Session) -> None:
    (task_id,) = put(session, a_task(callback=URL))
    with session.transaction():
        Commit(session, NOW).run([CancelTask(task_id, NOW)])
    assert [each["subject"] for each in events(session)] == [task_id]


def test_the_trace_of_the_task_goes_along(session: Session) -> None:
    (task_id,) = put(session, a_task(callback=URL, **TRACE))
    commit(session, CancelTask(task_id, NOW))
    (event,), (row,) = events(session), deliveries(session)
    assert TRACE.items() <= event.items()
    assert (row.options.traceparent, row.options.tracestate) == tuple(TRACE.values())


def test_of_a_long_task_first_the_data_is_left_out_then_the_result(session: Session) -> None:
    long = json.dumps({"text": "x" * (MAX_EVENT_BYTES // 2)})
    longer = json.dumps({"text": "x" * MAX_EVENT_BYTES})
    put(session, *(a_task(callback=URL, data=long) for _ in range(2)))
    claimed, _ = claim(session)
    results = [long, longer]
    commit(
        session,
        *(
            Settle(Inbox(), ack(each, result, NOW, LATER))
            for each, result in zip(claimed, results, strict=True)
        ),
    )
    first, second = sorted((each["data"] for each in events(session)), key=lambda data: data["id"])
    assert (first["payload"]["data"], first["result"]) == (None, json.loads(long))
    assert first["left_out"] == ["payload.data"]
    assert (second["payload"]["data"], second["result"]) == (None, None)
    assert second["left_out"] == ["payload.data", "result"]
    assert max(len(row.data) for row in deliveries(session)) <= MAX_EVENT_BYTES


def test_a_task_that_is_not_final_or_gone_is_not_told_of(session: Session) -> None:
    (task_id,) = put(session, a_task(callback=URL))
    assert call(session, lambda each: announce(each, [task_id, "gone"], NOW, 1)) == []
