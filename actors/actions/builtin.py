"""The tutorial's actions: `uppercase`, `sum`, and `processed` for any other name.

The first lines of their docstrings are the descriptions that the API shows.
"""

import math
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from task_queue.actors.actions.plain import INTEGERS
from task_queue.actors.errors import Reject

Data = dict[str, Any]

_NUMBERS = {int, float}
"""The types of JSON's numbers in Python, compared exactly: `True` would pass for an integer."""


def uppercase(data: Data) -> dict[str, str]:
    """Write `data.text` in capitals; without it, the result is the empty text."""
    text = data.get("text")
    if text is None:
        text = ""
    if not isinstance(text, str):
        message = f"data.text must be a string, not {_kind(text)}"
        raise Reject(message)
    return {"output": text.upper()}


def total(data: Data) -> dict[str, float]:
    """Add up `data.numbers`; without them, the sum is 0."""
    numbers = data.get("numbers")
    if numbers is None:
        numbers = []
    if not isinstance(numbers, list):
        message = f"data.numbers must be a list of numbers, not {_kind(numbers)}"
        raise Reject(message)
    if not _NUMBERS.issuperset(map(type, numbers)):
        position, other = next(
            (at, each) for at, each in enumerate(numbers) if type(each) not in _NUMBERS
        )
        message = f"data.numbers[{position}] must be a number, not {_kind(other)}"
        raise Reject(message)
    output = sum(numbers)
    too_long = isinstance(output, int) and output not in INTEGERS
    if too_long or not math.isfinite(output):
        message = "data.numbers add up to more than a 64-bit number holds"
        raise Reject(message)
    return {"output": output}


def processed(_data: Data) -> dict[str, str]:
    """Return what the tutorial answers for every action it does not know."""
    return {"output": "processed"}


def slowed(
    action: Callable[[Data], Any], seconds: float, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Data], Any]:
    """Return the action with a simulated time of work before it, as in the tutorial."""

    @wraps(action)
    def slow(data: Data) -> Any:  # noqa: ANN401 - whatever the action returns
        sleep(seconds)
        return action(data)

    return slow


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", dict: "an object", list: "a list"}
    return names.get(type(value), "a string" if isinstance(value, str) else "a number")
