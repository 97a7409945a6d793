from hypothesis import given
from hypothesis import strategies as st

from actors.backoff import Backoff
from actors.task import (
    MAX_ERROR_CHARS,
    ClaimedTask,
    Lease,
    Status,
    ack,
    nack,
    printable,
    requeue,
    unstorable,
)

BACKOFF = Backoff(base_seconds=1.0, factor=2.0, cap_seconds=60.0)
NOW = 1_000.9


def claimed(attempt: int = 1, max_attempts: int = 5) -> ClaimedTask:
    return ClaimedTask(Lease("task", 7), "sum", "{}", attempt, max_attempts)


def failed(attempt: int, *, permanent: bool = False, random: float = 0.5) -> Status:
    return nack(
        claimed(attempt),
        "no",
        permanent=permanent,
        backoff=BACKOFF,
        now=NOW,
        random=lambda: random,
    ).status


def test_an_acked_task_is_completed_with_its_result_and_the_second_it_ended() -> None:
    settlement = ack(claimed(), '{"output":1}', NOW)
    assert (settlement.status, settlement.result) == (Status.COMPLETED, '{"output":1}')
    assert (settlement.processed_at, settlement.attempt) == (1_000, 1)


def test_a_nacked_task_is_scheduled_after_its_backoff_with_the_attempt_counted() -> None:
    settlement = nack(
        claimed(3), "no", permanent=False, backoff=BACKOFF, now=NOW, random=lambda: 0.5
    )
    assert settlement.status is Status.SCHEDULED
    assert settlement.run_at == NOW + 0.5 * 4.0
    assert (settlement.attempt, settlement.error, settlement.processed_at) == (3, "no", None)


def test_a_task_is_dead_when_its_attempts_are_used_up() -> None:
    assert [failed(attempt) for attempt in (4, 5, 6)] == [
        Status.SCHEDULED,
        Status.DEAD,
        Status.DEAD,
    ]


def test_a_permanent_error_is_dead_at_the_first_attempt() -> None:
    assert failed(1, permanent=True) is Status.DEAD


def test_a_requeued_task_gets_its_attempt_back() -> None:
    settlement = requeue(claimed(2), NOW)
    assert (settlement.status, settlement.attempt) == (Status.QUEUED, 1)


def test_a_task_tried_before_or_with_one_attempt_only_must_not_wait_in_the_window() -> None:
    assert claimed(2).must_not_wait
    assert claimed(1, max_attempts=1).must_not_wait
    assert not claimed(1).must_not_wait


def test_an_outcome_that_cannot_be_stored_is_dead_and_says_so() -> None:
    settlement = unstorable(ack(claimed(), "\x00", NOW), ValueError("NUL"))
    assert (settlement.status, settlement.result) == (Status.DEAD, None)
    assert settlement.error == "the outcome could not be stored: NUL"


@given(st.text(st.characters()))
def test_any_text_becomes_printable_and_bounded(text: str) -> None:
    shown = printable(text + "\x00\ud800")
    assert len(shown) <= MAX_ERROR_CHARS
    assert "\x00" not in shown
    shown.encode("utf-8")
