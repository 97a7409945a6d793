from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.settlement import (
    EXPIRED,
    MAX_POSTPONE_SECONDS,
    MAX_POSTPONEMENTS,
    Failure,
    Settlement,
    ack,
    drained,
    expire,
    nack,
    requeue,
    unstorable,
)
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from task_queue.actors.tasks.task import Options, rank
from task_queue.actors.tasks.text import MAX_ERROR_CHARS, printable

BACKOFF = Backoff(base_seconds=1.0, factor=2.0, cap_seconds=60.0)
NOW = 1_000.9
HOUR = 3_600


def claimed(attempt: int = 1, max_attempts: int = 5, **terms: object) -> ClaimedTask:
    return ClaimedTask(
        Lease("task", 7),
        "sum",
        "{}",
        attempt,
        max_attempts,
        terms=Terms(**terms),  # type: ignore[arg-type] # any of them
    )


def failed(task: ClaimedTask, failure: Failure | None = None, random: float = 0.5) -> Settlement:
    why = failure or Failure("no")
    return nack(task, why, backoff=BACKOFF, now=NOW, random=lambda: random)


# --- states ---------------------------------------------------------------------------------


def test_users_see_a_blocked_task_as_queued_and_every_other_state_by_its_name() -> None:
    assert Status.BLOCKED.shown == Status.QUEUED.shown == "queued"
    assert [each.shown for each in FINAL] == ["completed", "dead", "cancelled"]


def test_of_two_tasks_the_one_with_the_higher_priority_goes_first_within_an_hour_a_point() -> None:
    assert rank(NOW + HOUR - 1, 1) < rank(NOW, 0)
    assert rank(NOW + HOUR + 1, 1) > rank(NOW, 0)


def test_among_equals_the_oldest_goes_first() -> None:
    assert rank(NOW, -3) < rank(NOW + 0.001, -3)


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_no_task_starves_it_goes_before_all_that_come_late_enough(low: int, high: int) -> None:
    assert rank(NOW, low) < rank(NOW + HOUR * (high - low) + 1, high)


# --- settlements ----------------------------------------------------------------------------


def test_an_acked_task_is_completed_with_its_result_and_the_times_of_its_attempt() -> None:
    settlement = ack(claimed(), '{"output":1}', NOW - 0.5, NOW)
    assert (settlement.status, settlement.result) == (Status.COMPLETED, '{"output":1}')
    assert (settlement.processed_at, settlement.attempt) == (1_000, 1)
    assert (settlement.started_at, settlement.ended_at) == (NOW - 0.5, NOW)
    assert settlement.failure is None  # the task's own row tells of it


def test_a_nacked_task_is_scheduled_after_its_backoff_with_the_attempt_counted() -> None:
    settlement = failed(claimed(3))
    assert settlement.status is Status.SCHEDULED
    assert settlement.run_at == NOW + 0.5 * 4.0
    assert (settlement.attempt, settlement.error, settlement.processed_at) == (3, "no", None)


def test_a_failed_attempt_is_recorded_with_its_times_and_where_it_failed() -> None:
    failure = Failure("a\x00b", started_at=NOW - 2, traceback="line\x00")
    settlement = failed(claimed(), failure)
    assert (settlement.started_at, settlement.ended_at) == (NOW - 2, NOW)
    assert settlement.failure == replace(failure, error="a\ufffdb", traceback="line\ufffd")


def test_a_task_with_a_backoff_of_its_own_waits_by_that() -> None:
    own = Backoff(base_seconds=7.0, factor=3.0, cap_seconds=100.0)
    settlement = failed(claimed(2, backoff=own.text), random=1.0)
    assert settlement.run_at == NOW + 21.0


def test_a_task_is_dead_when_its_attempts_are_used_up() -> None:
    assert [failed(claimed(attempt)).status for attempt in (4, 5, 6)] == [
        Status.SCHEDULED,
        Status.DEAD,
        Status.DEAD,
    ]


def test_a_permanent_error_is_dead_at_the_first_attempt() -> None:
    settlement = failed(claimed(), Failure("never", permanent=True))
    assert (settlement.status, settlement.processed_at) == (Status.DEAD, 1_000)
    assert (settlement.failure and settlement.failure.outcome) is Outcome.FAILED


@pytest.mark.parametrize(
    ("outcome", "losses"),
    [
        (Outcome.FAILED, 2),
        (Outcome.TIMED_OUT, 2),
        (Outcome.CRASHED, 3),
        (Outcome.LOST, 3),
    ],
)
def test_only_attempts_that_ended_with_the_death_of_what_ran_them_are_losses(
    outcome: Outcome, losses: int
) -> None:
    settlement = failed(claimed()._replace(losses=2), Failure("no", outcome))
    assert settlement.losses == losses
    assert (settlement.failure and settlement.failure.outcome) is outcome


def test_a_task_that_stopped_as_it_was_asked_to_is_cancelled_whatever_is_left_to_try() -> None:
    settlement = failed(claimed(), Failure("cancelled", Outcome.CANCELLED))
    assert (settlement.status, settlement.processed_at) == (Status.CANCELLED, 1_000)
    assert (settlement.failure and settlement.failure.outcome) is Outcome.CANCELLED


def test_a_task_that_asks_for_later_loses_no_attempt_and_leaves_no_record() -> None:
    settlement = failed(claimed(5, postponed=3), Failure("busy", retry_after=12.5))
    assert (settlement.status, settlement.attempt) == (Status.SCHEDULED, 4)
    assert (settlement.run_at, settlement.postponed) == (NOW + 12.5, 4)
    assert (settlement.failure, settlement.error) == (None, "busy")


@pytest.mark.parametrize(("asked", "random", "delay"), [(0.0, 0.5, 8.0), (20.0, 0.5, 20.0)])
def test_one_that_backs_off_waits_as_after_that_many_failures_at_least(
    asked: float, random: float, delay: float
) -> None:
    task = claimed(2, postponed=3, backoff="1.0 2.0 60.0")
    settlement = failed(task, Failure("busy", retry_after=asked, backs_off=True), random)
    assert (settlement.run_at, settlement.attempt) == (NOW + delay, 1)


@pytest.mark.parametrize("seconds", [MAX_POSTPONE_SECONDS + 1, 1e308, float("inf")])
def test_nobody_is_put_off_for_longer_than_30_days(seconds: float) -> None:
    settlement = failed(claimed(), Failure("busy", retry_after=seconds))
    assert settlement.run_at == NOW + 30 * 24 * HOUR


def test_who_asked_for_later_too_often_loses_an_attempt_for_it_and_dies_of_the_last() -> None:
    busy = Failure("busy", retry_after=1.0)
    spent = claimed(4, postponed=MAX_POSTPONEMENTS)
    settlement = failed(spent, busy)
    assert (settlement.status, settlement.attempt) == (Status.SCHEDULED, 4)
    assert (settlement.postponed, settlement.failure) == (MAX_POSTPONEMENTS, busy)
    assert failed(spent._replace(attempt=5), busy).status is Status.DEAD


def test_a_requeued_task_gets_its_attempt_back_and_has_none_recorded() -> None:
    settlement = requeue(claimed(2))
    assert (settlement.status, settlement.attempt) == (Status.QUEUED, 1)
    assert (settlement.failure, settlement.ended_at, settlement.run_at) == (None, None, None)


def test_a_drained_task_gets_its_attempt_back_and_has_it_recorded() -> None:
    settlement = drained(claimed(2), NOW)
    assert (settlement.status, settlement.attempt) == (Status.QUEUED, 1)
    assert settlement.ended_at == NOW
    assert (settlement.failure and settlement.failure.outcome) is Outcome.DRAINED


def test_an_expired_task_is_dead_without_an_attempt() -> None:
    settlement = expire(claimed(2), NOW)
    assert (settlement.status, settlement.error) == (Status.DEAD, EXPIRED)
    assert (settlement.attempt, settlement.failure, settlement.processed_at) == (1, None, 1_000)


@pytest.mark.parametrize("moment", [NOW, NOW + 1])
def test_a_task_expires_at_its_moment_and_not_before(moment: float) -> None:
    task = claimed(expires_at=NOW)
    assert task.has_expired(moment)
    assert not task.has_expired(NOW - 0.001)
    assert not claimed().has_expired(moment)


def test_every_settlement_names_the_key_and_keeps_the_count_of_postponements() -> None:
    task = claimed(key="tenant", postponed=3)
    for settlement in (
        ack(task, "1", NOW, NOW),
        failed(task),
        failed(task, Failure("no", permanent=True)),
        requeue(task),
        drained(task, NOW),
        expire(task, NOW),
    ):
        assert (settlement.key, settlement.postponed) == ("tenant", 3)


def test_an_outcome_that_cannot_be_stored_is_dead_and_says_so() -> None:
    settlement = unstorable(ack(claimed(key="k"), "\x00", NOW - 1, NOW), ValueError("NUL"), NOW)
    assert (settlement.status, settlement.result) == (Status.DEAD, None)
    assert settlement.error == "the outcome could not be stored: NUL"
    assert settlement.failure == Failure(settlement.error, started_at=NOW - 1)
    assert (settlement.processed_at, settlement.key) == (1_000, "k")


def test_an_attempt_that_never_ended_ends_when_it_cannot_be_stored() -> None:
    """Every recorded attempt has an end: its column takes no null."""
    settlement = unstorable(requeue(claimed()), ValueError("no"), NOW)
    assert settlement.failure is not None
    assert settlement.ended_at == NOW


# --- what a claim minds ---------------------------------------------------------------------


def test_a_task_tried_before_or_with_one_attempt_only_must_not_wait_in_the_window() -> None:
    assert claimed(2).must_not_wait
    assert claimed(1, max_attempts=1).must_not_wait
    assert not claimed(1).must_not_wait


@pytest.mark.parametrize(
    ("options", "is_plain"),
    [
        (Options(), True),
        (Options(key="k", expires_at=1.0, keep_result_seconds=1, backoff="1 2 3"), True),
        (Options(unique_key="u"), False),
        (Options(occurrence="nightly@1"), False),
    ],
)
def test_only_unique_tasks_can_have_another_in_their_way(
    options: Options, *, is_plain: bool
) -> None:
    assert options.is_plain is is_plain


@given(st.text(st.characters()))
def test_any_text_becomes_printable_and_bounded(text: str) -> None:
    shown = printable(text + "\x00\ud800")
    assert len(shown) <= MAX_ERROR_CHARS
    assert "\x00" not in shown
    shown.encode("utf-8")
