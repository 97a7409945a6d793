"""How a request is sent until it is answered: what to repeat, when, and for how long.

A flow is a generator that yields what is to be done next, and is sent what came of it. It opens no
socket and does not sleep, so the client that blocks and the one that is awaited share it, and tests
look at each step.
"""

import json
import random as randomness
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from task_queue.api.client.errors import UnexpectedAnswerError
from task_queue.api.client.failure import failure_of, raised
from task_queue.api.client.request import Answer, NoAnswer, Request

FIRST_PAUSE_SECONDS = 0.1
"""How long the first pause is at most; each further one may be twice as long."""
MAX_PAUSE_SECONDS = 5.0
"""What no pause exceeds, unless the server asks for more by `Retry-After`."""
MIN_ATTEMPT_SECONDS = 2.0
"""What an attempt is given even if the deadline is nearer. A server that waits answers a third of a
second late, or later if it is busy."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request once, and give the answer back.

    Attributes:
        request: What to send.
        timeout_seconds: How long to wait for the answer.
    """

    request: Request[Any]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so long, and give None back."""

    seconds: float


Flow = Generator[Send | Pause, Answer | NoAnswer | None, R]
"""What is done to get a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client tries.

    Attributes:
        deadline_seconds: How long a request is repeated in all.
        answer_seconds: How long each attempt waits for its answer.
        now: The present moment, on a clock that is never set.
        random: A number from 0 to 1.
    """

    deadline_seconds: float = 30.0
    answer_seconds: float = 10.0
    now: Callable[[], float] = time.monotonic
    random: Callable[[], float] = randomness.random


def asked(request: Request[R], patience: Patience, until: float | None = None) -> Flow[R]:
    """Send the request until it is answered or the deadline is over; return its result.

    Args:
        request: What is asked for.
        patience: How long to try.
        until: The deadline, by the clock of `patience`; None: by its `deadline_seconds`.

    Raises:
        RefusedError: The server refuses it.
        OutcomeUnknownError: It was sent and perhaps done; nobody knows.
        UnavailableError: There was no useful answer.
        UnexpectedAnswerError: There was one that cannot be read.
    """
    if until is None:
        until = patience.now() + patience.deadline_seconds + request.wait_seconds
    attempt, perhaps_done = 0, False
    while True:
        left = until - patience.now() - request.wait_seconds
        timeout = min(patience.answer_seconds, max(left, MIN_ATTEMPT_SECONDS))
        answer = yield Send(request, request.wait_seconds + timeout)
        if isinstance(answer, Answer) and request.is_answered_by(answer):
            return _result(request, answer)
        failure = failure_of(answer)
        perhaps_done = request.changes and (perhaps_done or failure.perhaps_done)
        pause = _pause_seconds(attempt, answer, patience)
        if (
            not failure.may_pass
            or (perhaps_done and not request.repeatable)
            or patience.now() + pause >= until
        ):
            raise raised(request, failure, perhaps_done=perhaps_done)
        yield Pause(pause)
        attempt += 1


def _result(request: Request[R], answer: Answer) -> R:
    try:
        return request.read(json.loads(answer.content) if answer.content else None)
    except (ValueError, TypeError, LookupError) as error:
        path = request.path.partition("?")[0]
        message = f"the answer to {request.method} {path} is not what a task queue answers"
        raise UnexpectedAnswerError(message) from error


def _pause_seconds(attempt: int, answer: Answer | NoAnswer | None, patience: Patience) -> float:
    """Return how long to wait: at random, so that clients that failed together come apart."""
    longest: float = min(FIRST_PAUSE_SECONDS * 2 ** min(attempt, 16), MAX_PAUSE_SECONDS)
    asked_for = answer.headers.get("retry-after", "") if isinstance(answer, Answer) else ""
    at_least = int(asked_for) if asked_for.isascii() and asked_for.isdigit() else 0
    return at_least + longest * patience.random()
