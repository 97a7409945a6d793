"""The messages to the supervisor."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Command, Request


@dataclass(frozen=True, slots=True)
class Boot(Request[None]):
    """Start every child, in order. Answered when all are up, or with why one is not."""


@dataclass(frozen=True, slots=True)
class Stop(Request[None]):
    """Stop every child, in reverse order. Answered when all have stopped or were left behind."""


@dataclass(frozen=True, slots=True)
class ListChildren(Request[dict[str, bool]]):
    """Return whether each child is up, by its name."""


@dataclass(frozen=True, slots=True)
class CountStuck(Request[int]):
    """Return how many children that were replaced are still stuck in their action."""


@dataclass(frozen=True, slots=True)
class Retire(Command):
    """Stop these children and forget them.

    Attributes:
        names: The children's names.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replace(Command):
    """Leave a stuck child behind, and start another in its place.

    Attributes:
        name: The child's name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Died(Command):
    """A child crashed.

    Attributes:
        name: The child's name.
        incarnation: Which of its lives ended; the end of an earlier one is ignored.
        error: The error that it died of.
    """

    name: str
    incarnation: int
    error: str
