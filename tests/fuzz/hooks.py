"""What schemathesis loads: the texts that a format stands for, and what is no failure.

Nothing is left out but the failures that `EXCLUDED` names, each with its reason.
"""

import atexit
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import RejectedPositiveData

from task_queue.api.contract import headers
from task_queue.api.responses import problems

Case = schemathesis.Case[Any]

BEYOND_SCHEMAS = {
    problems.CALLBACK_REFUSED,
    problems.CONTRADICTION,
    problems.INVALID_CURSOR,
    problems.INVALID_SCHEDULE,
    problems.KEY_REUSED,
    problems.NEVER_STARTS,
    problems.NOT_EXTERNAL,
    problems.UNKNOWN_ACTION,
    problems.UNKNOWN_QUEUE,
}
"""The problems of requests that are wrong by the value of another member, header or row alone."""


def _depends_on_something_else(failure: Failure, _case: object, response: Response) -> bool:
    if not isinstance(failure, RejectedPositiveData):
        return False
    slug = response.json().get("type", "").rpartition("#")[2]
    return slug in {each.slug for each in BEYOND_SCHEMAS}


def _is_whole_but_has_a_point(failure: Failure, case: Case, response: Response) -> bool:
    if isinstance(failure, AcceptedNegativeData):
        return any(each.is_integer() and abs(each) >= 2**63 for each in _floats(case.body))
    if not isinstance(failure, RejectedPositiveData):
        return False
    _, is_one, value = response.json().get("detail", "").partition(" must be a whole number")
    return bool(is_one) and value.endswith(".0")


def _floats(value: object) -> Iterator[float]:
    match value:
        case float():
            yield value
        case list() | dict():
            for each in value.values() if isinstance(value, dict) else value:
                yield from _floats(each)


def _is_what_pydantic_makes_fit(failure: Failure, case: Case, _response: Response) -> bool:
    return isinstance(failure, AcceptedNegativeData) and "resize" in str(case.body)


EXCLUDED: dict[str, Callable[[Failure, Case, Response], bool]] = {
    "JSON Schema cannot say how one value depends on another, or on what is stored": (
        _depends_on_something_else
    ),
    "JSON Schema takes 1.0 and 1e300 for integers; by docs/http.md they are none": (
        _is_whole_but_has_a_point
    ),
    "Python actions take what pydantic makes fit, as the text '5' for a number; its schema is"
    " stricter": _is_what_pydantic_makes_fit,
}
"""Each kind of failure that is none, by its reason."""


for name, texts in {
    "cron": ["0 3 * * *", "@daily", "*/5 8-17 * * MON-FRI", "60 * * * *"],
    "interval": ["1s", "90m", "1d2h", "367d", ""],
    "time-zone": ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Mars/Olympus"],
}.items():
    schemathesis.openapi.format(name, st.sampled_from(texts))

COUNT_FILE = "TASK_QUEUE_FUZZ_COUNT"
"""The variable that names the file for the number of requests."""
numbers, answered = itertools.count(), itertools.count()


@schemathesis.hook
def after_call(_context: schemathesis.HookContext, _case: Case, _response: Response) -> None:
    """Count the requests that were answered."""
    next(answered)


def _keep_count(file: str) -> None:
    """Leave the number of answers to whoever started this."""
    Path(file).write_text(str(next(answered)))


if COUNT_FILE in os.environ:
    atexit.register(_keep_count, os.environ[COUNT_FILE])


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """Give most requests an idempotency key of their own, and let few of them wait for long."""
    if case.headers and case.headers.get("Idempotency-Key") == headers.IDEMPOTENCY_KEY.example:
        case.headers["Idempotency-Key"] = f"{headers.IDEMPOTENCY_KEY.example}-{next(numbers) // 2}"
    if case.headers and case.headers.get("Prefer") == headers.PREFER.example and next(numbers) % 10:
        del case.headers["Prefer"]


@schemathesis.hook
def filter_failure(
    _context: schemathesis.HookContext,
    failure: Failure,
    case: Case,
    response: Response,
) -> bool:
    """Whether it is a failure."""
    return not any(is_one(failure, case, response) for is_one in EXCLUDED.values())
