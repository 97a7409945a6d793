"""How long an answer is to wait, as `Prefer` says it (RFC 7240)."""

import time

import falcon
import pytest
from falcon.testing import create_environ
from hypothesis import given
from hypothesis import strategies as st

from task_queue.api.requests.prefer import applied, wait_seconds

MAX_SECONDS = 60


def asked(header: str | None) -> int | None:
    headers = {} if header is None else {"Prefer": header}
    return wait_seconds(falcon.Request(create_environ(headers=headers)), MAX_SECONDS)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("WAIT=5", 5),
        ('wait="5"', 5),
        (r'wait="\5"', 5),
        ("  wait = 5  ", 5),
        ("wait=05", 5),
        ("wait=5; later=1", 5),
        ("wait=5;", 5),
        ("respond-async, wait=5", 5),
        (",, wait=5,", 5),
        ('handling="a, wait=9", wait=5', 5),
        (r'handling="\", wait=9", wait=5', 5),
        ('return="x; y", wait=5', 5),
        ("wait=5, wait=9", 5),  # the first one counts
        ("wait=60", 60),
        ("wait=61", 60),
        ("wait=999999999999999999", 60),
    ],
)
def test_a_wait_is_read_as_the_rfc_writes_it_and_no_longer_than_it_may_be(
    header: str, seconds: int
) -> None:
    assert asked(header) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "wait",
        "wait=",
        "wait=0",
        "wait=-1",
        "wait=+1",
        "wait=1.5",
        "wait=5s",
        "wait=1_0",
        "wait=٣",
        "wait=x, wait=5",  # the first one counts, and cannot be met
        "wait=1000000000000000000000000",
        "await=5",
        "handling=strict; wait=5",
        'handling="wait=5"',
        'handling="wait=5',
        'handling="\\", wait=5',
    ],
)
def test_what_is_no_whole_number_of_seconds_is_ignored(header: str | None) -> None:
    assert asked(header) is None


def test_nobody_waits_where_that_is_not_allowed() -> None:
    req = falcon.Request(create_environ(headers={"Prefer": "wait=5"}))
    assert wait_seconds(req, 0) is None


@given(st.text(alphabet='wait=5;," \\x', max_size=40))
def test_any_text_says_a_number_in_range_or_nothing(header: str) -> None:
    seconds = asked(header)
    assert seconds is None or 1 <= seconds <= MAX_SECONDS


@pytest.mark.parametrize("unit", ['"', '"\\"', ",", ";", 'a="', 'wait=5"\\', "\\"])
def test_a_long_header_takes_no_long_time(unit: str) -> None:
    started = time.process_time()
    asked(unit * (32_000 // len(unit)))
    assert time.process_time() - started < 2


def test_an_answer_says_how_long_it_might_have_waited() -> None:
    assert applied(7) == ("Preference-Applied", "wait=7")
