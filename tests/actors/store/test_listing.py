"""Pages of tasks, on both databases alike."""

import pytest

from actors.store.store import MAX_PAGE_BYTES, Store
from actors.task import Status
from tests.actors.store.calls import ids, put
from tests.fakes import a_task


def test_a_listing_shows_the_newest_first_page_by_page(store: Store) -> None:
    newest_first = put(store, *(a_task() for _ in range(5)))[::-1]
    with store.transaction():
        first, cursor = store.list_tasks(limit=2)
        assert ids(first) == newest_first[:2]
        # What is added meanwhile shifts no page.
        store.insert([a_task(), a_task()])
        second, cursor = store.list_tasks(limit=2, before=cursor)
        assert ids(second) == newest_first[2:4]
        third, cursor = store.list_tasks(limit=2, before=cursor)
        assert (ids(third), cursor) == (newest_first[4:], None)


def test_a_page_that_holds_just_the_rest_has_no_next(store: Store) -> None:
    put(store, a_task(), a_task())
    with store.transaction():
        page, cursor = store.list_tasks(limit=2)
        assert (len(page), cursor) == (2, None)
        assert store.list_tasks(limit=2, before=0) == ([], None)


@pytest.mark.parametrize("status", Status)
def test_a_listing_shows_only_the_state_asked_for(store: Store, status: Status) -> None:
    rows = [a_task(status=each) for each in Status for _ in range(3)]
    put(store, *rows)
    expected = [row.id for row in reversed(rows) if row.status is status]
    with store.transaction():
        first, cursor = store.list_tasks(limit=2, status=status)
        second, end = store.list_tasks(limit=2, status=status, before=cursor)
    assert (ids(first + second), end) == (expected, None)


def test_a_page_of_long_tasks_ends_early_and_the_next_goes_on_behind_it(store: Store) -> None:
    quarter = MAX_PAGE_BYTES // 4
    rows = [a_task(data=f'"{"x" * quarter}"'), a_task(result=f'"{"y" * quarter}"')]
    newest_first = put(store, *(a_task(data=f'"{"x" * quarter}"') for _ in range(4)), *rows)[::-1]
    with store.transaction():
        first, before = store.list_tasks(limit=100)
        second, end = store.list_tasks(limit=100, before=before)
    assert ids(first) == newest_first[:4]
    assert ids(second) == newest_first[4:]
    assert end is None
