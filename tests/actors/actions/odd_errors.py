"""Errors that are hard to show, to send or to store, and an action that raises them."""

import asyncio
import math
from collections.abc import Callable
from typing import Any, NoReturn

from task_queue.actors.errors import Cancelled, Reject, RetryLater

LONE = "caf\udce9"
"""The name of a file that is not UTF-8, as `os` gives it."""


class ExitsInText(Exception):  # noqa: N818 - an action may call it so
    """Ends the process when it is shown."""

    def __str__(self) -> str:
        raise SystemExit(4)


class HasNoText(Exception):  # noqa: N818
    """Breaks the rule that a text is a text."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307 - that is the point


class NeedsArguments(Exception):  # noqa: N818
    """Cannot be made again from its text."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class NoError(BaseException):
    """What `except Exception` does not catch."""


class LaterByItself(RetryLater):
    """Does not know how long."""

    def __init__(self) -> None:
        Exception.__init__(self, "some time")


def circle() -> BaseException:
    """Return an error that is the cause of its own cause."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


def chain() -> BaseException:
    """Return an error with a thousand causes."""
    error = ValueError("0")
    for number in range(1, 1000):
        later = ValueError(f"{number}")
        later.__cause__ = error
        error = later
    return error


def noted() -> BaseException:
    """Return an error with a note."""
    error = ValueError("noted")
    error.add_note(LONE)
    return error


ERRORS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "lone": (lambda: ValueError(f"cannot read {LONE}"), "ValueError: cannot read caf\\udce9"),
    "NUL": (lambda: ValueError("a\0b"), "ValueError: a\N{REPLACEMENT CHARACTER}b"),
    "reject": (lambda: Reject(LONE), "caf\\udce9"),
    "silent reject": (Reject, "Reject"),
    "later": (lambda: RetryLater(5, LONE), "caf\\udce9"),
    "never": (lambda: RetryLater(math.inf, "never"), "never"),
    "much later": (lambda: RetryLater(10**30, "much later"), "much later"),
    "no number": (lambda: RetryLater(math.nan, "when"), "RetryLater: when"),
    "by itself": (LaterByItself, "LaterByItself: some time"),
    "cancelled": (lambda: Cancelled(LONE), "Cancelled: caf\\udce9"),
    "long": (lambda: ValueError("é" * 5_000_000), "ValueError: " + "é" * 1988),
    "long name": (type("é" * 5_000, (Exception,), {}), "é" * 2_000),
    "long name, text": (lambda: type("é" * 5_000, (Exception,), {})("x"), "é" * 2_000),
    "silent": (ValueError, "ValueError"),
    "exits": (ExitsInText, "ExitsInText: an error whose text cannot be shown"),
    "no text": (HasNoText, "HasNoText: an error whose text cannot be shown"),
    "arguments": (lambda: NeedsArguments(1, 2), "NeedsArguments: 1 and 2"),
    "no error": (lambda: NoError("at all"), "NoError: at all"),
    "group": (
        lambda: ExceptionGroup("several", [ValueError(LONE), ExceptionGroup("in", [OSError(1)])]),
        "ExceptionGroup: several (2 sub-exceptions)",
    ),
    "circle": (circle, "ValueError: one"),
    "chain": (chain, "ValueError: 999"),
    "noted": (noted, "ValueError: noted"),
    "interrupt": (KeyboardInterrupt, "KeyboardInterrupt"),
    "exit": (lambda: SystemExit(LONE), "SystemExit: caf\\udce9"),
    "stop": (lambda: StopIteration(1), "StopIteration: 1"),
    "generator": (GeneratorExit, "GeneratorExit"),
    "task": (asyncio.CancelledError, "CancelledError"),
}
"""What makes each, and what is kept of its text."""


def raise_it(data: dict[str, Any]) -> NoReturn:
    """Raise the error of this name."""
    error = ERRORS[data["name"]][0]()
    raise error


async def raise_it_later(data: dict[str, Any]) -> None:
    """Raise it out of a loop."""
    await asyncio.sleep(0)
    raise_it(data)
