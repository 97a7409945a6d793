import pytest

from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.window import Window


def some(number: int) -> list[ClaimedTask]:
    return [ClaimedTask(Lease(f"task-{each}", 1), "sum", "{}", 1, 5) for each in range(number)]


@pytest.mark.parametrize(
    ("prefetch", "waiting", "free", "wanted"),
    [
        (4, 0, 2, 6),  # for the free consumers and for all of the window
        (4, 3, 1, 2),  # somebody is free
        (4, 3, 0, 0),  # not yet half empty
        (4, 2, 0, 2),
        (0, 0, 0, 0),  # without a window only for free consumers
        (0, 0, 2, 2),
    ],
)
def test_it_claims_what_there_is_room_for(
    prefetch: int, waiting: int, free: int, wanted: int
) -> None:
    window = Window(prefetch)
    window.end_claim(some(waiting), more=True)
    assert window.begin_claim(free) == wanted
    assert window.is_claiming == bool(wanted)


def test_it_claims_nothing_where_nothing_is_ready() -> None:
    window = Window(4)
    window.end_claim([], more=False)
    assert window.begin_claim(2) == 0
    window.more = True
    assert window.begin_claim(2) == 6


def test_after_a_claim_that_stopped_short_it_claims_for_free_consumers_only() -> None:
    window = Window(4)
    assert window.begin_claim(1) == 5
    window.end_claim([], more=True)
    assert window.begin_claim(0) == 0
    assert window.begin_claim(1) == 5


def test_one_claim_is_under_way_at_a_time() -> None:
    window = Window(4)
    assert window.begin_claim(1) == 5
    assert window.begin_claim(1) == 0
    window.fail_claim()
    assert window.begin_claim(1) == 5


def test_what_is_taken_out_is_returned_in_order() -> None:
    first, second, third = tasks = some(3)
    window = Window(4)
    window.end_claim(tasks, more=False)
    assert window.remove({second.lease}) == [second]
    assert window.clear() == [first, third]
    assert not window.tasks
