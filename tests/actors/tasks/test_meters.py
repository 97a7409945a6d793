from task_queue.actors.tasks.meters import (
    MAX_ACTIONS,
    OTHER,
    SECONDS,
    ZERO_SECONDS,
    Histogram,
    Meters,
    QueueMeter,
    WriterMeter,
)
from task_queue.actors.tasks.states import Outcome, Status


def test_a_value_falls_into_the_bucket_whose_bound_it_is() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 7.0):
        histogram.note(value)
    assert histogram.counts == [2, 2, 1]
    assert (histogram.count, histogram.total) == (5, 12.0)


def test_a_time_below_0_as_the_clock_was_set_back_takes_nothing_off_the_sum() -> None:
    histogram = Histogram(SECONDS, native=True)
    histogram.note(-5.0)
    assert (histogram.count, histogram.total, histogram.fine) == (1, 0.0, {})


def test_native_buckets_end_at_powers_of_the_eighth_root_of_two() -> None:
    histogram = Histogram(SECONDS, native=True)
    for value in (1.0, 2.0, 2.01, 2 ** (1 / 8) + 0.001, ZERO_SECONDS):
        histogram.note(value)
    assert histogram.fine == {0: 1, 8: 1, 9: 1, 2: 1}


def test_actions_that_nobody_has_set_up_are_one() -> None:
    meter = QueueMeter({"sum"}.__contains__)
    for action in ("sum", "a", "b"):
        meter.started(action, 1.0)
        meter.completed(action, 1.0)
    assert {name: each.completed for name, each in meter.actions.items()} == {"sum": 1, OTHER: 2}


def test_the_number_of_actions_has_a_bound() -> None:
    queue, writer = QueueMeter(), WriterMeter()
    for number in range(20 * MAX_ACTIONS):
        queue.completed(f"action-{number}", 1.0)
        writer.note(1, 0.0, {("tasks", f"action-{number}"): 1})
    assert len(queue.actions) == MAX_ACTIONS + 1
    assert len(writer.published) == 10 * MAX_ACTIONS + 1
    assert writer.published.total() == 20 * MAX_ACTIONS


def test_what_follows_a_failed_attempt_is_counted() -> None:
    meter = QueueMeter()
    meter.failed("sum", Outcome.FAILED, Status.SCHEDULED, 1.0)
    meter.failed("sum", Outcome.LOST, Status.DEAD, None)
    meter.failed("sum", Outcome.CANCELLED, Status.CANCELLED, 1.0)
    meter.failed("sum", None, Status.SCHEDULED, 1.0)
    meter.failed("sum", None, Status.QUEUED, None)  # given back, and never begun
    of_it = meter.actions["sum"]
    assert of_it.outcomes == {"failed": 1, "lost": 1, "cancelled": 1, "postponed": 1}
    assert of_it.ended == {"dead": 1, "cancelled": 1}
    assert (of_it.retried, of_it.runs.count, meter.lost, meter.rates.failed) == (1, 3, 1, 2)


def test_a_queue_that_is_restarted_goes_on_counting() -> None:
    meters = Meters(lambda _: True)
    meters.of_queue("tasks").completed("sum", 1.0)
    assert meters.of_queue("tasks").actions["sum"].completed == 1
    assert meters.of_leases("tasks").actions == {}
