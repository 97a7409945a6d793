import pytest

from task_queue.actors.tasks.text import MAX_SHOWN_CHARS, one_line, shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", '"é"'),
        (10**30, "1" + 30 * "0"),  # beyond 64 bits
        ("\ud800", '"\ud800"'),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        ({1}, '"{1}"'),  # not JSON
        ("x" * (MAX_SHOWN_CHARS - 2), f'"{"x" * (MAX_SHOWN_CHARS - 2)}"'),
        ("x" * (MAX_SHOWN_CHARS - 1), f'"{"x" * (MAX_SHOWN_CHARS - 1)}…'),
    ],
)
def test_a_value_is_shown_as_json_and_cut_where_it_gets_long(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_a_value_is_cut_at_the_given_length() -> None:
    assert shown("x" * 300, 200) == f'"{"x" * 199}…'


def test_a_foreign_text_is_shown_in_one_line_without_control_characters() -> None:
    assert one_line(" a\r\n\x1b[31mb\tc ") == "a [31mb c"
    assert one_line("x" * 300) == "x" * 200
