"""How numbers and times are shown."""

import pytest

from task_queue.api.ui.render import (
    LEFT_OUT,
    MAX_INDENTED_BYTES,
    MAX_SHOWN_CHARS,
    ago,
    counted,
    duration,
    editable,
    pretty,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "—"),
        (0.25, "250 ms"),
        (9.5, "9.5 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (7_200, "2 h"),
        (7_260, "2 h 1 min"),
        (90_061, "1 d 1 h"),
        (86_400 + 5, "1 d"),
    ],
)
def test_a_time_span_has_its_two_greatest_units(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW, "now"),
        (NOW - 60, "1 min ago"),
        (NOW + 3_600, "in 1 h"),
        ("2027-01-15T08:00:30+00:00", "in 30 s"),
        ("2027-01-15T09:00:30+01:00", "in 30 s"),
    ],
)
def test_a_moment_is_said_as_people_say_it(moment: float | str, words: str) -> None:
    shown = str(ago(moment, NOW))
    assert f">{words}</time>" in shown
    assert 'datetime="2027-01-15T0' in shown


def test_what_never_was_is_never() -> None:
    assert "never" in str(ago(None, NOW))


def test_one_is_not_many() -> None:
    assert [counted(number, "task") for number in (0, 1, 2_000)] == [
        "0 tasks",
        "1 task",
        "2,000 tasks",
    ]


def test_of_a_long_value_a_page_shows_the_beginning() -> None:
    deep: object = [1] * 500_000
    for _ in range(95):
        deep = [deep]
    for value in ("x" * 1_000_000, deep, {"a": {"b": [deep]}}):
        shown = pretty(value)
        assert len(shown) <= MAX_SHOWN_CHARS + len(LEFT_OUT) + 1
        assert shown.endswith(LEFT_OUT)
    assert pretty({"a": ["é", None]}) == '{\n  "a": [\n    "é",\n    null\n  ]\n}'


def test_what_is_to_be_changed_is_whole() -> None:
    long = [1] * MAX_INDENTED_BYTES
    assert editable(long) == str(long).replace(" ", "")
    assert editable({"a": 1}) == '{\n  "a": 1\n}'
