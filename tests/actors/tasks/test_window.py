import pytest

from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.window import AHEAD_SECONDS, FEW, MAX_WAIT_SECONDS, Window

SHORT = AHEAD_SECONDS / 2


def some(number: int) -> list[ClaimedTask]:
    return [ClaimedTask(Lease(f"task-{each}", 1), "sum", "{}", 1, 5) for each in range(number)]


def a_window(prefetch: int = 4, *, ended: int = 0, waiting: int = 0) -> Window:
    """A window at the moment 0, after so many short tasks, besides the first few."""
    window = Window(prefetch)
    for _ in range(FEW + ended if ended else 0):
        window.note_end(SHORT, 0)
    window.end_claim(some(waiting), 0, more=True)
    return window


@pytest.mark.parametrize(
    ("prefetch", "ended", "waiting", "free", "wanted"),
    [
        (4, 0, 0, 2, 2),  # nothing says that more would start soon
        (4, 1, 0, 2, 3),
        (4, 9, 0, 2, 6),
        (4, 9, 3, 1, 2),  # somebody is free
        (4, 9, 3, 0, 0),  # not yet half empty
        (4, 9, 2, 0, 2),
        (4, 2, 2, 0, 0),
        (4, 2, 1, 0, 1),
        (4, 0, 0, 0, 0),
        (4, 1, 3, 0, 0),  # it has become slower
        (0, 9, 0, 0, 0),  # without a window only for free consumers
        (0, 9, 0, 2, 2),
    ],
)
def test_it_claims_for_free_consumers_and_as_many_ahead_as_have_just_ended(
    prefetch: int, ended: int, waiting: int, free: int, wanted: int
) -> None:
    window = a_window(prefetch, ended=ended, waiting=waiting)
    assert window.begin_claim(free, SHORT) == wanted
    assert window.is_claiming == bool(wanted)
    assert window.promised == (free if wanted else 0)


def test_a_few_short_tasks_say_nothing_yet() -> None:
    window = Window(4)
    for _ in range(FEW):
        window.note_end(SHORT, 0)
    assert window.begin_claim(1, 0) == 1
    window.fail_claim()
    window.note_end(SHORT, 0)
    assert window.begin_claim(1, 0) == 2


def test_what_ended_a_while_ago_counts_no_more() -> None:
    window = a_window(ended=2)
    assert window.begin_claim(1, AHEAD_SECONDS) == 3
    window.fail_claim()
    assert window.begin_claim(1, AHEAD_SECONDS + 0.01) == 1


@pytest.mark.parametrize("seconds", [AHEAD_SECONDS, 60.0, -1.0])  # the last: the clock was set back
def test_what_took_a_while_does_not_count(seconds: float) -> None:
    window = Window(4)
    for _ in range(FEW + 1):
        window.note_end(seconds, 0)
    assert window.begin_claim(1, 0) == 1


def test_it_says_how_long_claims_have_brought_nothing() -> None:
    window = Window(4)
    assert window.unfed_seconds(100) == 0  # nothing was claimed yet
    window.begin_claim(1, 100)
    window.fail_claim()
    window.begin_claim(1, 105)
    window.end_claim([], 110, more=True)
    window.begin_claim(1, 110)
    assert window.unfed_seconds(115) == 15
    window.end_claim(some(1), 115, more=True)
    assert window.unfed_seconds(120) == 0


def test_what_was_paused_is_not_unfed() -> None:
    window = Window(4)
    window.begin_claim(1, 100)
    window.end_claim([], 100, more=True)
    window.clear()
    assert window.unfed_seconds(200) == 0


def test_another_size_holds_from_now_on_and_keeps_what_is_known() -> None:
    window = a_window(prefetch=2, ended=5)
    window.resize(1)
    assert window.begin_claim(1, 0) == 2
    window.fail_claim()
    window.resize(3)
    window.note_end(SHORT, 0)
    assert window.begin_claim(1, 0) == 3


def test_it_claims_nothing_where_nothing_is_ready() -> None:
    window = Window(4)
    window.end_claim([], 0, more=False)
    assert window.begin_claim(2, 0) == 0
    window.more = True
    assert window.begin_claim(2, 0) == 2


def test_after_a_claim_that_stopped_short_it_claims_for_free_consumers_only() -> None:
    window = a_window(ended=4)
    assert window.begin_claim(1, 0) == 5
    window.end_claim([], 0, more=True)
    assert window.begin_claim(0, 0) == 0
    assert window.begin_claim(1, 0) == 5


def test_one_claim_is_under_way_at_a_time() -> None:
    window = Window(4)
    assert window.begin_claim(1, 0) == 1
    assert window.begin_claim(1, 0) == 0
    window.fail_claim()
    assert (window.is_claiming, window.promised) == (False, 0)
    assert window.begin_claim(1, 0) == 1


def test_all_are_taken_out_when_the_first_has_waited_too_long() -> None:
    window = a_window(ended=4, waiting=2)
    first, second, third = *window, *some(1)
    window.end_claim([third], MAX_WAIT_SECONDS, more=False)
    assert window.take_overdue(0.9 * MAX_WAIT_SECONDS) == []
    assert window.take_overdue(MAX_WAIT_SECONDS) == [first, second, third]
    assert len(window) == 0
    assert window.more  # they are ready again


def test_what_is_taken_in_time_leaves_the_others_their_own_time() -> None:
    window = a_window(waiting=1)
    window.end_claim(some(1), SHORT, more=False)
    window.take_first()
    assert window.take_overdue(MAX_WAIT_SECONDS) == []
    assert len(window.take_overdue(MAX_WAIT_SECONDS + SHORT)) == 1


def test_after_that_it_claims_ahead_only_when_tasks_end_quickly_again() -> None:
    window = a_window(ended=4, waiting=1)
    for _ in range(FEW + 4):
        window.note_end(SHORT, MAX_WAIT_SECONDS)
    window.take_overdue(MAX_WAIT_SECONDS)
    assert window.begin_claim(0, MAX_WAIT_SECONDS) == 0
    assert window.begin_claim(1, MAX_WAIT_SECONDS) == 1
    window.fail_claim()
    for _ in range(FEW + 1):
        window.note_end(SHORT, MAX_WAIT_SECONDS)
    assert window.begin_claim(1, MAX_WAIT_SECONDS) == 2


def test_what_is_put_first_is_taken_first() -> None:
    window = a_window(waiting=1)
    (waiting,), (urgent,) = list(window), some(1)
    window.put_first(urgent, 0)
    assert [window.take_first(), window.take_first()] == [urgent, waiting]


def test_what_is_taken_out_is_returned_in_order() -> None:
    first, second, third = tasks = some(3)
    window = Window(4)
    window.end_claim(tasks, 0, more=False)
    assert window.remove({second.lease}) == [second]
    assert window.clear() == [first, third]
    assert not window
