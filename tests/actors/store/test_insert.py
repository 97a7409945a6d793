"""What is inserted is read back."""

from task_queue.actors.store.session import Session
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import find, get, put
from tests.fakes import NOW, a_task


def test_a_row_is_read_back_as_it_was_written(session: Session) -> None:
    plain = a_task(data='{"text":"\\u0000 \N{SNOWMAN} \N{PILE OF POO}"}', priority=-3)
    old = a_task(
        status=Status.DEAD,
        result="null",
        error="why\nnot",
        attempt=5,
        losses=2,
        run_at=NOW + 0.125,
        started_at=NOW + 1.25,
        processed_at=2**40,
    )
    with_options = a_task(
        status=Status.BLOCKED,
        unique_key="u",
        key="k",
        expires_at=NOW + 0.5,
        keep_result_seconds=0,
        backoff="1.0 2.0 3.0",
        occurrence="nightly@1",
    )
    for task in (plain, old, with_options):
        put(session, task)
        assert get(session, task.id) == task
    assert find(session, "nobody") is None


def test_of_several_rows_each_is_read_back_whatever_its_neighbours_ask_for(
    session: Session,
) -> None:
    rows = [a_task(), a_task(key="k"), a_task(status=Status.CANCELLED), a_task()]
    assert [get(session, task_id) for task_id in put(session, *rows)] == rows
