"""The address of the list of tasks."""

from urllib.parse import parse_qsl

from task_queue.api.ui.task_query import (
    MAX_TRAIL,
    asked_of,
    canonical,
    filters_of,
    newest,
    next_page,
    page_before,
)


def test_a_form_becomes_a_short_address() -> None:
    form = {
        "status": ["dead", "", "queued"],
        "queue": "",
        "error_group": "",
        "data": " user = 17 ",
        "limit": "50",
        "order": "newest",
        "created_after": "2026-11-28T05:24",
        "created_before": "2026-11-28T05:24:30",
    }
    assert canonical(form) == {
        "status": "dead,queued",
        "error_group": "",
        "data.user": "17",
        "created_after": "2026-11-28T05:24:00Z",
        "created_before": "2026-11-28T05:24:30Z",
    }


def test_an_address_stays_as_it_is() -> None:
    query = {"status": "dead", "data.user": "17", "created_after": "1795843884", "cursor": "x"}
    assert canonical(query) == query


def test_the_api_is_asked_for_all_but_the_way_back() -> None:
    query = {"queue": "mail", "cursor": "c", "trail": "0"}
    assert asked_of(query) == {"queue": "mail", "cursor": "c", "limit": "50"}
    assert asked_of({"stauts": "dead"}) == {"stauts": "dead", "limit": "50"}
    assert filters_of({**query, "data.a": "1", "limit": "25"}) == {"queue": "mail", "data.a": "1"}


def test_there_is_a_way_to_the_next_page_and_back() -> None:
    first = {"queue": "mail", "limit": "25"}
    second = dict(parse_qsl(next_page(first, "c1")))
    third = dict(parse_qsl(next_page(second, "c2")))
    assert [second["cursor"], third["cursor"]] == ["c1", "c2"]
    assert dict(parse_qsl(page_before(third) or "")) == second
    assert dict(parse_qsl(page_before(second) or "")) == first
    assert page_before(first) is None
    assert dict(parse_qsl(newest(third))) == first


def test_the_way_back_ends_after_some_pages() -> None:
    query: dict[str, str] = {}
    for number in range(MAX_TRAIL + 5):
        query = dict(parse_qsl(next_page(query, f"c{number}")))
    for _ in range(MAX_TRAIL):
        query = dict(parse_qsl(page_before(query) or ""))
    assert page_before(query) is None
