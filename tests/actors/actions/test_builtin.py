from typing import Any

import pytest

from task_queue.actors.actions.builtin import processed, slowed, total, uppercase
from task_queue.actors.errors import Reject


@pytest.mark.parametrize(
    ("data", "output"), [({"text": "hello wörld"}, "HELLO WÖRLD"), ({}, ""), ({"text": None}, "")]
)
def test_uppercase_capitalizes_the_text_and_takes_none_for_the_empty_text(
    data: dict[str, Any], output: str
) -> None:
    assert uppercase(data) == {"output": output}


@pytest.mark.parametrize(
    ("data", "output"),
    [({"numbers": [1, 2, 3.5]}, 6.5), ({}, 0), ({"numbers": None}, 0), ({"numbers": []}, 0)],
)
def test_sum_adds_the_numbers_and_takes_none_for_no_numbers(
    data: dict[str, Any], output: float
) -> None:
    assert total(data) == {"output": output}


@pytest.mark.parametrize("text", [5, True, [], {}])
def test_a_text_that_is_no_string_is_rejected_with_the_name_of_the_field(text: object) -> None:
    with pytest.raises(Reject, match=r"^data\.text must be a string, not "):
        uppercase({"text": text})


@pytest.mark.parametrize("number", ["1", None, True, [1], {}])
def test_a_number_that_is_none_is_rejected_with_its_place(number: object) -> None:
    with pytest.raises(Reject, match=r"^data\.numbers\[1\] must be a number, not "):
        total({"numbers": [1, number]})


@pytest.mark.parametrize("numbers", [5, "123", {"a": 1}, False])
def test_numbers_that_are_no_list_are_rejected(numbers: object) -> None:
    with pytest.raises(Reject, match=r"^data\.numbers must be a list of numbers, not "):
        total({"numbers": numbers})


@pytest.mark.parametrize("numbers", [[2**63 - 1, 1], [-(2**63), -1], [1e308, 1e308]])
def test_a_sum_beyond_64_bits_is_rejected(numbers: list[float]) -> None:
    with pytest.raises(Reject, match="64-bit"):
        total({"numbers": numbers})


def test_any_other_action_is_processed() -> None:
    assert processed({"anything": 1}) == {"output": "processed"}


def test_simulated_work_takes_its_time_first() -> None:
    slept: list[float] = []
    action = slowed(processed, 0.1, slept.append)
    assert action({}) == {"output": "processed"}
    assert slept == [0.1]
