"""What people write on a command line."""

import io
import sys
from pathlib import Path

import pytest

from task_queue.api.commands.errors import UsageError
from task_queue.api.commands.values import (
    backoff_of,
    data_of,
    future,
    moment,
    seconds,
    value_of,
    whole,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5_400),
        ("7d", 604_800),
        ("1d2h3m4.5s", 93_784.5),
    ],
)
def test_a_duration_is_a_number_or_a_sum_of_units(text: str, expected: float) -> None:
    assert seconds("--delay", text) == expected


@pytest.mark.parametrize("text", ["", "x", "5 m", "-5", "m", "5m1h", "1e9", "٣s", "9" * 40])
def test_what_is_no_duration_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(UsageError, match="--delay = "):
        seconds("--delay", text)


def test_a_whole_number_is_sent_without_a_point() -> None:
    assert repr(whole(60.0)) == "60"
    assert repr(whole(0.5)) == "0.5"
    assert whole(None) is None


def test_a_time_is_of_the_past_or_to_come_as_the_option_means_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.0)
    assert moment("--after", "2h") == 1_000_000_000 - 7_200
    assert future("--run-at", "2h") == 1_000_000_000 + 7_200
    assert moment("--after", "1893456000") == 1_893_456_000
    assert moment("--after", "2030-01-01T00:00:00Z") == 1_893_456_000
    assert moment("--after", "2030-01-01T01:00+01:00") == 1_893_456_000
    with pytest.raises(UsageError, match="--after = yesterday: must be a time"):
        moment("--after", "yesterday")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        ("true", True),
        ("[1,2]", [1, 2]),
        ('"3"', "3"),
        ("ada", "ada"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_a_member_is_json_if_it_is_such_and_else_text(text: str, expected: object) -> None:
    assert value_of(text) == expected


def test_data_is_an_object_and_members_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"width": 1, "height": 2}')
    assert data_of(f"@{file}", ["width=3", "name=a=b"]) == {"width": 3, "height": 2, "name": "a=b"}
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"width": 4}'))
    assert data_of("-", []) == {"width": 4}
    assert data_of(None, []) == {}


@pytest.mark.parametrize(
    ("text", "members", "problem"),
    [
        ("[1]", [], "--data must be a JSON object"),
        ("{", [], "--data is no JSON"),
        ('{"a": NaN}', [], "--data is no JSON"),
        ("@nowhere.json", [], "cannot read nowhere.json"),
        (None, ["width"], "must be like name=value, not 'width'"),
        (None, ["=3"], "must be like name=value"),
    ],
)
def test_data_that_is_wrong_is_refused(text: str | None, members: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        data_of(text, members)


def test_backoff_is_written_as_its_members() -> None:
    assert backoff_of("base=1,cap=60") == {"base": 1, "cap": 60}
    assert backoff_of(None) is None
