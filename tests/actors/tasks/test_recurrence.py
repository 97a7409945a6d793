import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_queue.actors.tasks.recurrence import (
    GRACE_SECONDS,
    ClockBack,
    ClockForward,
    InvalidRecurrenceError,
    Missed,
    Recurrence,
    due,
    upcoming,
)

MINUTE, HOUR, DAY = 60, 3_600, 86_400
BERLIN = "Europe/Berlin"
EVERY_MINUTE = Recurrence("* * * * *", BERLIN)


def moment(text: str) -> float:
    """`2026-03-29 03:00+02:00` in Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


CHANGES = {
    f"{zone} at {text}": (zone, moment(text))
    for zone, text in [
        ("Europe/Berlin", "2026-03-29 03:00+02:00"),
        ("Europe/Berlin", "2026-10-25 02:00+01:00"),
        ("America/New_York", "2026-03-08 03:00-04:00"),
        ("America/New_York", "2026-11-01 01:00-05:00"),
        # Half an hour.
        ("Australia/Lord_Howe", "2026-10-04 02:30+11:00"),
        ("Australia/Lord_Howe", "2026-04-05 01:30+10:30"),
        # Two hours.
        ("Antarctica/Troll", "2026-03-29 03:00+02:00"),
        ("Antarctica/Troll", "2026-10-25 01:00+00:00"),
        # At midnight: into the next hour, and back into the day before.
        ("Africa/Cairo", "2026-04-24 01:00+03:00"),
        ("Africa/Cairo", "2026-10-29 23:00+02:00"),
    ]
}
"""Changes of the clock, each with the first moment after it."""

each_change = pytest.mark.parametrize(("zone", "change"), CHANGES.values(), ids=CHANGES)


@dataclass(frozen=True)
class Line:
    """A cron line for every day, with what it means."""

    cron: str
    minutes: frozenset[int]
    hours: frozenset[int]

    @property
    def follows_the_clock(self) -> bool:
        return "*" in self.cron.removesuffix(" * * *")

    def matches(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours


def fields(size: int, most: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field's text and its values, which are less than the size."""
    steps = st.integers(1, size).map(lambda step: (f"*/{step}", frozenset(range(0, size, step))))
    lists = st.frozensets(st.integers(0, size - 1), min_size=1, max_size=most).map(
        lambda values: (",".join(map(str, values)), values)
    )
    return st.just(("*", frozenset(range(size)))) | steps | lists


@st.composite
def lines(draw: st.DrawFn) -> Line:
    # Of all hours the early ones, where the clock changes, are of most interest.
    (minute, minutes), (hour, hours) = draw(fields(60, 4)), draw(fields(24, 24) | fields(4, 3))
    if hour.startswith("*"):
        hours = frozenset(range(0, 24, int(hour.partition("/")[2] or 1)))
    return Line(f"{minute} {hour} * * *", minutes, hours)


def by_the_rules(line: Line, zone: str, change: float) -> list[float]:
    """When the line fires from a day before the change to a day after it, found the slow way."""
    start, end = change - DAY, change + DAY
    if line.follows_the_clock:
        return [
            at
            for at in map(float, range(int(start), int(end), MINUTE))
            if line.matches(datetime.fromtimestamp(at, ZoneInfo(zone)))
        ]
    found = set()
    wall = datetime.fromtimestamp(start - DAY, ZoneInfo(zone)).replace(tzinfo=None)
    for _ in range(4 * DAY // MINUTE):
        if line.matches(wall):
            at = wall.replace(tzinfo=ZoneInfo(zone)).timestamp()
            shown = datetime.fromtimestamp(at, ZoneInfo(zone)).replace(tzinfo=None)
            found.add(at if shown == wall else change)
        wall += timedelta(minutes=1)
    return sorted(at for at in found if start <= at < end)


def walk(recurrence: Recurrence, start: float, end: float) -> Iterator[float]:
    """The occurrences from the start to the end, one by one."""
    at = start - 1
    while (at := recurrence.after(at)) < end:
        yield at


def shown(recurrence: Recurrence, start: str, count: int) -> list[str]:
    """The next occurrences as a clock in the zone shows them."""
    return [
        datetime.fromtimestamp(at, ZoneInfo(recurrence.timezone)).strftime("%a %d %H:%M %z")
        for at in upcoming(recurrence, moment(start), count)
    ]


def refusal(cron: str, timezone: str = BERLIN) -> tuple[str, str]:
    """Which member is refused, and what is said."""
    with pytest.raises(InvalidRecurrenceError) as caught:
        Recurrence(cron, timezone).check()
    return caught.value.member, str(caught.value)


# Lines and zones


def test_an_occurrence_is_read_on_the_clock_of_the_zone() -> None:
    noon = Recurrence("0 12 * * MON", "Asia/Tokyo")
    assert shown(noon, "2026-06-01 00:00+00:00", 2) == ["Mon 01 12:00 +0900", "Mon 08 12:00 +0900"]


def test_an_occurrence_is_later_than_the_moment_even_by_less_than_a_second() -> None:
    at = moment("2026-06-01 12:00+02:00")
    assert EVERY_MINUTE.after(at) == at + 60
    assert EVERY_MINUTE.after(at + 0.5) == at + 60
    assert EVERY_MINUTE.after(math.nextafter(at, 0)) == at


def test_a_rare_date_is_found_forty_years_later() -> None:
    rare = Recurrence("0 0 29 2 */7", "UTC")  # The 29th of February, if it is a Sunday.
    rare.check()
    found = [
        datetime.fromtimestamp(at, UTC) for at in upcoming(rare, moment("2088-01-01 00:00Z"), 2)
    ]
    assert [(at.year, at.month, at.day) for at in found] == [(2088, 2, 29), (2128, 2, 29)]


@pytest.mark.parametrize(
    ("day", "month", "weekday"),
    [
        ("30", "2", "*"),
        ("31", "4", "*"),
        ("31", "4,6,9,11", "*"),
        ("LW", "*", "*/6"),  # The last working day, on a weekend.
    ],
)
def test_a_line_whose_date_never_comes_is_refused(day: str, month: str, weekday: str) -> None:
    cron = f"0 0 {day} {month} {weekday}"
    sentence = (
        f"cron must fire within 50 years, and {cron!r} does not:"
        f" look at its day-of-month {day!r}, month {month!r} and day-of-week {weekday!r}"
    )
    assert refusal(cron) == ("cron", sentence)


def test_a_line_that_names_only_an_hour_that_is_always_left_out_is_refused() -> None:
    cron = "* 2 L 3 */7"  # The last day of March, if it is a Sunday.
    Recurrence(cron, "UTC").check()
    _, sentence = refusal(cron, BERLIN)
    assert sentence.startswith("cron must fire within 50 years, and '* 2 L 3 */7' does not")


@pytest.mark.parametrize(
    "timezone",
    [
        "",
        ".",
        "Mars/Phobos",
        "europe/berlin",
        "Europe",
        "Europe/Berlin/",
        "Europe/../Europe/Berlin",
        "../etc/passwd",
        "/etc/passwd",
        "/usr/share/zoneinfo/Europe/Berlin",
        "localtime",
        "right/UTC",
        "zone.tab",
        "__init__.py",
        "UTC\x00",
        "\ud800",
    ],
)
def test_an_unknown_zone_is_refused(timezone: str) -> None:
    sentence = (
        "timezone must be a name of the IANA time zone database, such as Europe/Berlin or UTC,"
        f" not {timezone!r}"
    )
    assert refusal("* * * * *", timezone) == ("timezone", sentence)


def test_a_zone_of_10_kilobytes_is_refused_in_a_short_sentence() -> None:
    member, sentence = refusal("* * * * *", "x" * 10_000)
    assert member == "timezone"
    assert sentence.endswith(f", not '{'x' * 60}…'")


@given(st.text("0123456789*/,-#?LWAMOTFRSUN ", max_size=30) | st.text(max_size=20))
@settings(deadline=None)
def test_any_text_is_a_line_that_fires_or_is_refused(cron: str) -> None:
    for text in (cron, f"{cron} * * * *", f"0 0 {cron} * *", f"0 0 * * {cron}"):
        recurrence = Recurrence(text, "UTC")
        try:
            recurrence.check()
        except InvalidRecurrenceError as error:
            assert error.member == "cron"  # noqa: PT017 - either outcome is right
        else:
            assert recurrence.after(0.0) > 0.0


@pytest.mark.parametrize("at", [-1.0, 1e12, 1e300, math.inf, -math.inf, math.nan])
def test_a_moment_outside_the_calendar_is_refused(at: float) -> None:
    with pytest.raises(InvalidRecurrenceError, match="from the year 1970 to 9900"):
        EVERY_MINUTE.after(at)


@pytest.mark.parametrize("cron", ["* * * * *", "30 2 * * *", "0 0 29 2 */7", "*/7 */5 L 12 *"])
@pytest.mark.parametrize("zone", [BERLIN, "Pacific/Kiritimati", "Pacific/Niue"])
@pytest.mark.parametrize("year", [1970, 1971, 2999, 5000, 9899])
def test_a_moment_of_any_year_of_the_calendar_is_followed(cron: str, zone: str, year: int) -> None:
    at = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    assert at < Recurrence(cron, zone).after(at) < at + 41 * 366 * DAY


# Changes of the clock


def test_a_time_that_the_clock_jumps_over_fires_once_right_after_the_jump() -> None:
    for cron in ("30 2 * * *", "0,15,30 2 * * *", "59 2,3 * * *"):
        first, second, *_ = shown(Recurrence(cron, BERLIN), "2026-03-29 00:00+01:00", 2)
        assert first == "Sun 29 03:00 +0200"
        assert second != first
    assert shown(Recurrence("30 2 * * *", BERLIN), "2026-03-28 00:00+01:00", 3) == [
        "Sat 28 02:30 +0100",
        "Sun 29 03:00 +0200",
        "Mon 30 02:30 +0200",
    ]


def test_a_time_that_the_clock_shows_twice_fires_the_first_time() -> None:
    assert shown(Recurrence("30 2 * * *", BERLIN), "2026-10-24 12:00+02:00", 2) == [
        "Sun 25 02:30 +0200",
        "Mon 26 02:30 +0100",
    ]


def test_a_line_that_follows_the_clock_goes_on_through_both_passes() -> None:
    assert shown(Recurrence("*/30 * * * *", BERLIN), "2026-10-25 01:45+02:00", 5) == [
        "Sun 25 02:00 +0200",
        "Sun 25 02:30 +0200",
        "Sun 25 02:00 +0100",
        "Sun 25 02:30 +0100",
        "Sun 25 03:00 +0100",
    ]


def test_a_line_that_follows_the_clock_does_not_fire_in_an_hour_left_out() -> None:
    assert shown(Recurrence("*/30 1-2 * * *", BERLIN), "2026-03-29 01:15+01:00", 2) == [
        "Sun 29 01:30 +0100",
        "Mon 30 01:00 +0200",
    ]


def test_a_repeated_half_hour_is_followed_from_wherever_one_looks() -> None:
    half_past = Recurrence("30 * * * *", "Australia/Lord_Howe")
    second_pass = moment("2026-04-05 01:30+10:30")
    assert second_pass == moment("2026-04-05 02:00+11:00")
    for minutes in range(1, 31):
        assert half_past.after(second_pass - minutes * MINUTE) == second_pass


ASKED = [("run", "once"), ("run", "twice"), ("skip", "once"), ("skip", "twice")]


@pytest.mark.parametrize(("forward", "back"), ASKED)
@pytest.mark.parametrize(
    ("cron", "zone", "start", "run", "skip"),
    [
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28 12:00+01:00",
            ["Sun 29 03:00 +0200", "Mon 30 02:30 +0200"],
            ["Mon 30 02:30 +0200", "Tue 31 02:30 +0200"],
        ),
        (
            "*/30 2 * * *",
            "America/New_York",
            "2026-03-08 00:00-05:00",
            ["Sun 08 03:00 -0400", "Mon 09 02:00 -0400"],
            ["Mon 09 02:00 -0400", "Mon 09 02:30 -0400"],
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03 12:00+10:30",
            ["Sun 04 02:30 +1100", "Mon 05 02:15 +1100"],
            ["Mon 05 02:15 +1100", "Tue 06 02:15 +1100"],
        ),
    ],
)
def test_times_that_the_clock_jumps_over_come_after_the_jump_or_not_at_all_as_asked(  # noqa: PLR0913, PLR0917
    cron: str, zone: str, start: str, run: list[str], skip: list[str], forward: str, back: str
) -> None:
    recurrence = Recurrence(cron, zone, ClockForward(forward), ClockBack(back))
    assert shown(recurrence, start, 2) == (run if forward == "run" else skip)


@pytest.mark.parametrize(("forward", "back"), ASKED)
@pytest.mark.parametrize(
    ("cron", "zone", "start", "once", "twice"),
    [
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-25 00:00+02:00",
            ["Sun 25 02:30 +0200", "Mon 26 02:30 +0100"],
            ["Sun 25 02:30 +0200", "Sun 25 02:30 +0100"],
        ),
        (
            "*/30 1 * * *",
            "America/New_York",
            "2026-11-01 01:15-04:00",
            ["Sun 01 01:30 -0400", "Mon 02 01:00 -0500"],
            ["Sun 01 01:30 -0400", "Sun 01 01:00 -0500"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-05 00:00+11:00",
            ["Sun 05 01:45 +1100", "Mon 06 01:45 +1030"],
            ["Sun 05 01:45 +1100", "Sun 05 01:45 +1030"],
        ),
    ],
)
def test_times_that_the_clock_shows_twice_come_once_or_twice_as_asked(  # noqa: PLR0913, PLR0917
    cron: str, zone: str, start: str, once: list[str], twice: list[str], forward: str, back: str
) -> None:
    recurrence = Recurrence(cron, zone, ClockForward(forward), ClockBack(back))
    assert shown(recurrence, start, 2) == (once if back == "once" else twice)


@pytest.mark.parametrize(
    ("cron", "forward", "back"),
    [
        ("30 2 * * *", "run", "once"),
        ("@daily", "run", "once"),
        ("*/30 2 * * *", "skip", "twice"),
        ("30 */2 * * *", "skip", "twice"),
        ("@hourly", "skip", "twice"),
    ],
)
def test_what_is_not_asked_for_is_as_in_debians_cron(cron: str, forward: str, back: str) -> None:
    recurrence = Recurrence(cron, BERLIN)
    assert (recurrence.forward.value, recurrence.back.value) == (forward, back)


@each_change
@given(line=lines())
@settings(deadline=None, max_examples=15)
def test_every_occurrence_around_a_change_of_the_clock_is_found_and_no_other(
    zone: str, change: float, line: Line
) -> None:
    found = walk(Recurrence(line.cron, zone), change - DAY, change + DAY)
    assert list(found) == by_the_rules(line, zone, change)


@each_change
@given(line=lines(), quarters=st.integers(-4 * 3 * HOUR, 4 * 3 * HOUR))
@settings(deadline=None, max_examples=50)
def test_the_next_occurrence_does_not_depend_on_where_one_looks_from(
    zone: str, change: float, line: Line, quarters: int
) -> None:
    recurrence, at = Recurrence(line.cron, zone), change + quarters / 4
    following = recurrence.after(at)
    assert following > at
    between = (at + following) / 2
    assert recurrence.after(between) == following
    assert recurrence.after(following - 1) == following


@given(
    line=lines(),
    zone=st.sampled_from([BERLIN, "UTC", "Asia/Kathmandu"]),
    at=st.floats(0, moment("5000-01-01 00:00Z")),
)
@settings(deadline=None)
def test_the_next_occurrences_rise(line: Line, zone: str, at: float) -> None:
    recurrence = Recurrence(line.cron, zone)
    following = upcoming(recurrence, at, 5)
    assert following[0] == recurrence.after(at)
    assert all(one < other for one, other in itertools.pairwise([at, *following]))
    assert len(following) == 5


# What is due


def test_an_occurrence_on_time_is_published() -> None:
    at = moment("2026-06-01 12:00+02:00")
    for missed in Missed:
        for now in (at, at + 0.3, at + 59.9):
            assert due(EVERY_MINUTE, at, now, missed) == (at, at + 60)


def test_an_occurrence_at_the_end_of_the_grace_is_published_and_a_later_one_only_if_asked() -> None:
    daily = Recurrence("0 3 * * *", "UTC")
    at = moment("2026-06-01 03:00Z")
    for missed in Missed:
        assert due(daily, at, at + GRACE_SECONDS, missed) == (at, at + DAY)
    late = at + GRACE_SECONDS + 0.1
    assert due(daily, at, late, Missed.SKIP) == (None, at + DAY)
    assert due(daily, at, late, Missed.ONCE) == (at, at + DAY)


def test_of_many_missed_occurrences_the_last_one_is_published() -> None:
    daily = Recurrence("0 3 * * *", "UTC")
    at = moment("2026-06-01 03:00Z")
    now = at + 10 * DAY + HOUR
    assert due(daily, at, now, Missed.ONCE) == (at + 10 * DAY, at + 11 * DAY)
    assert due(daily, at, now, Missed.SKIP) == (None, at + 11 * DAY)
    # One of them is on time again.
    assert due(daily, at, at + 10 * DAY, Missed.SKIP) == (at + 10 * DAY, at + 11 * DAY)


def test_decades_of_missed_minutes_are_passed_over_in_a_few_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    after = Recurrence.after

    def counted(recurrence: Recurrence, at: float) -> float:
        nonlocal looks
        looks += 1
        return after(recurrence, at)

    monkeypatch.setattr(Recurrence, "after", counted)
    at = moment("1990-06-01 03:00Z")
    now = moment("2026-06-01 03:00:30Z")
    assert due(EVERY_MINUTE, at, now, Missed.SKIP) == (now - 30, now + 30)
    assert looks < 50


@each_change
@given(
    line=lines(),
    start=st.floats(-3 * HOUR, 3 * HOUR),
    seconds=st.floats(0, 2 * DAY) | st.floats(0, 3 * HOUR),
    missed=st.sampled_from(Missed),
)
@settings(deadline=None, max_examples=50)
def test_what_is_due_has_come_and_what_is_next_has_not(  # noqa: PLR0913, PLR0917
    zone: str, change: float, line: Line, start: float, seconds: float, missed: Missed
) -> None:
    recurrence = Recurrence(line.cron, zone)
    next_at = recurrence.after(change + start)
    now = next_at + seconds
    fired, following = due(recurrence, next_at, now, missed)
    assert following == recurrence.after(now) > now
    if fired is None:
        assert missed is Missed.SKIP
        assert recurrence.after(math.nextafter(now - GRACE_SECONDS, 0)) > now
    else:
        assert next_at <= fired <= now
        # It is an occurrence, and the last one.
        assert recurrence.after(fired - 1) == fired
        assert recurrence.after(fired) == following
        assert missed is Missed.ONCE or now - fired <= GRACE_SECONDS


@each_change
@given(
    line=lines(),
    missed=st.sampled_from(Missed),
    steps=st.lists(st.floats(20, GRACE_SECONDS), min_size=1, max_size=20),
)
@settings(deadline=None, max_examples=15)
def test_who_looks_every_minute_publishes_each_occurrence_once(
    zone: str, change: float, line: Line, missed: Missed, steps: list[float]
) -> None:
    recurrence = Recurrence(line.cron, zone)
    start, count = change - 3 * HOUR, 6 * HOUR // 40
    looks = list(
        itertools.accumulate(itertools.islice(itertools.cycle(steps), count), initial=start)
    )
    next_at, published = recurrence.after(start), []
    for now in looks:
        if next_at <= now:
            fired, next_at = due(recurrence, next_at, now, missed)
            published.append(fired)
    expected = [at for at in by_the_rules(line, zone, change) if start < at <= looks[-1]]
    assert published == expected
