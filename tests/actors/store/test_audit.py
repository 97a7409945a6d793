"""The audit log as rows."""

from dataclasses import replace

import pytest

from task_queue.actors.store import audit
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.audit import AuditEntry, AuditFilters
from tests.actors.store.calls import call
from tests.fakes import NOW

ALL = AuditFilters()
ENTRY = AuditEntry(NOW, "ops (1234)", "cancel_task", "/tasks/1/cancel", "127.0.0.1")


def record(session: Session, *entries: AuditEntry) -> list[int]:
    return [
        call(session, lambda connection, each=each: audit.record(connection, each))  # type: ignore[misc]
        for each in entries
    ]


def page(
    session: Session,
    filters: AuditFilters = ALL,
    *,
    limit: int = 10,
    before: int | None = None,
) -> tuple[list[AuditEntry], int | None]:
    return call(session, lambda connection: audit.page(connection, filters, limit, before))


def test_the_newest_entries_come_first_in_pages(session: Session) -> None:
    numbers = record(session, *(replace(ENTRY, target=str(number)) for number in range(5)))
    first, last = page(session, limit=2)
    assert [entry.target for entry in first] == ["4", "3"]
    assert last == numbers[3]
    rest, end = page(session, limit=3, before=last)
    assert ([entry.target for entry in rest], end) == (["2", "1", "0"], None)


def test_the_status_is_added_afterwards(session: Session) -> None:
    (number,) = record(session, ENTRY)
    assert page(session)[0] == [replace(ENTRY, seq=number)]
    call(session, lambda connection: audit.note_status(connection, number, 409))
    assert page(session)[0] == [replace(ENTRY, seq=number, status=409)]


def test_the_target_is_told_better_afterwards(session: Session) -> None:
    (number,) = record(session, ENTRY)
    call(session, lambda c: audit.note_status(c, number, 200, "/tasks/cancel (2 ids)"))
    (entry,) = page(session)[0]
    assert (entry.status, entry.target) == (200, "/tasks/cancel (2 ids)")


@pytest.mark.parametrize("walk", [1, 3, 10, 100])
def test_a_page_looks_at_so_many_entries_and_says_where_to_go_on(
    session: Session, monkeypatch: pytest.MonkeyPatch, walk: int
) -> None:
    monkeypatch.setattr(audit, "MAX_WALK", walk)
    rare = {4, 5, 17}
    record(
        session,
        *(
            replace(ENTRY, who="rare" if number in rare else "often", target=str(number))
            for number in range(20)
        ),
    )
    found: list[str] = []
    before, pages = None, 0
    while True:
        entries, before = page(session, AuditFilters(who="rare"), limit=2, before=before)
        found += [entry.target for entry in entries]
        pages += 1
        if before is None:
            break
    assert found == ["17", "5", "4"]
    assert pages >= 20 / walk / 2


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"who": "ops"}, ["ops (1234)"]),
        ({"who": "ops (1234)"}, ["ops (1234)"]),
        ({"who": "op"}, []),
        ({"who": "%"}, []),
        ({"who": "o_s"}, ["o_s (9)"]),
        ({"who": "anonymous"}, ["anonymous"]),
        ({"what": "cancel_task"}, ["anonymous", "o_s (9)", "ops (1234)"]),
        ({"what": "purge_queue"}, []),
    ],
)
def test_entries_are_found_by_who_and_what(
    session: Session, filters: dict[str, str], found: list[str]
) -> None:
    record(session, *(replace(ENTRY, who=who) for who in ("ops (1234)", "o_s (9)", "anonymous")))
    assert [entry.who for entry in page(session, AuditFilters(**filters))[0]] == found


def test_what_was_kept_long_enough_is_deleted_in_steps(session: Session) -> None:
    old = [replace(ENTRY, at=NOW - 100)] * (audit.STEP_ROWS + 1)
    record(session, *old, ENTRY)

    def forget() -> int:
        return call(session, lambda connection: audit.forget(connection, NOW, 100))

    assert [forget(), forget(), forget()] == [audit.STEP_ROWS, 1, 0]
    assert [entry.at for entry in page(session)[0]] == [NOW]
