"""The grammar of cron lines: what is taken, what each form means, and what is refused."""

from datetime import UTC, datetime

import pytest

from task_queue.actors.tasks.cron import SHORTHANDS, InvalidCronError, check, fields, trimmed
from task_queue.actors.tasks.recurrence import Recurrence, upcoming

INTERVALS = "; intervals that cron cannot say are said with every"


def refusal(cron: str) -> str:
    """What is said of a line that is refused."""
    with pytest.raises(InvalidCronError) as caught:
        check(trimmed(cron))
    return str(caught.value)


def first_days(cron: str, count: int, start: str = "2027-01-01") -> list[str]:
    """The days of the next occurrences."""
    moments = upcoming(
        Recurrence(cron, "UTC"), datetime.fromisoformat(f"{start}T00:00Z").timestamp(), count
    )
    return [datetime.fromtimestamp(at, UTC).strftime("%a %m-%d") for at in moments]


def times(cron: str, count: int) -> list[str]:
    """The next times of the day, from a midnight on."""
    moments = upcoming(
        Recurrence(cron, "UTC"), datetime(2027, 1, 1, tzinfo=UTC).timestamp() - 1, count
    )
    return [datetime.fromtimestamp(at, UTC).strftime("%H:%M") for at in moments]


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "*/5 0-6/2 1,15 JAN-jun mon-FRI",
        "00 09 01 01 *",
        "*/60 */24 */31 */12 */7",
        "5-10/6 * * * *",
        "0 0 L * *",
        "0 0 15,LW 2,4 *",
        "0 0 * * 5L",
        "0 0 * * 1#2,FRI#5,7L",
        "0 0 29 2 *",
        "59 23 31 12 7",
        "0 0 30 2 1",
        "@daily",
    ],
)
def test_a_line_of_the_grammar_is_taken(cron: str) -> None:
    check(cron)


@pytest.mark.parametrize("cron", [" 0\t0  * * * ", "0 0 * * *\n", "\r\n0  0\t*\t*  *"])
def test_blanks_around_a_line_and_between_fields_do_not_count(cron: str) -> None:
    assert trimmed(cron) == "0 0 * * *"
    assert trimmed("\t @daily\n") == "@daily"


@pytest.mark.parametrize(
    ("cron", "count", "expected"),
    [
        ("0 0 L * *", 3, ["Sun 01-31", "Sun 02-28", "Wed 03-31"]),
        ("0 0 LW * *", 3, ["Fri 01-29", "Fri 02-26", "Wed 03-31"]),
        ("0 0 * * 5L", 2, ["Fri 01-29", "Fri 02-26"]),
        ("0 0 * * 5#2", 2, ["Fri 01-08", "Fri 02-12"]),
        ("0 0 * * MON#5", 2, ["Mon 03-29", "Mon 05-31"]),
        ("0 0 * * 7", 2, ["Sun 01-03", "Sun 01-10"]),
        ("0 0 * * 0", 2, ["Sun 01-03", "Sun 01-10"]),
        ("0 0 * * 5-7", 3, ["Sat 01-02", "Sun 01-03", "Fri 01-08"]),
        ("0 0 * * MON-FRI/2", 3, ["Mon 01-04", "Wed 01-06", "Fri 01-08"]),
        # Either day, unless one of the fields begins with a star: then both.
        ("0 0 13 * FRI", 3, ["Fri 01-08", "Wed 01-13", "Fri 01-15"]),
        ("0 0 13 * */5", 2, ["Sun 06-13", "Fri 08-13"]),
    ],
)
def test_each_form_of_a_day_means_what_the_page_says(
    cron: str, count: int, expected: list[str]
) -> None:
    assert first_days(cron, count) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/45 * * * *", ["00:00", "00:45", "01:00", "01:45"]),
        ("5/15 * * * *", ["00:05", "00:20", "00:35", "00:50"]),
        ("5-59/15 * * * *", ["00:05", "00:20", "00:35", "00:50"]),
        ("0 22-23,0-2 * * *", ["00:00", "01:00", "02:00", "22:00"]),
        ("*/60 * * * *", ["00:00", "01:00", "02:00", "03:00"]),
    ],
)
def test_each_form_of_a_time_means_what_the_page_says(cron: str, expected: list[str]) -> None:
    assert times(cron, len(expected)) == expected


@pytest.mark.parametrize(("name", "line"), SHORTHANDS.items())
def test_a_name_stands_for_a_whole_line(name: str, line: str) -> None:
    at = datetime(2027, 1, 1, 12, tzinfo=UTC).timestamp()
    check(name)
    assert fields(name) == line.split()
    assert upcoming(Recurrence(name, "UTC"), at, 3) == upcoming(Recurrence(line, "UTC"), at, 3)


@pytest.mark.parametrize(
    ("cron", "most", "base", "field"),
    [
        ("*/90 * * * *", 60, "*", "minute"),
        ("*/61 * * * *", 60, "*", "minute"),
        ("0 */25 * * *", 24, "*", "hour"),
        ("0 0 */32 * *", 31, "*", "day-of-month"),
        ("0 0 1 */13 *", 12, "*", "month"),
        ("0 0 * * */8", 7, "*", "day-of-week"),
        ("0 0 * * 0-7/8", 7, "0-7", "day-of-week"),
        ("5-10/20 * * * *", 6, "5-10", "minute"),
        ("50/20 * * * *", 10, "50", "minute"),
        ("0 0 1,10-12/4 * *", 3, "10-12", "day-of-month"),
        ("* */0 * * *", 24, "*", "hour"),
    ],
)
def test_a_step_beyond_what_it_steps_through_is_refused(
    cron: str, most: int, base: str, field: str
) -> None:
    text = next(each for each in cron.split() if "/" in each)
    sentence = f"cron must have a step from 1 to {most} after {base} in its {field} field, not "
    assert refusal(cron) == f"{sentence}{text!r}{INTERVALS}"


@pytest.mark.parametrize(
    ("cron", "field", "text", "instead"),
    [
        ("0 22-2 * * *", "hour", "22-2", "22-23,0-2"),
        ("0 0 * * FRI-MON", "day-of-week", "FRI-MON", "5-6,0-1"),
        ("0 0 * * 7-2", "day-of-week", "7-2", "0-2"),
        ("0 0 1 NOV-FEB *", "month", "NOV-FEB", "11-12,1-2"),
        ("59-0 * * * *", "minute", "59-0", "59,0"),
        ("10-10/5 * * * *", "minute", "10-10", "10"),
    ],
)
def test_a_range_that_does_not_rise_is_refused_with_one_that_does(
    cron: str, field: str, text: str, instead: str
) -> None:
    sentence = f"cron must have ranges that rise in its {field} field, not {text}, which can be"
    assert refusal(cron) == f"{sentence} written {instead}"
    check(cron.replace(text, instead).replace("/5", ""))


@pytest.mark.parametrize(
    ("cron", "field", "allowed", "text"),
    [
        ("60 * * * *", "minute", "0-59", "'60'"),
        ("* 24 * * *", "hour", "0-23", "'24'"),
        ("* * 0 * *", "day-of-month", "1-31, L or LW", "'0'"),
        ("* * 15W * *", "day-of-month", "1-31, L or LW", "'15W'"),
        ("* * L-3 * *", "day-of-month", "1-31, L or LW", "'L-3'"),
        ("* * ? * *", "day-of-month", "1-31, L or LW", "'?'"),
        ("* * L/2 * *", "day-of-month", "1-31, L or LW", "'L/2'"),
        ("* * * Foo *", "month", "1-12 or JAN-DEC", "'Foo'"),
        ("* * * * 8", "day-of-week", "0-7, SUN-SAT, 5L or 5#2", "'8'"),
        ("* * * * FRIL", "day-of-week", "0-7, SUN-SAT, 5L or 5#2", "'FRIL'"),
        ("* * * * 5#6", "day-of-week", "0-7, SUN-SAT, 5L or 5#2", "'5#6'"),
        ("* * * * 1#2/3", "day-of-week", "0-7, SUN-SAT, 5L or 5#2", "'1#2/3'"),
        ("H * * * *", "minute", "0-59", "'H'"),
        ("R * * * *", "minute", "0-59", "'R'"),
        ("~ * * * *", "minute", "0-59", "'~'"),
        ("0~9 * * * *", "minute", "0-59", "'0~9'"),
        ("L * * * *", "minute", "0-59", "'L'"),
        ("*,5 * * * *", "minute", "0-59", "'*,5'"),
        (",5 * * * *", "minute", "0-59", "',5'"),
        ("*/ * * * *", "minute", "0-59", "'*/'"),
        ("5- * * * *", "minute", "0-59", "'5-'"),
        ("-5 * * * *", "minute", "0-59", "'-5'"),
        ("+5 * * * *", "minute", "0-59", "'+5'"),
        ("1_0 * * * *", "minute", "0-59", "'1_0'"),
        ("\u0663 * * * *", "minute", "0-59", "'\u0663'"),
        ("\N{NO-BREAK SPACE}0 * * * *", "minute", "0-59", "'\\xa00'"),
        ("* * * * \u017fun", "day-of-week", "0-7, SUN-SAT, 5L or 5#2", "'\u017fun'"),
        ("61 25 0 0 8", "minute", "0-59", "'61'"),
        ("\ud800\x00 * * * *", "minute", "0-59", "'\\ud800\\x00'"),
        ("9" * 100 + " * * * *", "minute", "0-59", f"'{'9' * 60}…'"),
    ],
)
def test_a_field_that_does_not_parse_is_named_with_its_text_and_what_it_may_hold(
    cron: str, field: str, allowed: str, text: str
) -> None:
    sentence = f"cron must have {allowed} in its {field} field, also with * , - and /, not {text}"
    assert refusal(cron) == sentence


@pytest.mark.parametrize(
    ("cron", "count"),
    [
        ("", 0),
        (" ", 0),
        ("* * * *", 4),
        ("0 * * * * *", 6),  # with seconds
        ("0 0 1 1 * 2027", 6),  # with a year
        ("0 0 12 * * ? 2027", 7),
        ("1, 2 * * * *", 6),
        ("0 0 * * * /bin/true", 6),
    ],
)
def test_a_line_without_exactly_five_fields_is_refused(cron: str, count: int) -> None:
    assert refusal(cron) == (
        "cron must have 5 fields (minute, hour, day-of-month, month, day-of-week),"
        f" not {count} as {trimmed(cron)!r} has"
    )


@pytest.mark.parametrize("cron", ["@reboot", "@Daily", "@every 90m", "@daily * * * *", "@"])
def test_another_name_is_refused_with_those_there_are(cron: str) -> None:
    assert refusal(cron) == (
        "cron must have 5 fields or be one of @hourly, @daily, @midnight, @weekly, @monthly,"
        f" @yearly, @annually, not {cron!r}"
    )


def test_a_line_of_201_characters_is_refused() -> None:
    cron = ",".join(["10"] * 64) + " * * * *"
    check(cron)
    assert len(cron) == 199
    assert refusal("1" * 201) == "cron must have at most 200 characters, not 201"
