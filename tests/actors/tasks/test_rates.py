from task_queue.actors.tasks.rates import Rates
from tests.fakes import NOW

NOTHING = {"published": 0.0, "completed": 0.0, "failed": 0.0}


def noted(*moments: float) -> Rates:
    """Rates with six tasks completed before each of these moments, seconds from now."""
    rates = Rates()
    rates.note(NOW)
    for moment in moments:
        rates.completed += 6
        rates.note(NOW + moment)
    return rates


def test_before_the_first_tick_and_at_it_nothing_has_a_rate() -> None:
    rates = Rates()
    assert rates.per_second() == NOTHING
    rates.note(NOW)
    assert rates.per_second() == NOTHING


def test_each_kind_has_a_rate_of_its_own() -> None:
    rates = Rates()
    rates.note(NOW)
    rates.published += 30
    rates.completed += 20
    rates.failed += 1
    rates.note(NOW + 10)
    assert rates.per_second() == {"published": 3.0, "completed": 2.0, "failed": 0.1}


def test_what_is_counted_is_seen_with_the_next_tick() -> None:
    rates = noted(10)
    rates.completed += 1_000
    assert rates.per_second()["completed"] == 0.6
    rates.note(NOW + 20)
    assert rates.per_second()["completed"] > 50


def test_within_the_first_second_no_rate_is_larger_than_the_count() -> None:
    assert noted(0.001).per_second()["completed"] == 6.0


def test_a_minute_later_it_is_forgotten() -> None:
    rates = noted(10, 40, 70)
    # Of the last minute: from the note at 10 s to the one at 70 s.
    assert rates.per_second()["completed"] == 0.2
    rates.note(NOW + 131)
    assert rates.per_second() == NOTHING


def test_no_more_is_held_than_a_minute_of_ticks() -> None:
    rates = noted(*(tick / 4 for tick in range(10_000)))
    assert rates.per_second()["completed"] == 24.0
    assert len(rates._notes) <= 241


def test_a_clock_set_back_neither_counts_twice_nor_stops_counting() -> None:
    rates = noted(10, 20)
    rates.note(NOW - 3_600)
    assert rates.per_second() == NOTHING
    rates.completed += 6
    rates.note(NOW - 3_590)
    assert rates.per_second()["completed"] == 0.6


def test_a_clock_set_forward_forgets_what_was() -> None:
    rates = noted(10, 3_600)
    assert rates.per_second() == NOTHING
    rates.completed += 6
    rates.note(NOW + 3_610)
    assert rates.per_second()["completed"] == 0.6
