"""Pages of tasks by any filter, and a task with its attempts, on both databases alike."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest
import sqlalchemy as sa

from task_queue.actors.store import listing
from task_queue.actors.store.listing import MAX_PAGE_BYTES
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.filters import ALL, Cursor, Filters
from task_queue.actors.tasks.settlement import Failure, Settlement
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import PLAIN, Attempt, Options, Task
from tests.actors.store.calls import attempts, call, claim, find, get, ids, put, settle
from tests.fakes import NOW, a_task

V = TypeVar("V")

SOON = int(NOW)
QUEUES = ("tasks", "mail", "reports")
ACTIONS = ("uppercase", "send", "render")
ERRORS = (None, "Timeout after 5 s", "timeout", "100 % wrong", "100 x wrong", "a_b", "it's")
SAME_KEY = ("hourly", "daily")
DATA = (
    "{}",
    '{"user":17}',
    '{"user":17.0}',
    '{"user":"17"}',
    '{"user":{"name":"ada","17":null}}',
    '{"user":{"name":"\u00e5 \\"x\\"","ok":true}}',
    '{"user":[17,{"name":"ada"}]}',
    '{"user":null,"ok":1,"n":-0.5}',
    '{"user":true,"ok":"true","n":1e2}',
    '{"user.name":"ada","$":"ada"}',
    '{"user":9223372036854775807}',
    r'{"a\\b":1,"two\nlines":"x"}',
)
WANTED = (
    (("user", "17"),),
    (("user", "17.0"),),
    (("user", "9223372036854775807"),),
    (("user", "9223372036854775808"),),
    (("user", "null"),),
    (("user", "true"),),
    (("user", '"17"'),),
    (("user", "[17]"),),
    (("user", ""),),
    (("user.name", "ada"),),
    (("user.name", '\u00e5 "x"'), ("user.ok", "true")),
    (("user.17", "null"),),
    (("user.0", "17"),),
    (("ok", "1"),),
    (("ok", "true"),),
    (("n", "100"),),
    (("n", "-5e-1"),),
    (("a\\b", "1"), ("two\nlines", "x")),
    (("$", "ada"),),
    (("user' OR 1=1 --", "ada"),),
)


def page(
    session: Session, filters: Filters = ALL, limit: int = 100, after: Cursor | None = None
) -> tuple[list[Task], Cursor | None]:
    return call(session, lambda connection: listing.page(connection, filters, limit, after))


def pages(session: Session, filters: Filters, limit: int) -> tuple[list[str], int]:
    """All that a listing shows, page by page, and how many pages that took."""
    shown: list[str] = []
    number, after = 0, None
    while True:
        found, after = page(session, filters, limit, after)
        assert len(found) <= limit
        shown += ids(found)
        number += 1
        if after is None:
            return shown, number


def dead_ids(session: Session, filters: Filters, limit: int = 1_000) -> list[str]:
    found = call(session, lambda connection: listing.dead_ids(connection, filters, limit))
    assert found[1] == (0, 0), "none was lost"
    return found[0]


def change(session: Session, task_id: str, **columns: object) -> None:
    update = sa.update(tasks).where(tasks.c.id == task_id).values(**columns)
    call(session, lambda connection: connection.execute(update))


def some_tasks(chance: random.Random, count: int) -> list[Task]:
    """Tasks of every kind, several in each second."""
    return [
        a_task(
            queue=chance.choice(QUEUES),
            action=chance.choice(ACTIONS),
            status=status,
            created_at=SOON + number // 8,
            error=chance.choice(ERRORS),
            # Of those with one key only one is not final.
            unique_key=chance.choice(SAME_KEY) if status is Status.COMPLETED else f"key-{number}",
            key=chance.choice([None, *SAME_KEY]),
            data=chance.choice(DATA),
        )
        for number in range(count)
        for status in [chance.choice(list(Status))]
    ]


def some_filters(chance: random.Random, count: int) -> Filters:
    def maybe(*values: V) -> V | None:
        return chance.choice([None, *values])

    second = SOON + chance.randrange(count // 8)
    return Filters(
        statuses=tuple(chance.sample(list(Status), chance.choice([0, 0, 1, 1, 2, 3, len(Status)]))),
        queue=maybe(*QUEUES, "unknown"),
        queues=maybe(*(frozenset(chance.sample(QUEUES, number)) for number in range(3))),
        action=maybe(*ACTIONS, "unknown"),
        unique_key=chance.choice([None, None, None, *SAME_KEY, f"key-{chance.randrange(count)}"]),
        created_after=maybe(second),
        created_before=maybe(second + chance.randrange(10)),
        error_contains=chance.choice([None, None, None, "time", "%", "_", "'", "", "nowhere"]),
        key=chance.choice([None, None, None, *SAME_KEY, "unknown"]),
        error_group=chance.choice([None] * 6 + ["Timeout after # s", "timeout", ""]),
        data=chance.choice([(), (), (), *WANTED]),
        oldest_first=chance.choice([True, False]),
    )


def passes(filters: Filters, task: Task) -> bool:
    """Whether the task is asked for, as the filters' documentation has it."""
    statuses = {status.shown for status in filters.statuses if status is not Status.BLOCKED}
    return (
        (
            not filters.statuses
            or task.status in filters.statuses
            or (task.status is Status.BLOCKED and "queued" in statuses)
        )
        and filters.queue in {None, task.queue}
        and (filters.queues is None or task.queue in filters.queues)
        and filters.action in {None, task.action}
        and filters.unique_key in {None, task.options.unique_key}
        and filters.key in {None, task.options.key}
        and filters.error_group in {None, task.error_group}
        and all(has_member(task.data, path, value) for path, value in filters.data)
        and (filters.created_after is None or task.created_at >= filters.created_after)
        and (filters.created_before is None or task.created_at < filters.created_before)
        and (
            filters.error_contains is None
            or (task.error is not None and filters.error_contains in task.error)
        )
    )


def has_member(data: str, path: str, value: str) -> bool:
    """Whether the data has this member with this value, as a text or as JSON."""
    found = json.loads(data)
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    if isinstance(found, str):
        return found == value
    try:
        wanted = json.loads(value)
    except ValueError:
        return False
    are_scalars = not isinstance(found, dict | list) and not isinstance(wanted, dict | list | str)
    same_kind = isinstance(found, bool) == isinstance(wanted, bool)
    return are_scalars and same_kind and found == wanted


def expected(filters: Filters, rows: Sequence[Task]) -> list[str]:
    """The ids that a listing shows of these rows, which are in order of creation."""
    shown = [row.id for row in rows if passes(filters, row)]
    return shown if filters.oldest_first else shown[::-1]


@pytest.mark.parametrize(("walk", "queues"), [(10_000, 14), (30, 14), (3, 1)])
def test_every_filter_shows_what_it_says_in_pages_of_any_size(
    session: Session, monkeypatch: pytest.MonkeyPatch, walk: int, queues: int
) -> None:
    monkeypatch.setattr(listing, "MAX_WALK", walk)
    monkeypatch.setattr(listing, "QUEUES_AT_ONCE", queues)
    chance = random.Random(walk)
    rows = some_tasks(chance, 240)
    put(session, *rows)
    for _ in range(150):
        filters = some_filters(chance, len(rows))
        limit = chance.choice([1, 7, 20, 100])
        shown, _ = pages(session, filters, limit)
        assert shown == expected(filters, rows), (filters, limit)


@pytest.mark.parametrize(
    "name",
    [
        "queue",
        "action",
        "unique_key",
        "statuses",
        "error_contains",
        "key",
        "error_group",
        "data",
    ],
)
def test_each_filter_alone_shows_some_and_hides_some(session: Session, name: str) -> None:
    rows = some_tasks(random.Random(1), 100)
    put(session, *rows)
    values: dict[str, object] = {
        "queue": "mail",
        "action": "send",
        "unique_key": "daily",
        "statuses": (Status.DEAD,),
        "error_contains": "time",
        "key": "daily",
        "error_group": "Timeout after # s",
        "data": (("user", "17"),),
    }
    filters = Filters(**{name: values[name]})  # type: ignore[arg-type] # each its own
    shown, _ = pages(session, filters, 7)
    assert shown == expected(filters, rows)
    assert 0 < len(shown) < len(rows)


@pytest.mark.parametrize("wanted", WANTED)
def test_a_member_of_data_is_found_in_each_form(
    session: Session, wanted: tuple[tuple[str, str], ...]
) -> None:
    rows = [a_task(data=data) for data in DATA]
    put(session, *rows)
    filters = Filters(data=wanted)
    assert pages(session, filters, 100)[0] == expected(filters, rows)


@pytest.mark.parametrize("data", ["", "{", "nonsense", '{"n":17', '{"n":17}}', '{"n":"\\ud800"}'])
def test_data_that_cannot_be_read_matches_nothing_and_is_no_error(
    session: Session, data: str
) -> None:
    good, _ = put(session, a_task(data='{"n":17}'), a_task(data=data))
    assert pages(session, Filters(data=(("n", "17"),)), 100)[0] == [good]


@pytest.mark.parametrize("number", [1, 3, 100])
def test_the_ids_of_each_filter_are_those_of_its_pages(session: Session, number: int) -> None:
    chance = random.Random(number)
    rows = some_tasks(chance, 120)
    put(session, *rows)
    for _ in range(40):
        filters = some_filters(chance, len(rows))
        found: list[str] = []
        after: Cursor | None = None
        while True:
            with session.transaction():
                some, after = listing.ids(session.connection, filters, number, after)
            found += some
            if after is None:
                break
        wanted = expected(filters, rows)
        assert found == wanted
        asked = [row.id for row in rows[::2]]
        with session.transaction():
            named = listing.named_ids(session.connection, filters, asked)
        assert named == [each for each in asked if each in wanted]


@pytest.mark.parametrize(
    "filters", [ALL, Filters(queue="tasks"), Filters(action="uppercase"), Filters(queue="unknown")]
)
def test_what_is_added_meanwhile_shifts_no_page(session: Session, filters: Filters) -> None:
    before = put(session, *(a_task(created_at=SOON + number // 2) for number in range(7)))
    shown: list[str] = []
    after = None
    while True:
        found, after = page(session, filters, 2, after)
        shown += ids(found)
        put(session, a_task(created_at=SOON + 10), a_task(queue="mail", created_at=SOON + 10))
        if after is None:
            break
    assert shown == ([] if filters.queue == "unknown" else before[::-1])


def test_the_oldest_first_shows_what_is_added_meanwhile_at_the_end(session: Session) -> None:
    before = put(session, *(a_task() for _ in range(4)))
    oldest_first = Filters(queue="tasks", oldest_first=True)
    first, after = page(session, oldest_first, 3)
    assert after is not None
    later = put(session, a_task(), a_task(created_at=SOON + 1))
    second, end = page(session, oldest_first, 3, after)
    assert (ids(first + second), end) == ([*before, *later], None)


def test_a_task_that_changes_its_state_between_pages_is_shown_once(session: Session) -> None:
    rows = put(session, *(a_task() for _ in range(4)))
    filters = Filters(statuses=(Status.QUEUED, Status.RUNNING))
    first, after = page(session, filters, 2)
    for task_id in rows:
        change(session, task_id, status=Status.RUNNING.value)
    second, _ = page(session, filters, 2, after)
    assert ids(first + second) == rows[::-1]


def test_a_task_that_changes_while_a_page_is_read_is_not_shown_in_a_state_not_asked_for(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put(session, a_task(), a_task())
    read = listing._shown

    def change_and_read(
        connection: sa.Connection, *rest: object
    ) -> tuple[list[Task], Cursor | None]:
        connection.execute(sa.update(tasks).where(tasks.c.id == first).values(status="running"))
        return read(connection, *rest)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(listing, "_shown", change_and_read)
    assert ids(page(session, Filters(statuses=(Status.QUEUED,)))[0]) == [second]
    assert ids(page(session)[0]) == [second, first]


def test_a_page_that_holds_just_the_rest_has_no_next(session: Session) -> None:
    rows = put(session, a_task(), a_task())
    found, after = page(session, ALL, 2)
    assert (ids(found), after) == (rows[::-1], None)
    assert page(session, ALL, 2, (SOON, 0)) == ([], None)


@pytest.mark.parametrize("status", Status)
def test_a_listing_shows_only_the_state_asked_for_and_blocked_as_queued(
    session: Session, status: Status
) -> None:
    rows = [a_task(status=each) for each in Status for _ in range(3)]
    put(session, *rows)
    shown, number = pages(session, Filters(statuses=(status,)), 2)
    wanted = {status, Status.BLOCKED} if status is Status.QUEUED else {status}
    assert shown == [row.id for row in reversed(rows) if row.status in wanted]
    assert number == (3 if status is Status.QUEUED else 2)


def test_a_page_merges_any_number_of_queues(session: Session) -> None:
    rows = [a_task(queue=f"queue-{n % 40}", status=Status.DEAD) for n in range(120)]
    put(session, *rows)
    for oldest_first in (True, False):
        filters = Filters(statuses=(Status.DEAD, Status.QUEUED), oldest_first=oldest_first)
        assert pages(session, filters, 50) == (expected(filters, rows), 3)


def test_a_page_of_long_tasks_ends_early_and_the_next_goes_on_behind_it(session: Session) -> None:
    quarter = MAX_PAGE_BYTES // 4
    rows = [
        a_task(data=f'"{"x" * quarter}"'),
        a_task(status=Status.COMPLETED, result=f'"{"y" * quarter}"'),
        *(a_task(data=f'"{"x" * quarter}"') for _ in range(4)),
    ]
    newest_first = put(session, *rows)[::-1]
    first, after = page(session)
    second, end = page(session, after=after)
    assert ids(first) == newest_first[:4]
    assert ids(second) == newest_first[4:]
    assert end is None


@pytest.mark.parametrize(
    "filters",
    [
        Filters(action="send", error_contains="timeout"),
        Filters(unique_key="daily", queue="tasks", statuses=(Status.QUEUED,)),
        Filters(error_contains="timeout"),
        Filters(error_contains="timeout", queue="tasks", statuses=(Status.QUEUED,)),
        Filters(error_contains="timeout", queues=frozenset({"tasks"}), statuses=(Status.QUEUED,)),
    ],
)
def test_a_page_ends_early_rather_than_look_at_too_many_rows(
    session: Session, monkeypatch: pytest.MonkeyPatch, filters: Filters
) -> None:
    monkeypatch.setattr(listing, "MAX_WALK", 10)
    rare = a_task(action="send", error="timeout", attempt=1)
    put(session, rare, *(a_task() for _ in range(40)))
    put(session, *(a_task(action="send") for _ in range(40)))
    for number in range(40):
        put(session, a_task(status=Status.DEAD, unique_key="daily", created_at=SOON - number))
    assert page(session, filters)[0] == []
    shown, number = pages(session, filters, 100)
    assert shown == ([rare.id] if filters.unique_key is None else [])
    assert 4 <= number <= 30


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(statuses=(Status.QUEUED, Status.DEAD)),
        Filters(action="send"),
        Filters(action="send", statuses=(Status.DEAD, Status.QUEUED)),
        Filters(unique_key="daily"),
        Filters(error_contains="timeout"),
    ],
)
def test_many_tasks_of_other_queues_take_no_page_from_whoever_does_not_see_them(
    session: Session, monkeypatch: pytest.MonkeyPatch, filters: Filters
) -> None:
    monkeypatch.setattr(listing, "MAX_WALK", 10)
    others = {"queue": "secret", "action": "send", "error": "timeout", "status": Status.DEAD}
    put(session, *(a_task(**others, unique_key="daily") for _ in range(40)))
    rare = a_task(queue="mail", action="send", error="timeout", unique_key="daily")
    put(session, rare)
    put(session, *(a_task(**others, unique_key="daily") for _ in range(40)))
    assert len(page(session, filters)[0]) != 1, "all of them match, and are seen by others"
    for oldest_first in (True, False):
        own = replace(filters, oldest_first=oldest_first)
        mine = replace(own, queues=frozenset({"mail", "sms"}))
        assert pages(session, mine, 100) == ([rare.id], 1)
        assert pages(session, replace(mine, queue="mail"), 100) == ([rare.id], 1)
        for queue in ("secret", "unknown"):
            assert page(session, replace(mine, queue=queue)) == ([], None)
        assert page(session, replace(own, queues=frozenset({"sms"}))) == ([], None)
        assert page(session, replace(own, queues=frozenset())) == ([], None)


def test_a_rare_action_in_a_small_queue_is_found_on_the_first_page(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_WALK", 10)
    wanted = put(session, a_task(action="send", queue="mail"))
    put(
        session,
        *(a_task(action="send") for _ in range(40)),
        *(a_task(queue="mail") for _ in "four"),
    )
    found, after = page(session, Filters(action="send", queue="mail"))
    assert (ids(found), after) == (wanted, None)


def test_a_task_is_read_as_it_was_written(session: Session) -> None:
    options = Options(
        unique_key="invoice-7",
        key="tenant-1",
        expires_at=NOW + 0.5,
        keep_result_seconds=60,
        backoff="1.0 2.0 60.0",
        occurrence="nightly@1700000000",
    )
    row = a_task(priority=7, rank=NOW - 25_200.0, run_at=NOW + 0.25, options=options)
    plain = a_task(status=Status.COMPLETED, result="[1]", started_at=NOW + 0.5)
    put(session, row, plain)
    assert get(session, row.id) == row
    assert get(session, plain.id) == plain
    assert get(session, plain.id).options is PLAIN
    assert page(session)[0] == [plain, row]
    assert find(session, "nobody") is None


def test_a_task_tells_its_course(session: Session) -> None:
    (task_id,) = put(session, a_task())
    change(
        session,
        task_id,
        worker="host:1",
        ended_at=NOW + 0.5,
        postponed=2,
        cancel_requested_at=NOW,
        progress=0.25,
        progress_message="a quarter",
    )
    course = get(session, task_id).course
    assert (course.worker, course.ended_at, course.postponed) == ("host:1", NOW + 0.5, 2)
    assert (course.cancel_requested_at, course.progress) == (NOW, 0.25)
    assert course.progress_message == "a quarter"


def test_a_task_shows_every_attempt_and_the_last_one_by_its_own_row(session: Session) -> None:
    (task_id,) = put(session, a_task())
    assert attempts(session, task_id) == []

    def run(status: Status, failure: Failure | None, attempt: int, started_at: float) -> None:
        (claimed,), _ = claim(session, now=started_at)
        running = Attempt(
            number=attempt, started_at=started_at, ended_at=None, worker="worker", outcome=None
        )
        assert attempts(session, task_id)[-1] == running
        settlement = Settlement(
            claimed.lease,
            status,
            claimed.attempt,
            processed_at=int(NOW) if status is Status.COMPLETED else None,
            started_at=started_at + 0.25 if failure is None else failure.started_at,
            ended_at=started_at + 0.5,
            failure=failure,
        )
        settle(session, settlement)

    run(Status.QUEUED, Failure("no answer", Outcome.TIMED_OUT), 1, NOW)
    run(Status.QUEUED, Failure("broken", started_at=NOW + 10.25, traceback="line 7"), 2, NOW + 10)
    run(Status.COMPLETED, None, 3, NOW + 20)
    assert attempts(session, task_id) == [
        Attempt(
            number=1,
            started_at=NOW,
            ended_at=NOW + 0.5,
            worker="worker",
            outcome=Outcome.TIMED_OUT,
            error="no answer",
        ),
        Attempt(
            number=2,
            started_at=NOW + 10.25,
            ended_at=NOW + 10.5,
            worker="worker",
            outcome=Outcome.FAILED,
            error="broken",
            traceback="line 7",
        ),
        Attempt(
            number=3,
            started_at=NOW + 20.25,
            ended_at=NOW + 20.5,
            worker="worker",
            outcome=Outcome.COMPLETED,
        ),
    ]


def test_the_dead_are_found_by_queue_action_and_a_part_of_their_error_the_oldest_first(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_WALK", 5)  # that is a bound on pages only
    monkeypatch.setattr(listing, "IDS_AT_ONCE", 7)
    chance = random.Random(2)
    rows = some_tasks(chance, 240)
    put(session, *rows)
    dead = [row for row in rows if row.status is Status.DEAD]
    assert dead_ids(session, ALL) == [row.id for row in dead]
    assert dead_ids(session, ALL, 10) == [row.id for row in dead[:10]]
    for filters in (
        Filters(queue="mail"),
        Filters(action="send"),
        Filters(queue="mail", action="send"),
        Filters(queue="unknown"),
        *(Filters(error_contains=part) for part in ("time", "Time", "100 %", "_", "'", "", "no")),
        Filters(queue="tasks", action="render", error_contains="wrong"),
    ):
        assert dead_ids(session, filters) == [row.id for row in dead if passes(filters, row)], (
            filters
        )


def test_the_dead_that_were_lost_with_what_ran_them_are_left_out_and_counted(
    session: Session,
) -> None:
    def die(action: str, last: Failure, losses: int) -> str:
        (task_id,) = put(session, a_task(action=action, max_attempts=1))
        (claimed,), _ = claim(session)
        settlement = Settlement(
            claimed.lease,
            Status.DEAD,
            attempt=1,
            losses=losses,
            processed_at=int(NOW),
            ended_at=NOW,
            failure=last,
        )
        settle(session, settlement)
        return task_id

    lost, crashed = Failure("lost", Outcome.LOST), Failure("crashed", Outcome.CRASHED)
    failed = die("send", Failure("no such user"), 0)
    kills = die("kill", lost, 1)
    contained = die("send", crashed, 0)
    crashes = die("crash", crashed, 2)
    unlucky = die("send", Failure("no such host"), 1)

    def found(
        limit: int = 9, isolated: Sequence[str] = (), actions: tuple[str, ...] | None = None
    ) -> tuple[list[str], tuple[int, int]]:
        filters = Filters(queue="tasks", actions=actions)
        return call(session, lambda c: listing.dead_ids(c, filters, limit, isolated))

    assert found() == ([failed, contained, unlucky], (2, 0))
    assert found(2) == ([failed, contained], (1, 0))  # those passed by
    assert found(1) == ([failed], (0, 0))
    assert found(isolated=["kill", "send"]) == ([failed, kills, contained, unlucky], (1, 0))
    assert found(isolated=["kill", "crash"]) == (
        [failed, kills, contained, crashes, unlucky],
        (0, 0),
    )
    assert found(actions=("send", "kill")) == ([failed, contained, unlucky], (1, 1))
    assert found(2, actions=("send",)) == ([failed, contained], (0, 1))
    assert found(actions=()) == ([], (0, 5))
